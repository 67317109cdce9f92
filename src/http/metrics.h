// What a server counts of its connections and requests, for Prometheus.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace gavel {

class HttpMetrics {
 public:
  // A request that was answered. `route` is a route's own path, never what a client wrote.
  void answered(const std::string& route, int status, double seconds);
  // Prometheus' text format, version 0.0.4.
  std::string text() const;

  std::atomic<int64_t> connections{0}, refused_connections{0};

 private:
  static constexpr std::array<double, 12> kBounds = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                                     1,    2.5,   5,    10,  30,   60};
  struct Histogram {
    std::array<int64_t, kBounds.size() + 1> counts{};
    double sum = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> requests_;
  std::map<std::string, Histogram> seconds_;
};

// One number of that format: help, type and value.
std::string metric_lines(const char* name, const char* type, const char* help, int64_t value);

}  // namespace gavel
