// One client's connection, with a deadline and a size limit on everything that is read from it.
#pragma once

#include <httplib.h>

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>

#include "http/server.h"

namespace gavel {

class Connection final : public httplib::Stream, public Client {
 public:
  using Clock = std::chrono::steady_clock;

  // `options` and `stopping` must outlive it; the socket stays the caller's.
  Connection(int fd, const HttpOptions& options, const std::atomic<bool>& stopping)
      : fd_(fd), options_(options), stopping_(stopping) {}

  // Waits for the first byte of a request. False: closed, idle for too long, or stopping.
  bool await_request();
  // The headers are complete: what follows is the body.
  void headers_done() { in_headers_ = false; }
  // Reads a body that comes in chunks; read() gives it afterwards, so `body_size` bytes of it. What
  // is wrong with it, or that it has more than `most` bytes.
  std::optional<ApiError> read_chunked_body(size_t most);
  size_t body_size() const { return body_.size(); }
  // Ends the connection so that what was written still arrives.
  void close();

  bool gone() override;
  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* data, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return fd_; }

  // Of the request at hand.
  Clock::time_point begun;
  const Route* route = nullptr;
  std::string argument;  // what follows the route's path
  std::string allowed;   // methods that the path takes
  std::optional<ApiError> refusal;
  bool close_after = false;

 private:
  bool wait(short events, Clock::time_point deadline) const;
  // One line of a body's framing, without its end. False where it is too long or does not come.
  bool read_line(std::string& line);

  int fd_;
  const HttpOptions& options_;
  const std::atomic<bool>& stopping_;
  std::array<char, 4096> buffer_;
  size_t begin_ = 0, end_ = 0;
  bool in_headers_ = true;
  size_t header_bytes_ = 0;
  Clock::time_point read_deadline_;
  std::string body_;  // that came in chunks
  size_t body_read_ = 0;
};

}  // namespace gavel
