// Keys and values of prompts that were read before, kept for prompts to come that begin alike.
#pragma once

#include <cstddef>
#include <list>
#include <span>
#include <vector>

#include "generate/shared_prefixes.h"

namespace gavel {

// At most max_bytes; the entries that were not used for longest go first. For one thread,
// and passes of one model.
class PrefixCache {
 public:
  explicit PrefixCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  // The longest beginning of `tokens` that is held for this adapter (null: the base model), of
  // kMinPrefix tokens and more; otherwise no cache and 0 rows.
  Prefix find(const ModelLora* lora, std::span<const int> tokens);
  // Keeps `cache`, which holds the rows of `tokens`, has no prefix, and is not written any more.
  void insert(const ModelLora* lora, std::span<const int> tokens,
              std::shared_ptr<const KvCache> cache);
  // Keeps the rows of a prompt that has just been read; `cache` stands on them afterwards.
  void keep(const Model& model, const ModelLora* lora, std::span<const int> prompt,
            std::shared_ptr<KvCache>& cache);

  size_t bytes() const { return bytes_; }
  size_t entries() const { return entries_.size(); }

 private:
  struct Entry {
    const ModelLora* lora;
    std::vector<int> tokens;
    std::shared_ptr<const KvCache> cache;
    size_t bytes;
  };
  void erase(std::list<Entry>::iterator entry);

  size_t max_bytes_, bytes_ = 0;
  std::list<Entry> entries_;  // last used first
};

}  // namespace gavel
