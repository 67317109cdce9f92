// One HTTP(S) HEAD request, its headers as they were sent. cpp-httplib decodes percent signs in all
// header values, which spoils the signed addresses that a hub redirects to.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace gavel::hub {

struct RawHead {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case, values as sent
};

// origin: "https://host[:port]"; path: with its query, percent-encoded. The certificate must be one
// that the system (or SSL_CERT_FILE) trusts, for that host. Throws Error: cannot connect, no answer
// in 30 seconds, an answer that is not HTTP.
RawHead raw_head(const std::string& origin, const std::string& path,
                 const std::vector<std::pair<std::string, std::string>>& headers);

}  // namespace gavel::hub
