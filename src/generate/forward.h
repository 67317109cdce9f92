// Forward passes over caches: the part that generating and scoring share.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "model/transformer.h"
#include "ops/kv_cache.h"

namespace gavel {

// New tokens of one cached sequence, and which of their rows' logits are wanted.
struct CachedInput {
  std::shared_ptr<KvCache> cache;  // extended by the forward pass
  std::span<const int> tokens;
  enum class Want : uint8_t { none, last, all } want = Want::last;
};

// A cache for passes of this precision: `fast` keeps keys and values as halves.
std::shared_ptr<KvCache> make_cache(const Model& model, kernels::Precision precision,
                                    std::shared_ptr<const KvCache> prefix = nullptr);

// Runs the new tokens of all inputs, packed, and returns the evaluated logits [wanted rows, vocab]
// in their order; an array of no rows where none are wanted.
mx::array cached_forward(const Model& model, const ModelLora* lora,
                         std::span<const CachedInput> inputs, kernels::Precision precision);

// Caches of the prefixes (of min_tokens and more) that prompts share, computed once: for each
// prompt the cache to start from, or null. At least one token of each prompt is left to run.
std::vector<std::shared_ptr<const KvCache>> share_prefixes(
    const Model& model, const ModelLora* lora, std::span<const std::vector<int>* const> prompts,
    kernels::Precision precision, size_t min_tokens = 16);

}  // namespace gavel
