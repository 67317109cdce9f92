// What there is of memory, and what the process has of it.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "base/error.h"
#include "base/system.h"
#include "ops/device.h"
#include "train/plan.h"

namespace gavel {
namespace {

std::vector<const mx::array*> weight_arrays(const Model& model) {
  std::vector<const mx::array*> all;
  const auto add_weight = [&](const Weight& w) {
    all.push_back(&w.data);
    if (w.scales) all.push_back(&*w.scales);
    if (w.biases) all.push_back(&*w.biases);
  };
  add_weight(model.embed_tokens);
  if (!model.config.tie_word_embeddings) add_weight(model.lm_head);
  for (const auto& layer : model.layers) {
    for (const Weight& w : layer.weights) add_weight(w);
    for (const auto& b : layer.biases)
      if (b) all.push_back(&*b);
  }
  return all;
}

size_t number_in(const char* file) {
  std::ifstream in(file);
  size_t number = 0;
  return in >> number ? number : 0;  // "max": no number
}

const DeviceInfo* find(const std::vector<DeviceInfo>& devices, const char* kind) {
  for (const auto& d : devices)
    if (d.kind == kind) return &d;
  return nullptr;
}

}  // namespace

FixedMemory fixed_memory(const Model& model) {
  FixedMemory fixed;
  size_t on_heap = 0, of_files = 0;
  const bool cpu = on_cpu_memory(model.backend);
  const auto known = cpu ? memory_maps() : std::map<uintptr_t, MemoryMap>{};
  std::set<uintptr_t> counted;
  for (const mx::array* a : weight_arrays(model)) {
    fixed.weights += a->nbytes();
    if (!cpu) continue;
    auto it = known.upper_bound(reinterpret_cast<uintptr_t>(a->data<char>()));
    if (it == known.begin()) continue;
    --it;
    if (!it->second.file)
      on_heap += a->nbytes();
    else if (counted.insert(it->first).second)
      of_files += it->second.resident;
  }
  if (cpu) {
    const size_t now = resident_memory(), weights = on_heap + of_files;
    constexpr size_t kScratch = size_t{16} << 20;  // the kernels' panels, the graph, the allocator
    fixed.program = (now > weights ? now - weights : 0) + kScratch;
  }
  return fixed;
}

size_t available_memory(const Backend& backend) {
  const auto devices = list_devices();
  if (!on_cpu_memory(backend)) {
    const DeviceInfo* gpu = find(devices, "gpu");
    const size_t own = mx::get_active_memory() + mx::get_cache_memory();
    if (gpu == nullptr) return own;
    if (gpu->free == 0) return gpu->memory / 4 * 3;   // memory that it shares with the processor
    constexpr size_t kLibraries = size_t{512} << 20;  // what cuBLAS takes for itself
    return own + gpu->free - std::min(gpu->free, kLibraries);
  }
  const DeviceInfo* cpu = find(devices, "cpu");
  size_t available = resident_memory() + (cpu->free > 0 ? cpu->free : cpu->memory);
  for (const char* file :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"})
    if (const size_t most = number_in(file); most > 0) available = std::min(available, most);
  return available;
}

size_t parse_memory(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double factor = unit.empty() || unit == "GB" || unit == "G" ? 1e9
                        : unit == "MB" || unit == "M"               ? 1e6
                        : unit == "TB" || unit == "T"               ? 1e12
                                                                    : 0.0;
  if (end == text.c_str() || factor == 0.0 || !(number > 0.0) || number * factor > 1e18)
    throw UsageError(
        fmt::format("{} is no amount of memory: give it as 24GB, 24 (the same) or 800MB", text));
  return static_cast<size_t>(number * factor);
}

MemoryModel memory_model(const Model& model, const Adapter& adapter, const TrainConfig& config) {
  const OptimizerConfig& o = config.optimizer;
  return {.shape = train_shape(model.config, adapter),
          .kernels = kernels_of(model.backend),
          .fixed = fixed_memory(model),
          .moments = o.kind != OptimizerKind::sgd ? 2
                     : o.momentum != 0.0f         ? 1
                                                  : 0};
}

MemoryBound::MemoryBound(const Backend& backend, const MemoryPlan& plan) {
  if (on_cpu_memory(backend)) return;
  before_ = mx::set_memory_limit(plan.need.total() - plan.largest_array);
}

MemoryBound::~MemoryBound() {
  if (before_ > 0) mx::set_memory_limit(before_);
}

}  // namespace gavel
