// Forward passes over caches: what generating and scoring are made of.
#pragma once

#include <memory>
#include <span>

#include "model/transformer.h"
#include "ops/kv_cache.h"

namespace gavel {

// The first rows of a cache that is not written any more: what another one may stand on.
struct Prefix {
  std::shared_ptr<const KvCache> cache;  // null: none
  int64_t rows = 0;
};
std::shared_ptr<KvCache> make_cache(const Model& model, Prefix prefix = {});

// New tokens of one cached sequence, and which of their rows' logits are wanted.
struct CachedInput {
  std::shared_ptr<KvCache> cache;  // extended by the forward pass
  std::span<const int> tokens;
  enum class Want : uint8_t { none, last, all } want = Want::last;
};

// Runs the new tokens of all inputs, packed, and returns the evaluated logits [wanted rows, vocab]
// in their order, float32; an array of no rows where none are wanted.
mx::array cached_forward(const Model& model, const ModelLora* lora,
                         std::span<const CachedInput> inputs);

}  // namespace gavel
