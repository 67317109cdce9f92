#include "generate/prefix_cache.h"

#include <algorithm>

namespace gavel {
namespace {

size_t common_prefix(std::span<const int> a, std::span<const int> b) {
  const auto [end, unused] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(end - a.begin());
}

}  // namespace

Prefix PrefixCache::find(const ModelLora* lora, std::span<const int> tokens) {
  auto best = entries_.end();
  size_t longest = kMinPrefix - 1;
  for (auto e = entries_.begin(); e != entries_.end(); ++e) {
    if (e->lora != lora) continue;
    const size_t shared = common_prefix(e->tokens, tokens);
    if (shared > longest) {
      longest = shared;
      best = e;
    }
  }
  if (best == entries_.end()) return {};
  entries_.splice(entries_.begin(), entries_, best);
  return {best->cache, static_cast<int64_t>(longest)};
}

void PrefixCache::insert(const ModelLora* lora, std::span<const int> tokens,
                         std::shared_ptr<const KvCache> cache) {
  const size_t bytes = cache->bytes() + tokens.size_bytes() + sizeof(Entry);
  if (bytes > max_bytes_) return;
  for (auto e = entries_.begin(); e != entries_.end();) {
    const auto here = e++;
    if (here->lora != lora) continue;
    const size_t shared = common_prefix(here->tokens, tokens);
    if (shared == tokens.size()) {  // held already, as the beginning of this one
      entries_.splice(entries_.begin(), entries_, here);
      return;
    }
    if (shared == here->tokens.size()) erase(here);  // the new one has all of it
  }
  while (bytes_ + bytes > max_bytes_) erase(std::prev(entries_.end()));
  entries_.push_front({lora, {tokens.begin(), tokens.end()}, std::move(cache), bytes});
  bytes_ += bytes;
}

void PrefixCache::keep(const Model& model, const ModelLora* lora, std::span<const int> prompt,
                       std::shared_ptr<KvCache>& cache) {
  const auto rows = static_cast<int64_t>(prompt.size());
  if (rows - cache->prefix_length() < static_cast<int64_t>(kMinPrefix)) return;
  std::shared_ptr<const KvCache> kept =
      cache->prefix_length() == 0 ? cache : KvCache::copy_of(*cache, rows);
  insert(lora, prompt, kept);
  cache = make_cache(model, {std::move(kept), rows});
}

void PrefixCache::erase(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  entries_.erase(entry);
}

}  // namespace gavel
