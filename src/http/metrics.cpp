#include "http/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace gavel {

std::string metric_lines(const char* name, const char* type, const char* help, int64_t value) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
}

void HttpMetrics::answered(const std::string& route, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
  Histogram& h = seconds_[route];
  ++h.counts[static_cast<size_t>(std::lower_bound(kBounds.begin(), kBounds.end(), seconds) -
                                 kBounds.begin())];
  h.sum += seconds;
}

std::string HttpMetrics::text() const {
  std::string out;
  const std::lock_guard lock(mutex_);
  out += "# HELP gavel_requests_total Requests answered.\n# TYPE gavel_requests_total counter\n";
  for (const auto& [key, count] : requests_)
    fmt::format_to(std::back_inserter(out),
                   "gavel_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", key.first, key.second,
                   count);
  out +=
      "# HELP gavel_request_seconds Time from a request's headers to the end of its answer.\n"
      "# TYPE gavel_request_seconds histogram\n";
  for (const auto& [route, h] : seconds_) {
    int64_t below = 0;
    for (size_t i = 0; i <= kBounds.size(); ++i) {
      below += h.counts[i];
      fmt::format_to(std::back_inserter(out),
                     "gavel_request_seconds_bucket{{route=\"{}\",le=\"{}\"}} {}\n", route,
                     i < kBounds.size() ? fmt::format("{}", kBounds[i]) : "+Inf", below);
    }
    fmt::format_to(std::back_inserter(out),
                   "gavel_request_seconds_sum{{route=\"{0}\"}} {1}\n"
                   "gavel_request_seconds_count{{route=\"{0}\"}} {2}\n",
                   route, h.sum, below);
  }
  out += metric_lines("gavel_connections", "gauge", "Open connections.", connections);
  out += metric_lines("gavel_refused_connections_total", "counter",
                      "Connections refused since all connection threads were busy.",
                      refused_connections);
  return out;
}

}  // namespace gavel
