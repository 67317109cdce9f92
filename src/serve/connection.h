// One client's connection, with a deadline and a size limit on everything that is read from it.
#pragma once

#include <httplib.h>

#include <array>
#include <atomic>
#include <chrono>
#include <optional>

#include "serve/http_server.h"

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

  int fd_;
  const HttpOptions& options_;
  const std::atomic<bool>& stopping_;
  std::array<char, 4096> buffer_;
  size_t begin_ = 0, end_ = 0;
  bool in_headers_ = true;
  size_t header_bytes_ = 0;
  Clock::time_point read_deadline_;
};

}  // namespace gavel
