// Forward passes over caches: what generating and scoring are made of.
#pragma once

#include <memory>
#include <span>

#include "model/logits.h"
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
  std::shared_ptr<KvCache> cache;  // extended by the forward pass, unless it was before
  std::span<const int> tokens;
  enum class Want : uint8_t { none, last, all } want = Want::last;
  bool extended = false;  // the cache counts these rows already
};

// Whether caches may stand on rows of a prefix that the same pass is still to compute, its input
// before theirs and extended.
inline bool prefixes_in_pass(const Model& model) { return model.card != nullptr; }

// Runs the new tokens of all inputs, packed, and returns the logits of the wanted rows in their
// order. A model runs one pass at a time.
std::unique_ptr<Logits> cached_forward(const Model& model, const ModelLora* lora,
                                       std::span<const CachedInput> inputs);

}  // namespace gavel
