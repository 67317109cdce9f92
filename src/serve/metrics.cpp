#include "serve/metrics.h"

#include "base/system.h"

namespace gavel {
std::string ServeMetrics::text() const {
  std::string out = http.text();
  const auto single = [&](const char* name, const char* type, const char* help, int64_t value) {
    out += metric_lines(name, type, help, value);
  };
  single("gavel_prompt_tokens_total", "counter", "Prompt tokens of finished requests.",
         prompt_tokens);
  single("gavel_prompt_tokens_reused_total", "counter",
         "Those of them whose keys and values were held already.", reused_tokens);
  single("gavel_generated_tokens_total", "counter", "Tokens generated.", generated_tokens);
  single("gavel_cancelled_total", "counter", "Requests ended early: client gone or time over.",
         cancelled);
  single("gavel_queue_depth", "gauge", "Requests that wait for their first token.", waiting);
  single("gavel_active_sequences", "gauge", "Sequences in the running batch.", active);
  single("gavel_prefix_cache_bytes", "gauge", "Keys and values kept of prompts.", prefix_bytes);
  single("gavel_prefix_cache_entries", "gauge", "Prompts whose keys and values are kept.",
         prefix_entries);
  single("process_resident_memory_bytes", "gauge", "Resident memory.",
         static_cast<int64_t>(resident_memory()));
  return out;
}

}  // namespace gavel
