// HTTP: connections, limits, keys and routes. What a route answers is a function's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/api_error.h"
#include "http/metrics.h"

namespace gavel {

// Who asked.
class Client {
 public:
  virtual ~Client() = default;
  // True once it has closed (or half-closed) its connection.
  virtual bool gone() = 0;
};

struct HttpRequest {
  std::string body;
  std::string argument;  // what stands after a route's path that ends with '/'
};

struct Reply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  // Where set, the body is what this writes, as Server-Sent Events; `write` is false once the
  // client is gone. Exceptions end the connection.
  using Write = std::function<bool(std::string_view bytes)>;
  std::function<void(const Write& write)> stream;
};

struct Route {
  std::string method;  // GET (then HEAD, too) or POST (with a JSON body)
  std::string path;    // one that ends with '/' takes one more part, except "/" itself
  bool open = false;   // needs no key
  std::function<Reply(const HttpRequest&, Client&)> answer;
};

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8080;            // 0: any that is free
  std::string api_key;        // "": none is asked for
  std::string cors;           // origin that pages may call from, or "*"; "": none
  size_t max_body = 1 << 20;  // bytes
  size_t max_connections = 256;
  int read_seconds = 30;   // for a whole request to come in
  int write_seconds = 30;  // for a part of an answer to be taken
  int idle_seconds = 15;   // for the next request of a connection to begin
  // Only requests whose Host is a name of this machine for itself (localhost, 127.0.0.1): a page of
  // the web that gives its own name this address (DNS rebinding) reads nothing then.
  bool local_names_only = false;
};

// A file at `path`, which needs no key. `policy`: its Content-Security-Policy.
Route file_route(const char* path, const char* content_type, std::string content,
                 const char* policy);

class HttpServer {
 public:
  // Throws Error where host and port cannot be bound. `metrics` must outlive this.
  HttpServer(HttpOptions options, std::vector<Route> routes, HttpMetrics& metrics);
  ~HttpServer();

  int port() const;
  // Answers until stop(); returns when the requests that were running are answered.
  void run();
  void stop();  // from any thread

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Calls `run` on a thread of its own and waits for its end; calls `stop`, which must bring that
// about, once stop_requested says so.
void run_until(const std::function<void()>& run, const std::function<void()>& stop,
               const std::function<bool()>& stop_requested);

}  // namespace gavel
