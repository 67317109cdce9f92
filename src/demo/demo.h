// `gavel demo`: the whole job on a small real model: make a judging set, train a judge on it,
// measure it against the base model on pairs it has not seen, and ask it a question.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "data/demo_set.h"
#include "ops/device.h"

namespace gavel {

// Of a written judgement; and pairs judged at once.
inline constexpr int kDemoMaxTokens = 64, kDemoMaxBatch = 32;

struct DemoOptions {
  std::string model;
  std::string directory = "demo";
  uint64_t seed = 0;
  int64_t iters = 0;  // 0: the demo's own number
  bool data_only = false;
  bool resume = false;  // goes on where an interrupted run of the same options ended
  DeviceOptions device;
  DemoCounts counts;
};

// Loss lines, the evaluation's tables and the judged questions go to stdout, all else to stderr.
// A second run trains anew without `resume`. Throws Error as the steps do.
void run_demo(const DemoOptions& options, const std::function<bool()>& stop_requested);

}  // namespace gavel
