// The forward pass over caches on the CPU, kernel by kernel: no graph is built for it, which for
// one token took longer than the arithmetic.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "model/transformer.h"
#include "ops/kv_cache.h"

namespace gavel {

// ids [T] packed as `segments` says, segment s the newest rows of caches[s], which were extended
// for them. Writes the logits [rows, vocab_size] of these rows (ascending) to `logits`; with no
// rows it only fills the caches. The same numbers as layer_forward and logits give.
void cpu_forward(const Model& model, const ModelLora* lora, std::span<const int32_t> ids,
                 const Segments& segments, std::span<const std::shared_ptr<KvCache>> caches,
                 std::span<const int32_t> rows, kernels::Precision precision, float* logits);

}  // namespace gavel
