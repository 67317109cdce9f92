#include "http/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace gavel {
namespace {

constexpr size_t kMaxHeaderBytes = 32 << 10;
constexpr size_t kMaxChunkLine = 256;  // a chunk's size, with what may follow it
constexpr size_t kMaxTrailers = 64;    // header lines after a chunked body, which nobody reads
constexpr auto kSlice = std::chrono::milliseconds(200);  // between looks at `stopping`
// What is read of a request that was refused, so that the refusal is not lost with the connection.
constexpr size_t kMaxDrainBytes = 1 << 20;
constexpr auto kDrainTime = std::chrono::seconds(1);

ApiError broken_chunks() {
  return ApiError(400, "invalid_request_error",
                  "The body does not come in the chunks that Transfer-Encoding: chunked promises.");
}

// The size that a chunk's first line gives: hexadecimal digits, then perhaps ';' and an extension.
std::optional<size_t> chunk_size(std::string_view line) {
  line = line.substr(0, line.find(';'));
  while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
  size_t size = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  if (line.empty() || error != std::errc{} || end != line.data() + line.size()) return std::nullopt;
  return size;
}

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
  body_.clear();
  body_read_ = 0;
  return true;
}

bool Connection::read_line(std::string& line) {
  line.clear();
  for (char c = 0; line.size() <= kMaxChunkLine && read(&c, 1) == 1; line += c) {
    if (c != '\n') continue;
    if (!line.ends_with('\r')) return false;
    line.pop_back();
    return true;
  }
  return false;
}

std::optional<ApiError> Connection::read_chunked_body(size_t most) {
  std::string body, line;
  for (;;) {
    if (!read_line(line)) return broken_chunks();
    const auto size = chunk_size(line);
    if (!size) return broken_chunks();
    if (*size == 0) break;
    if (*size > most - body.size())
      return ApiError(413, "invalid_request_error",
                      fmt::format("The body may have {} bytes at most.", most), "",
                      "body_too_large");
    const size_t before = body.size();
    body.resize(before + *size);
    for (size_t have = before; have < body.size();) {
      const ssize_t n = read(body.data() + have, body.size() - have);
      if (n <= 0) return broken_chunks();
      have += static_cast<size_t>(n);
    }
    if (!read_line(line) || !line.empty()) return broken_chunks();
  }
  for (size_t i = 0; i <= kMaxTrailers; ++i) {
    if (!read_line(line)) return broken_chunks();
    if (!line.empty()) continue;
    body_ = std::move(body);
    return std::nullopt;
  }
  return broken_chunks();
}

ssize_t Connection::read(char* data, size_t size) {
  if (body_read_ < body_.size()) {
    const size_t count = body_.copy(data, size, body_read_);
    body_read_ += count;
    return static_cast<ssize_t>(count);
  }
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
