#include "train/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/threads.h"
#include "train/measure.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kWattsOfThread = 15.0;  // of a processor that does not say what it takes

// Operations of the whole run, and how many parts it has.
struct RunWork {
  double flop = 0.0;
  double parts = 0.0;
};

RunWork run_work(const LoadedRun& run, const TrainShape& shape, const Passes& passes) {
  const TrainConfig& c = run.config;
  RunWork work;
  const auto batches = epoch_parts(*run.train_set, c, passes.micro_batch_tokens);
  for (const auto& parts : batches)
    for (const auto& part : parts) {
      work.flop += training_flop(shape, part, passes.recompute);
      work.parts += 1.0;
    }
  const double times = static_cast<double>(c.iters) / static_cast<double>(batches.size());
  work.flop *= times;
  work.parts *= times;
  if (!run.valid_set || run.valid_set->examples.empty()) return work;
  double once = 0.0;
  const auto& examples = run.valid_set->examples;
  for (const auto& batch : validation_batches(examples, c.batch_size, c.val_batches, c.seed)) {
    std::vector<const Example*> chosen;
    for (const int32_t i : batch) chosen.push_back(&examples[static_cast<size_t>(i)]);
    for (const auto& part : split_batch(chosen, passes.micro_batch_tokens))
      once += forward_flop(shape, part_size(part, true));
  }
  // Before the first iteration, after every so many, and at the end.
  const int64_t validations = 1 + (c.iters - 1) / c.steps_per_eval + (c.iters > 0 ? 1 : 0);
  work.flop += once * static_cast<double>(validations);
  return work;
}

// Seconds of a part beside its products: reading and writing the frozen matrices, both ways.
double dequantizing(const Machine& machine, const MemoryModel& model) {
  if (machine.bytes_per_second <= 0.0) return 0.0;
  const double quantized = static_cast<double>(model.fixed.weights);
  return 2.0 * quantized * (1.0 + 16.0 / 4.5) / machine.bytes_per_second;
}

void reckon(Estimate& e, const LoadedRun& run, const MemoryModel& model, const Prices& prices) {
  const RunWork work = run_work(run, model.shape, e.plan.passes);
  const double reckoned =
      work.flop / e.machine.flop_per_second + work.parts * dequantizing(e.machine, model);
  e.seconds = std::max(reckoned, work.parts * e.machine.seconds_per_layer *
                                     static_cast<double>(model.shape.config.num_hidden_layers));
  e.kwh = e.seconds * e.machine.watts / 3.6e6;
  e.cost = e.kwh * prices.per_kwh + e.seconds / 3600.0 * e.machine.price_per_hour;
}

Estimate at_hand(const LoadedRun& run, const Prices& prices) {
  const Model model = with_matmul(run.model, run.config.matmul);
  const MemoryModel memory = memory_model(model, run.adapter, run.config);
  Estimate e{.machine = {.name = "this machine", .kernels = memory.kernels}, .measured = true};
  e.machine.memory =
      run.config.memory_limit > 0 ? run.config.memory_limit : available_memory(model.backend);
  for (const auto& d : list_devices())
    if (d.kind == (memory.kernels == Kernels::cpu ? "cpu" : "gpu")) e.machine.name = d.name;
  e.plan = plan_memory(memory, *run.train_set, run.config, e.machine.memory);
  if (!e.plan.fits) {
    e.refusal = refusal(memory, e.plan);
    return e;
  }
  const MeasuredRate rate =
      measure_rate(model, run.adapter, *run.train_set, run.config, e.plan.passes);
  e.machine.flop_per_second = rate.flop_per_second;
  e.machine.watts = prices.watts       ? *prices.watts
                    : rate.watts > 0.0 ? rate.watts
                                       : kWattsOfThread * static_cast<double>(num_threads());
  e.machine.price_per_hour = prices.per_hour.value_or(0.0);
  reckon(e, run, memory, prices);
  return e;
}

Estimate elsewhere(const Machine& machine, const LoadedRun& run, const Prices& prices) {
  MemoryModel memory = memory_model(run.model, run.adapter, run.config);
  memory.kernels = machine.kernels;
  memory.fixed.program = 0;
  Estimate e{.machine = machine};
  e.plan = plan_memory(memory, *run.train_set, run.config, machine.memory);
  if (e.plan.fits)
    reckon(e, run, memory, prices);
  else
    e.refusal = refusal(memory, e.plan);
  return e;
}

std::string duration(double seconds) {
  if (seconds < 120.0) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200.0) return fmt::format("{:.0f} min", seconds / 60.0);
  return fmt::format("{:.1f} h", seconds / 3600.0);
}

void print(const std::vector<Estimate>& all, const Prices& prices) {
  const Estimate& here = all.front();
  fmt::print("Memory on {}:\n{}\n\n", here.machine.name,
             here.refusal.empty() ? describe(here.plan) : here.refusal);
  fmt::print("{:<36} {:>9} {:>6} {:>9} {:>9} {:>12} {:>9}\n", "machine", "memory", "parts", "again",
             "time", "energy", "cost");
  for (const Estimate& e : all) {
    const std::string name =
        fmt::format("{} ({})", e.machine.name.substr(0, 25), e.measured ? "measured" : "reckoned");
    if (!e.refusal.empty()) {
      fmt::print("{:<36} does not fit into {:.1f} GB: {:.1f} are needed\n", name,
                 static_cast<double>(e.machine.memory) / 1e9,
                 static_cast<double>(e.plan.need.total()) / 1e9);
      continue;
    }
    fmt::print("{:<36} {:>6.2f} GB {:>6} {:>9} {:>9} {:>8.3g} kWh {:>9.2g}\n", name,
               static_cast<double>(e.plan.need.total()) / 1e9, e.plan.passes.micro_batch_tokens,
               to_string(e.plan.passes.recompute), duration(e.seconds), e.kwh, e.cost);
  }
  fmt::print(
      "Reckoned: from stated rates (of --matmul usual), powers and hourly prices of such machines "
      "(--json shows them).\n"
      "Cost: {:.2f} a kWh, and the hourly price.\n",
      prices.per_kwh);
}

Json json_of(const Estimate& e) {
  Json j = {{"machine", e.machine.name},
            {"measured", e.measured},
            {"memory_limit_bytes", e.machine.memory}};
  if (!e.refusal.empty()) {
    j["refused"] = e.refusal;
    return j;
  }
  const MemoryNeed& n = e.plan.need;
  j["memory_bytes"] = {{"program", n.program},     {"weights", n.weights},
                       {"lora", n.lora},           {"optimizer", n.optimizer},
                       {"gradients", n.gradients}, {"activations", n.activations},
                       {"workspace", n.workspace}, {"total", n.total()}};
  j.update({{"micro_batch_tokens", e.plan.passes.micro_batch_tokens},
            {"recompute", to_string(e.plan.passes.recompute)},
            {"flop_per_second", e.machine.flop_per_second},
            {"seconds", e.seconds},
            {"watts", e.machine.watts},
            {"kwh", e.kwh},
            {"price_per_hour", e.machine.price_per_hour},
            {"cost", e.cost}});
  return j;
}

}  // namespace

// Rates: of an H100, what gavel reached there (docs/performance.md), and the least time that a part
// of a small model takes a layer there; of the others, their makers'
// bfloat16 rates and bandwidths times the shares that an H100 reaches of its own.
const std::vector<Machine>& stated_machines() {
  static const std::vector<Machine> machines = {
      {"H100 80GB", Kernels::cuda, size_t{79} * 1000000000, 510e12, 2.6e12, 2.5e-3, 690.0, 2.50},
      {"RTX 4090 24GB", Kernels::cuda, size_t{24} * 1000000000, 85e12, 0.8e12, 2.5e-3, 400.0, 0.40},
      {"M4 Pro 24GB", Kernels::composed, size_t{16} * 1000000000, 4.5e12, 0.2e12, 5e-3, 60.0, 0.0},
      {"M4 Pro 48GB", Kernels::composed, size_t{36} * 1000000000, 4.5e12, 0.2e12, 5e-3, 60.0, 0.0}};
  return machines;
}

std::vector<Estimate> estimate_run(const LoadedRun& run, const Prices& prices) {
  std::vector<Estimate> all{at_hand(run, prices)};
  for (const Machine& machine : stated_machines()) all.push_back(elsewhere(machine, run, prices));
  return all;
}

void run_plan(const PlanRequest& request) {
  if (!request.run.train) throw UsageError("gavel plan plans a training: leave --test out");
  const LoadedRun run = load_run(request.run);
  const auto all = estimate_run(run, request.prices);
  if (!request.json) return print(all, request.prices);
  Json list = Json::array();
  for (const Estimate& e : all) list.push_back(json_of(e));
  fmt::print("{}\n", list.dump(2));
}

}  // namespace gavel
