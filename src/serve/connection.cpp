#include "serve/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace gavel {
namespace {

constexpr size_t kMaxHeaderBytes = 32 << 10;
constexpr auto kSlice = std::chrono::milliseconds(200);  // between looks at `stopping`
// What is read of a request that was refused, so that the refusal is not lost with the connection.
constexpr size_t kMaxDrainBytes = 1 << 20;
constexpr auto kDrainTime = std::chrono::seconds(1);

bool try_again(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

bool Connection::wait(short events, Clock::time_point deadline) const {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd p{fd_, events, 0};
    const int ready = ::poll(&p, 1, static_cast<int>(std::min<long long>(left, 60000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

bool Connection::await_request() {
  const auto deadline = Clock::now() + std::chrono::seconds(options_.idle_seconds);
  while (begin_ == end_) {
    if (stopping_) return false;
    const auto now = Clock::now();
    if (now >= deadline) return false;
    if (wait(POLLIN, std::min(now + kSlice, deadline))) break;
  }
  begun = Clock::now();
  read_deadline_ = begun + std::chrono::seconds(options_.read_seconds);
  in_headers_ = true;
  header_bytes_ = 0;
  route = nullptr;
  argument.clear();
  allowed.clear();
  refusal.reset();
  return true;
}

ssize_t Connection::read(char* data, size_t size) {
  if (begin_ == end_) {
    ssize_t got = 0;
    do {
      if (!wait(POLLIN, read_deadline_)) return -1;
      got = ::recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    } while (got < 0 && try_again(errno));
    if (got <= 0) return got;
    begin_ = 0;
    end_ = static_cast<size_t>(got);
  }
  const size_t count = std::min(size, end_ - begin_);
  if (in_headers_ && (header_bytes_ += count) > kMaxHeaderBytes) return -1;
  std::memcpy(data, buffer_.data() + begin_, count);
  begin_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* data, size_t size) {
  const auto deadline = Clock::now() + std::chrono::seconds(options_.write_seconds);
  for (size_t sent = 0; sent < size;) {
    const ssize_t n = ::send(fd_, data + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0)
      sent += static_cast<size_t>(n);
    else if (!try_again(errno) || !wait(POLLOUT, deadline))
      return -1;
  }
  return static_cast<ssize_t>(size);
}

bool Connection::gone() {
  if (begin_ != end_) return false;  // the next request is there already
  char byte = 0;
  const ssize_t n = ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && !try_again(errno));
}

void Connection::close() {
  ::shutdown(fd_, SHUT_WR);
  const auto deadline = Clock::now() + kDrainTime;
  for (size_t drained = 0; drained < kMaxDrainBytes && wait(POLLIN, deadline);) {
    const ssize_t n = ::recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && !try_again(errno))) break;
    drained += n > 0 ? static_cast<size_t>(n) : 0;
  }
  ::shutdown(fd_, SHUT_RDWR);
  ::close(fd_);
}

bool Connection::is_readable() const {
  return begin_ != end_ || wait(POLLIN, Clock::now() + kSlice);
}
bool Connection::is_writable() const { return wait(POLLOUT, Clock::now() + kSlice); }

// Nobody asks for the addresses, and nothing of them is logged.
void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}
void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace gavel
