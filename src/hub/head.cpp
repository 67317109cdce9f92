#include "hub/head.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <memory>

#include "base/error.h"

namespace gavel::hub {
namespace {

constexpr int kConnectSeconds = 10;
constexpr int kReadSeconds = 30;
constexpr size_t kMaxHead = 256 << 10;

using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

std::string ssl_error() {
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "no connection" : reason;
}

SSL_CTX* shared_context() {
  static const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context = [] {
    SSL_CTX* c = SSL_CTX_new(TLS_client_method());
    if (c == nullptr) fail("OpenSSL cannot be set up: {}", ssl_error());
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_default_verify_paths(c);
    return std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>(c, SSL_CTX_free);
  }();
  return context.get();
}

// host:port of an origin; the port is the scheme's own where none is given.
std::pair<std::string, std::string> host_and_port(const std::string& origin) {
  const bool tls = origin.starts_with("https://");
  std::string host = origin.substr(tls ? 8 : 7);
  std::string port = tls ? "443" : "80";
  const size_t colon = host.rfind(':');
  if (colon != std::string::npos && host.find(']', colon) == std::string::npos) {
    port = host.substr(colon + 1);
    host.resize(colon);
  }
  return {host, port};
}

Bio connect(const std::string& origin) {
  const auto [host, port] = host_and_port(origin);
  const bool tls = origin.starts_with("https://");
  Bio bio(tls ? BIO_new_ssl_connect(shared_context()) : BIO_new(BIO_s_connect()), BIO_free_all);
  if (!bio) fail("cannot reach {}: {}", origin, ssl_error());
  BIO_set_conn_hostname(bio.get(), host.c_str());
  BIO_set_conn_port(bio.get(), port.c_str());
  if (tls) {
    SSL* ssl = nullptr;
    BIO_get_ssl(bio.get(), &ssl);
    SSL_set_mode(ssl, SSL_MODE_AUTO_RETRY);
    SSL_set_tlsext_host_name(ssl, host.c_str());
    SSL_set1_host(ssl, host.c_str());
  }
  if (BIO_do_connect_retry(bio.get(), kConnectSeconds, -1) != 1)
    fail("cannot reach {}: {}", origin, ssl_error());
  int fd = -1;
  if (BIO_get_fd(bio.get(), &fd) > 0 && fd >= 0) {
    // Connecting was done without blocking, for its time limit; reading has the socket's own.
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    const timeval limit{kReadSeconds, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  return bio;
}

RawHead parse(const std::string& text, const std::string& origin) {
  RawHead head;
  size_t line = text.find("\r\n");
  if (!text.starts_with("HTTP/1.") || line < 12) fail("{} does not answer in HTTP", origin);
  head.status = std::atoi(text.c_str() + 9);
  while (line + 2 < text.size()) {
    const size_t end = text.find("\r\n", line + 2);
    const std::string entry = text.substr(line + 2, end - line - 2);
    line = end;
    if (entry.empty() || end == std::string::npos) break;
    const size_t colon = entry.find(':');
    if (colon == std::string::npos) continue;
    std::string name = entry.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    const size_t begin = entry.find_first_not_of(" \t", colon + 1);
    const size_t last = entry.find_last_not_of(" \t");
    head.headers.emplace(name,
                         begin == std::string::npos ? "" : entry.substr(begin, last - begin + 1));
  }
  return head;
}

}  // namespace

RawHead raw_head(const std::string& origin, const std::string& path,
                 const std::vector<std::pair<std::string, std::string>>& headers) {
  const Bio bio = connect(origin);
  std::string request = fmt::format("HEAD {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", path,
                                    origin.substr(origin.find("://") + 3));
  for (const auto& [name, value] : headers) request += name + ": " + value + "\r\n";
  request += "\r\n";
  for (size_t sent = 0; sent < request.size();) {
    const int n =
        BIO_write(bio.get(), request.data() + sent, static_cast<int>(request.size() - sent));
    if (n <= 0) fail("cannot reach {}: the connection broke", origin);
    sent += static_cast<size_t>(n);
  }
  std::string text;
  char buffer[4096];
  while (text.find("\r\n\r\n") == std::string::npos) {
    const int n = BIO_read(bio.get(), buffer, sizeof buffer);
    if (n <= 0) fail("cannot reach {}: the connection broke", origin);
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > kMaxHead) fail("{} answers with an absurdly long head", origin);
  }
  return parse(text, origin);
}

}  // namespace gavel::hub
