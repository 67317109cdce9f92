// The body of an HTTP request that comes in chunks, as a connection reads it from its socket.
#include <sys/socket.h>

#include "fuzz.h"
#include "http/api_error.h"
#include "http/connection.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gavel;
  constexpr size_t kMost = 4096;
  if (size > size_t{64} << 10) return 0;  // what a socket holds until it is read
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) std::abort();
  if (::send(ends[1], data, size, MSG_DONTWAIT) != static_cast<ssize_t>(size)) std::abort();
  ::shutdown(ends[1], SHUT_WR);
  HttpOptions options;
  options.read_seconds = 1;
  const std::atomic<bool> stopping = false;
  Connection connection(ends[0], options, stopping);
  if (connection.await_request()) {
    connection.headers_done();
    if (const auto problem = connection.read_chunked_body(kMost)) {
      error_body(*problem);
    } else {
      std::string body(connection.body_size(), '\0');
      size_t have = 0;
      while (have < body.size()) {
        const ssize_t n = connection.read(body.data() + have, body.size() - have);
        if (n <= 0) std::abort();  // a body that was read is there
        have += static_cast<size_t>(n);
      }
      if (body.size() > kMost) std::abort();
    }
  }
  ::close(ends[0]);
  ::close(ends[1]);
  return 0;
}
