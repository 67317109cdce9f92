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

// The first rows of a cache that is not written any more: what another one may stand on.
struct Prefix {
  std::shared_ptr<const KvCache> cache;  // null: none
  int64_t rows = 0;
};
// Prefixes of fewer tokens are not worth sharing.
constexpr size_t kMinPrefix = 16;

// A cache for passes of this precision: `fast` keeps keys and values as halves.
std::shared_ptr<KvCache> make_cache(const Model& model, kernels::Precision precision,
                                    Prefix prefix = {});

// Runs the new tokens of all inputs, packed, and returns the evaluated logits [wanted rows, vocab]
// in their order; an array of no rows where none are wanted.
mx::array cached_forward(const Model& model, const ModelLora* lora,
                         std::span<const CachedInput> inputs, kernels::Precision precision);

// The prefixes (of kMinPrefix tokens and more) that prompts share, computed once: for each prompt
// what to start from. At least one token of each prompt is left to run. Where `known` is given,
// prefixes that it holds are taken from there, and those that are computed are added to it.
class PrefixCache;
std::vector<Prefix> share_prefixes(const Model& model, const ModelLora* lora,
                                   std::span<const std::vector<int>* const> prompts,
                                   kernels::Precision precision, PrefixCache* known = nullptr);

}  // namespace gavel
