#include "serve/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace gavel {
namespace {

// Bytes of this process in memory; 0 where that is not known.
int64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long long size = 0, resident = 0;
  const int read = std::fscanf(file, "%lld %lld", &size, &resident);
  std::fclose(file);
  return read == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace

void ServeMetrics::answered(const std::string& route, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
  Histogram& h = seconds_[route];
  ++h.counts[static_cast<size_t>(std::lower_bound(kBounds.begin(), kBounds.end(), seconds) -
                                 kBounds.begin())];
  h.sum += seconds;
}

std::string ServeMetrics::text() const {
  std::string out;
  const auto single = [&](const char* name, const char* type, const char* help, int64_t value) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help,
                   type, value);
  };
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
  single("gavel_prompt_tokens_total", "counter", "Prompt tokens of finished requests.",
         prompt_tokens);
  single("gavel_prompt_tokens_reused_total", "counter",
         "Those of them whose keys and values were held already.", reused_tokens);
  single("gavel_generated_tokens_total", "counter", "Tokens generated.", generated_tokens);
  single("gavel_cancelled_total", "counter", "Requests ended early: client gone or time over.",
         cancelled);
  single("gavel_queue_depth", "gauge", "Requests that wait for their first token.", waiting);
  single("gavel_active_sequences", "gauge", "Sequences in the running batch.", active);
  single("gavel_connections", "gauge", "Open connections.", connections);
  single("gavel_refused_connections_total", "counter",
         "Connections refused since all connection threads were busy.", refused_connections);
  single("gavel_prefix_cache_bytes", "gauge", "Keys and values kept of prompts.", prefix_bytes);
  single("gavel_prefix_cache_entries", "gauge", "Prompts whose keys and values are kept.",
         prefix_entries);
  single("process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
  return out;
}

}  // namespace gavel
