// Memory planned before a training run: what it will need, and how its batches are run so that it
// fits.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "train/passes.h"
#include "train/work.h"

namespace gavel {

// The kind of device that a model trains on, as far as memory goes.
enum class Kernels : uint8_t { cpu, cuda, composed };
Kernels kernels_of(const Backend& backend);

// Tokens of a part where nothing is asked for and the memory does.
int64_t usual_micro_batch_tokens(Kernels kernels);

// What stays the same from part to part of a run, in bytes.
struct FixedMemory {
  size_t program = 0;  // what the process has besides (CPU): libraries, data, tokenizer
  size_t weights = 0;
};
// Of the model as it is loaded, now.
FixedMemory fixed_memory(const Model& model);

// Bytes.
struct MemoryNeed {
  size_t program = 0, weights = 0, lora = 0, optimizer = 0, gradients = 0, activations = 0,
         workspace = 0;
  size_t total() const {
    return program + weights + lora + optimizer + gradients + activations + workspace;
  }
};

struct MemoryModel {
  TrainShape shape;
  Kernels kernels = Kernels::cpu;
  FixedMemory fixed;
  int moments = 2;  // float32 values that the optimizer keeps for each parameter
};
MemoryNeed memory_need(const MemoryModel& model, const PartSize& part, const Passes& passes);

struct MemoryPlan {
  Passes passes;
  MemoryNeed need;   // at the largest of its parts
  PartSize largest;  // that part
  size_t limit = 0;  // bytes that it may take
  bool fits = false;
  size_t largest_array = 0;  // of those made on the way: the head's matrix, dequantized (card)
};

// The passes that are fastest among those that fit into `limit` bytes, or where none fits those
// that need least; what `config` says of them stays.
MemoryPlan plan_memory(const MemoryModel& model, const Dataset& train_set,
                       const TrainConfig& config, size_t limit);

// What is wrong with a plan that does not fit: the numbers, and what would fit.
std::string refusal(const MemoryModel& model, const MemoryPlan& plan);

// Bytes that the process may take: what is free, and what it has already. On the CPU also what a
// control group allows.
size_t available_memory(const Backend& backend);

// "12.6GB", "12.6" (GB) or "800MB" as bytes (1e9). Throws UsageError.
size_t parse_memory(const std::string& text);

// Of a model that is loaded.
MemoryModel memory_model(const Model& model, const Adapter& adapter, const TrainConfig& config);

// The settings with all that they leave open of the passes taken from a checkpoint, where there is
// one, or chosen to fit the memory. Throws Error with refusal() where none fits.
TrainConfig with_passes(const Model& model, const Adapter& adapter, const Dataset& train_set,
                        const TrainConfig& config, const std::filesystem::path& checkpoint,
                        MemoryPlan& plan);

// While it lives, a card's host waits for work under way rather than take more than was planned.
// (It waits once an array is made, so the largest one must still have room.)
class MemoryBound {
 public:
  MemoryBound(const Backend& backend, const MemoryPlan& plan);
  ~MemoryBound();
  MemoryBound(const MemoryBound&) = delete;
  MemoryBound& operator=(const MemoryBound&) = delete;

 private:
  size_t before_ = 0;  // 0: nothing was set
};

// The table, a line each.
std::string describe(const MemoryPlan& plan);

}  // namespace gavel
