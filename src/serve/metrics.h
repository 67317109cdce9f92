// What the server counts, for Prometheus.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "http/metrics.h"

namespace gavel {

struct ServeMetrics {
  // Prometheus' text format, version 0.0.4.
  std::string text() const;

  HttpMetrics http;
  // Written by the scheduler.
  std::atomic<int64_t> prompt_tokens{0}, reused_tokens{0}, generated_tokens{0}, cancelled{0};
  std::atomic<int64_t> waiting{0}, active{0};
  std::atomic<int64_t> prefix_bytes{0}, prefix_entries{0};
};

}  // namespace gavel
