#include "train/measure.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "data/batches.h"

namespace gavel {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kSeconds = 6.0;  // that measuring may take, about

struct Part {
  std::vector<const Example*> examples;
  PartSize size;
};

// Three parts of different sizes, the smallest first.
std::vector<Part> sample(const Dataset& train_set, const TrainConfig& config, const TrainShape& s,
                         const Passes& passes) {
  BatchPlan plan(train_set.examples, config.batch_size, config.seed, config.order);
  std::vector<Part> all;
  const int64_t batches = std::min<int64_t>({plan.batches_per_epoch(), config.iters, int64_t{200}});
  for (int64_t i = 0; i < batches; ++i) {
    std::vector<const Example*> batch;
    for (const int32_t index : plan.next_batch())
      batch.push_back(&train_set.examples[static_cast<size_t>(index)]);
    for (auto& part : split_batch(batch, passes.micro_batch_tokens)) {
      const PartSize size = part_size(part, config.lora_dropout == 0.0f);
      if (size.loss_rows > 0) all.push_back({std::move(part), size});
    }
  }
  std::sort(all.begin(), all.end(), [&](const Part& a, const Part& b) {
    return forward_flop(s, a.size) < forward_flop(s, b.size);
  });
  std::vector<Part> some;
  for (const size_t sixth : {1, 3, 5}) some.push_back(all[all.size() * sixth / 6]);
  return some;
}

// The model's last `count` layers with its head, and the adapter's matrices there.
std::pair<Model, Adapter> last_layers(const Model& model, const Adapter& adapter, size_t count) {
  const size_t dropped = model.layers.size() - count;
  Model m = model;
  m.layers.erase(m.layers.begin(), m.layers.begin() + static_cast<int64_t>(dropped));
  m.config.num_hidden_layers = static_cast<int>(count);
  Adapter a = adapter;
  std::erase_if(a.matrices, [&](const LoraMatrix& x) { return x.layer < dropped; });
  for (auto& x : a.matrices) x.layer -= dropped;
  return {std::move(m), std::move(a)};
}

double seconds_of(const Model& model, const Adapter& adapter, const TrainConfig& config,
                  const Passes& passes, const Part& part) {
  const auto params = flatten(adapter);
  const auto packed = pack(part.examples, config.lora_dropout == 0.0f);
  const auto start = Clock::now();
  auto [loss, gradient] = loss_and_gradient(model, adapter, params, packed,
                                            {.recompute = passes.recompute,
                                             .recompute_group = passes.recompute_group,
                                             .dropout = config.lora_dropout,
                                             .dropout_seed = config.seed});
  mx::eval(loss, gradient);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Joules of the processor so far, by Intel's and AMD's counter; 0 where it is not to be read.
double processor_joules() {
  std::ifstream in("/sys/class/powercap/intel-rapl:0/energy_uj");
  double microjoules = 0.0;
  return in >> microjoules ? microjoules * 1e-6 : 0.0;
}

// Watts that the first NVIDIA card takes now, by its driver's library; 0 where there is none.
double card_watts() {
  void* library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW);
  if (library == nullptr) return 0.0;
  const auto get = [&](const char* name) { return ::dlsym(library, name); };
  const auto init = reinterpret_cast<int (*)()>(get("nvmlInit_v2"));
  const auto handle =
      reinterpret_cast<int (*)(unsigned, void**)>(get("nvmlDeviceGetHandleByIndex_v2"));
  const auto power = reinterpret_cast<int (*)(void*, unsigned*)>(get("nvmlDeviceGetPowerUsage"));
  void* device = nullptr;
  unsigned milliwatts = 0;
  if (init == nullptr || handle == nullptr || power == nullptr || init() != 0 ||
      handle(0, &device) != 0 || power(device, &milliwatts) != 0)
    return 0.0;
  return milliwatts * 1e-3;
}

}  // namespace

MeasuredRate measure_rate(const Model& model, const Adapter& adapter, const Dataset& train_set,
                          const TrainConfig& config, const Passes& passes) {
  const TrainShape whole = train_shape(model.config, adapter);
  const auto parts = sample(train_set, config, whole, passes);
  const auto all_flop = [&](const TrainShape& s) {
    double flop = 0.0;
    for (const Part& p : parts) flop += training_flop(s, p.size, passes.recompute);
    return flop;
  };
  // Two layers say how long all would take.
  const size_t layers = model.layers.size();
  size_t count = std::min<size_t>(2, layers);
  const auto [few, few_adapter] = last_layers(model, adapter, count);
  const TrainShape few_shape = train_shape(few.config, few_adapter);
  seconds_of(few, few_adapter, config, passes, parts.front());  // touches what is touched once
  const double first = seconds_of(few, few_adapter, config, passes, parts.front());
  const double rate = training_flop(few_shape, parts.front().size, passes.recompute) / first;
  const bool card = !on_cpu_memory(model.backend);
  const double left = kSeconds / (card ? 2 : 1);
  const double few_seconds = all_flop(few_shape) / rate, whole_seconds = all_flop(whole) / rate;
  if (whole_seconds <= left)
    count = layers;
  else if (layers > count)
    count +=
        static_cast<size_t>(std::max(0.0, (left - few_seconds) / (whole_seconds - few_seconds)) *
                            static_cast<double>(layers - count));
  const auto [used, used_adapter] = last_layers(model, adapter, count);
  const TrainShape shape = train_shape(used.config, used_adapter);
  MeasuredRate result;
  double seconds = 0.0;
  const double joules = processor_joules();
  const auto start = Clock::now();
  for (const Part& part : parts) {
    // On a card a shape's first run chooses kernels.
    if (card) seconds_of(used, used_adapter, config, passes, part);
    seconds += seconds_of(used, used_adapter, config, passes, part);
    if (card) result.watts = std::max(result.watts, card_watts());
  }
  if (const double now = processor_joules(); !card && joules > 0.0 && now > joules)
    result.watts = (now - joules) / std::chrono::duration<double>(Clock::now() - start).count();
  result.flop_per_second = all_flop(shape) / seconds;
  return result;
}

}  // namespace gavel
