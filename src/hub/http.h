// Plain HTTP(S) requests to a hub: redirects, repetition, and sentences for what goes wrong.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "hub/hub.h"

namespace gavel::hub {

struct Answer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string url;  // that answered, redirects followed
  std::string header(const std::string& name) const {
    const auto it = headers.find(name);
    return it == headers.end() ? "" : it->second;
  }
};

// One connection a host, kept open between requests. Used by one thread.
class HttpClient {
 public:
  explicit HttpClient(const HubOptions& options);
  ~HttpClient();

  // GET of a small text. Redirects are followed (the token goes to the endpoint's host only), and
  // failures that may pass (connection, 429, 5xx) repeated. Any final status is returned.
  Answer get(const std::string& url);

  // HEAD that follows redirects within a host only: what the hub itself says of a file, even where
  // another host has the contents; the answer's url is then the address on that host.
  Answer head(const std::string& url);

  // Receives a body: begin(status, headers, ...) says whether to go on, then bytes come.
  struct Receiver {
    std::function<bool(const Answer& head)> begin;
    std::function<bool(std::string_view bytes)> bytes;
  };
  // One GET from byte `from`, without repetition: true where the body came whole.
  bool get_range(const std::string& url, uint64_t from, const Receiver& receiver, Answer& answer,
                 std::string& error);

  // Waits before repetition number `attempt` (from 0), as `answer`'s Retry-After asks. False where
  // that is longer than allowed.
  bool wait_to_repeat(int attempt, const Answer& answer) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Whether it makes sense to ask again.
inline bool may_pass(int status) { return status == 429 || status == 408 || status >= 500; }

// Throws the sentence for an answer that is not a success.
[[noreturn]] void fail_for(const Answer& answer, const HubName& name, const HubOptions& options,
                           const std::string& file = "");

}  // namespace gavel::hub
