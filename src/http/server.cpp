#include "http/server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <thread>

#include "http/connection.h"
#include "http/connection_threads.h"

namespace gavel {
namespace {

constexpr size_t kRequestsPerConnection = 1000;
constexpr int kBacklog = 128;  // connections that the system holds until they are accepted

thread_local Connection* current = nullptr;  // whose request this thread is answering

// Takes a time that does not depend on where the two differ.
bool same_secret(std::string_view given, std::string_view secret) {
  unsigned char differs = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < secret.size(); ++i)
    differs |= static_cast<unsigned char>((i < given.size() ? given[i] : 0) ^ secret[i]);
  return differs == 0;
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool is_json(const std::string& content_type) {
  std::string type = lower(content_type.substr(0, content_type.find(';')));
  while (type.ends_with(' ')) type.pop_back();
  return type == "application/json";
}

// A method's name, but none that the library parses.
bool is_other_method(const std::string& method) {
  static constexpr std::array kParsed = {"GET",   "HEAD",    "POST",    "PUT",   "DELETE",
                                         "PATCH", "OPTIONS", "CONNECT", "TRACE", "PRI"};
  return !method.empty() &&
         method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == method.npos &&
         std::find(kParsed.begin(), kParsed.end(), method) == kParsed.end();
}

// The headers that a preflight asks for; otherwise those that the OpenAI SDK sends from a page.
std::string allowed_headers(const httplib::Request& req) {
  std::string asked = lower(req.get_header_value("Access-Control-Request-Headers"));
  if (!asked.empty() && asked.size() <= 4096 &&
      asked.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_, ") == asked.npos)
    return asked;
  return "authorization, content-type, x-stainless-arch, x-stainless-lang, x-stainless-os, "
         "x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, "
         "x-stainless-runtime-version, x-stainless-timeout, x-stainless-helper-method";
}

bool is_local_name(const std::string& host) {
  const std::string name = lower(host.substr(0, host.rfind(':')));
  return name == "localhost" || name == "127.0.0.1";
}

ApiError invalid(int status, const std::string& message, const std::string& code) {
  return ApiError(status, "invalid_request_error", message, "", code);
}

void fill(httplib::Response& res, const ApiError& error) {
  res.status = error.status;
  res.set_content(error_body(error), "application/json");
  if (error.status == 401) res.set_header("WWW-Authenticate", "Bearer");
  if (error.retry_seconds > 0) res.set_header("Retry-After", std::to_string(error.retry_seconds));
}

}  // namespace

class HttpServer::Impl final : public httplib::Server {
 public:
  Impl(HttpOptions options, std::vector<Route> routes, HttpMetrics& metrics)
      : options_(std::move(options)), routes_(std::move(routes)), metrics_(metrics) {
    new_task_queue = [this] { return new ConnectionThreads(options_.max_connections); };
    set_socket_options([](socket_t fd) {
      const int yes = 1;
      ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    set_tcp_nodelay(true);
    set_payload_max_length(options_.max_body);
    set_keep_alive_timeout(options_.idle_seconds);
    set_keep_alive_max_count(kRequestsPerConnection);
    httplib::Headers headers = {{"X-Content-Type-Options", "nosniff"}};
    if (!options_.cors.empty()) {
      headers.emplace("Access-Control-Allow-Origin", options_.cors);
      headers.emplace("Access-Control-Expose-Headers", "Retry-After");
      headers.emplace("Vary", "Origin");
    }
    set_default_headers(std::move(headers));
    set_handlers();
    set_error_handlers();
    bind();
  }

  int port() const { return port_; }
  void run() {
    if (!listen_after_bind() && !stopping_) fail("the server's socket does not answer any more");
  }
  void end() {
    stopping_ = true;
    const socket_t fd = svr_sock_.exchange(INVALID_SOCKET);
    if (fd == INVALID_SOCKET) return;
    ::shutdown(fd, SHUT_RDWR);
    ::close(fd);
  }

 private:
  void bind() {
    port_ = options_.port;
    const bool bound = options_.port == 0 ? (port_ = bind_to_any_port(options_.host)) > 0
                                          : bind_to_port(options_.host, options_.port);
    if (!bound)
      fail("cannot listen on {} port {}: is it in use, or not an address of this machine?",
           options_.host, options_.port);
    ::listen(svr_sock_, kBacklog);  // again, with more than the library asks for
  }

  void set_handlers() {
    set_pre_routing_handler([this](const httplib::Request& req, httplib::Response& res) {
      if (current->refusal) {
        fill(res, *current->refusal);
      } else if (req.method == "OPTIONS") {
        res.status = 204;
        res.set_header("Access-Control-Allow-Methods", current->allowed + ", OPTIONS");
        res.set_header("Access-Control-Allow-Headers", allowed_headers(req));
        res.set_header("Access-Control-Max-Age", "600");
      } else if (current->route->method == "GET") {
        answer(req, res);
      } else {
        return HandlerResponse::Unhandled;  // the body is read first
      }
      if (res.status == 405) res.set_header("Allow", current->allowed);
      return HandlerResponse::Handled;
    });
    for (const Route& route : routes_)
      if (route.method == "POST")
        Post(route.path,
             [this](const httplib::Request& req, httplib::Response& res) { answer(req, res); });
    set_logger([this](const httplib::Request&, const httplib::Response& res) {
      const std::chrono::duration<double> took = Connection::Clock::now() - current->begun;
      metrics_.answered(current->route ? current->route->path : "other", res.status, took.count());
    });
  }

  void set_error_handlers() {
    set_expect_100_continue_handler([](const httplib::Request&, httplib::Response& res) {
      if (!current->refusal) return 100;
      fill(res, *current->refusal);
      return res.status;
    });
    set_exception_handler(
        [](const httplib::Request&, httplib::Response& res, const std::exception_ptr&) {
          fill(res, ApiError(500, "server_error", "The request could not be answered."));
        });
    set_error_handler([this](const httplib::Request& req, httplib::Response& res) {
      if (!res.body.empty()) return;
      current->close_after = true;
      auto error = invalid(res.status, "The request is not usable HTTP.", "");
      // A method that the library does not know is no reason to call the request malformed.
      if (res.status == 400 && is_other_method(req.method) && !req.target.empty()) {
        httplib::Request known = req;
        known.path = req.target.substr(0, req.target.find('?'));
        error = examine(known).value_or(error);
        if (error.status == 405) res.set_header("Allow", current->allowed);
      }
      fill(res, error);
    });
  }

  // What can be said against a request before its body is read.
  std::optional<ApiError> examine(const httplib::Request& req) {
    if (options_.local_names_only && !is_local_name(req.get_header_value("Host")))
      return invalid(403, "This server answers to the names localhost and 127.0.0.1 only.",
                     "forbidden_host");
    const std::string method = req.method == "HEAD" ? "GET" : req.method;
    const bool is_preflight = method == "OPTIONS" && !options_.cors.empty();
    bool path_known = false;
    std::string& allowed = current->allowed;
    for (const Route& route : routes_) {
      const bool prefix = route.path.size() > 1 && route.path.ends_with('/');
      if (prefix ? !req.path.starts_with(route.path) || req.path == route.path
                 : req.path != route.path)
        continue;
      path_known = true;
      allowed += (allowed.empty() ? "" : ", ") + route.method;
      if (route.method != method) continue;
      current->route = &route;
      current->argument = prefix ? req.path.substr(route.path.size()) : "";
    }
    const Route* route = current->route;
    if (!path_known) return invalid(404, "There is no such path.", "not_found");
    if (is_preflight) return std::nullopt;
    if (method == "OPTIONS" && req.has_header("Access-Control-Request-Method"))
      return invalid(405,
                     "Pages of other origins may not call this server unless it is started with "
                     "--cors ORIGIN.",
                     "method_not_allowed");
    if (route == nullptr) {
      return invalid(405, "The path does not take the method " + method.substr(0, 20) + ".",
                     "method_not_allowed");
    }
    if (!options_.api_key.empty() && !route->open) {
      const std::string given = req.get_header_value("Authorization");
      const std::string_view bearer = "Bearer ";
      if (!given.starts_with(bearer) ||
          !same_secret(std::string_view(given).substr(bearer.size()), options_.api_key))
        return ApiError(401, "authentication_error",
                        "The API key is missing or wrong: send Authorization: Bearer KEY.", "",
                        "invalid_api_key");
    }
    if (route->method != "POST") return std::nullopt;
    return examine_body(req);
  }

  // A body whose end two headers tell differently is how requests are smuggled past proxies.
  static std::optional<ApiError> examine_encoding(const httplib::Request& req) {
    if (req.has_header("Content-Length"))
      return invalid(400, "The body has both a Content-Length and a Transfer-Encoding.", "");
    if (req.get_header_value_count("Transfer-Encoding") != 1 ||
        lower(req.get_header_value("Transfer-Encoding")) != "chunked")
      return invalid(501, "The only Transfer-Encoding is chunked.", "unsupported_encoding");
    if (req.version != "HTTP/1.1") return invalid(400, "Chunks are of HTTP/1.1.", "");
    return std::nullopt;
  }

  std::optional<ApiError> examine_length(const httplib::Request& req) const {
    if (!req.has_header("Content-Length"))
      return invalid(411, "The body must come with a Content-Length, or in chunks.",
                     "length_required");
    const std::string length = req.get_header_value("Content-Length");
    if (req.get_header_value_count("Content-Length") != 1 || length.empty() ||
        length.find_first_not_of("0123456789") != std::string::npos)
      return invalid(400, "The Content-Length is not a number.", "");
    if (length.size() > 15 || std::stoull(length) > options_.max_body)
      return invalid(413, fmt::format("The body may have {} bytes at most.", options_.max_body),
                     "body_too_large");
    return std::nullopt;
  }

  std::optional<ApiError> examine_body(const httplib::Request& req) const {
    if (auto wrong =
            req.has_header("Transfer-Encoding") ? examine_encoding(req) : examine_length(req))
      return wrong;
    if (req.has_header("Content-Encoding") &&
        lower(req.get_header_value("Content-Encoding")) != "identity")
      return invalid(415, "The body must not be compressed.", "unsupported_encoding");
    if (!is_json(req.get_header_value("Content-Type")))
      return invalid(415, "The body must be JSON, with Content-Type: application/json.",
                     "unsupported_media_type");
    return std::nullopt;
  }

  void answer(const httplib::Request& req, httplib::Response& res) {
    Connection& connection = *current;
    Reply reply;
    try {
      reply = connection.route->answer({req.body, connection.argument}, connection);
    } catch (const ApiError& e) {
      if (e.status == 499) connection.close_after = true;
      return fill(res, e);
    } catch (const std::exception& e) {
      return fill(res, ApiError(500, "server_error", e.what()));
    }
    res.status = reply.status;
    for (const auto& [name, value] : reply.headers) res.set_header(name, value);
    if (!reply.stream) return res.set_content(reply.body, reply.content_type);
    res.set_header("Cache-Control", "no-store");
    res.set_chunked_content_provider(
        "text/event-stream",
        [stream = std::move(reply.stream), &connection](size_t, httplib::DataSink& sink) {
          bool writable = true;
          stream([&](std::string_view bytes) {
            writable = writable && !connection.gone() && sink.write(bytes.data(), bytes.size());
            return writable;
          });
          if (writable) sink.done();
          return writable;
        });
  }

  // Between a request's headers and its body.
  void headers_read(Connection& connection, httplib::Request& req) {
    connection.headers_done();
    req.ranges.clear();
    connection.refusal = examine(req);
    // The library's own reader of chunks has no limit and takes much for a chunk that is none.
    if (!connection.refusal && req.method == "POST" && req.has_header("Transfer-Encoding"))
      take_chunks(connection, req);
    // A body that is not read must not be taken for the next request.
    const bool has_body = req.has_header("Content-Length") || req.has_header("Transfer-Encoding");
    if (!has_body || (!connection.refusal && req.method == "POST")) return;
    connection.close_after = true;
    req.headers.erase("Connection");
    req.headers.emplace("Connection", "close");
  }

  void take_chunks(Connection& connection, httplib::Request& req) const {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (lower(req.get_header_value("Expect")) == "100-continue") {
      connection.write(kContinue.data(), kContinue.size());
      req.headers.erase("Expect");
    }
    connection.refusal = connection.read_chunked_body(options_.max_body);
    if (connection.refusal) return;
    req.headers.erase("Transfer-Encoding");
    req.headers.emplace("Content-Length", std::to_string(connection.body_size()));
  }

  bool process_and_close_socket(socket_t fd) override {
    Connection connection(fd, options_, stopping_);
    if (ConnectionThreads::refusing()) {
      ++metrics_.refused_connections;
      static constexpr std::string_view kBusy =
          "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
          "Content-Length: 0\r\n\r\n";
      // The accepting thread must not wait.
      ::send(fd, kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      ::close(fd);
      return false;
    }
    ++metrics_.connections;
    current = &connection;
    for (size_t n = 1; n <= kRequestsPerConnection && connection.await_request(); ++n) {
      bool closed = false;
      const bool answered =
          process_request(connection, n == kRequestsPerConnection || stopping_, closed,
                          [&](httplib::Request& req) { headers_read(connection, req); });
      if (!answered || closed || connection.close_after || stopping_) break;
    }
    current = nullptr;
    connection.close();
    --metrics_.connections;
    return true;
  }

  const HttpOptions options_;
  const std::vector<Route> routes_;
  HttpMetrics& metrics_;
  std::atomic<bool> stopping_{false};
  int port_ = 0;
};

Route file_route(const char* path, const char* content_type, std::string content,
                 const char* policy) {
  return {"GET", path, true, [=, content = std::move(content)](const HttpRequest&, Client&) {
            Reply reply;
            reply.body = content;
            reply.content_type = content_type;
            reply.headers = {{"Content-Security-Policy", policy},
                             {"Referrer-Policy", "no-referrer"},
                             {"Cache-Control", "no-cache"}};
            return reply;
          }};
}

HttpServer::HttpServer(HttpOptions options, std::vector<Route> routes, HttpMetrics& metrics)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(routes), metrics)) {}
HttpServer::~HttpServer() = default;
int HttpServer::port() const { return impl_->port(); }
void HttpServer::run() { impl_->run(); }
void HttpServer::stop() { impl_->end(); }

void run_until(const std::function<void()>& run, const std::function<void()>& stop,
               const std::function<bool()>& stop_requested) {
  std::atomic<bool> ended{false};
  std::exception_ptr error;
  std::thread thread([&] {
    try {
      run();
    } catch (...) {
      error = std::current_exception();
    }
    ended = true;
  });
  for (bool told = false; !ended;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (told || !stop_requested()) continue;
    told = true;
    stop();
  }
  thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace gavel
