// `gavel plan`: what a training run will need of memory, time, energy and money, on this machine by
// rates that are measured and on others by rates that are stated.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "train/plan.h"
#include "train/run.h"

namespace gavel {

// A machine as far as training goes.
struct Machine {
  std::string name;
  Kernels kernels = Kernels::cuda;
  size_t memory = 0;             // bytes that a run may take
  double flop_per_second = 0;    // reached in training, dequantizing left out
  double bytes_per_second = 0;   // of memory, for dequantizing; 0: in the rate above
  double seconds_per_layer = 0;  // of a part, at least: a small model waits for launches
  double watts = 0.0;            // while training
  double price_per_hour = 0.0;
};
// Those that are usual: an H100, an RTX 4090, an M4 Pro of 24 and of 48 GB.
const std::vector<Machine>& stated_machines();

struct Prices {
  double per_kwh = 0.30;
  std::optional<double> per_hour;  // of this machine
  std::optional<double> watts;     // of this machine
};

struct Estimate {
  Machine machine;
  bool measured = false;
  std::string refusal;  // not empty: the run does not fit, and why
  MemoryPlan plan;
  double seconds = 0.0, kwh = 0.0, cost = 0.0;
};

struct PlanRequest {
  TrainRun run;
  Prices prices;
  bool json = false;
};

// The machine at hand first. Measuring takes some seconds.
std::vector<Estimate> estimate_run(const LoadedRun& run, const Prices& prices);

// The whole command: the table, or JSON, to stdout.
void run_plan(const PlanRequest& request);

}  // namespace gavel
