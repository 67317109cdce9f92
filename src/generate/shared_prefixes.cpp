#include "generate/shared_prefixes.h"

#include "data/prefix_tree.h"
#include "generate/prefix_cache.h"

namespace gavel {
namespace {

// `parent`, or what is known already of these tokens where that is worth more.
Prefix best_known(PrefixCache* known, const ModelLora* lora, Prefix parent,
                  std::span<const int> tokens) {
  if (known == nullptr) return parent;
  auto found = known->find(lora, tokens);
  return found.rows >= parent.rows + static_cast<int64_t>(kMinPrefix) ? found : parent;
}

}  // namespace

std::vector<Prefix> share_prefixes(const Model& model, const ModelLora* lora,
                                   std::span<const std::vector<int>* const> prompts,
                                   PrefixCache* known, std::vector<PlannedPrefix>* planned) {
  const bool later = planned != nullptr && known == nullptr && prefixes_in_pass(model);
  std::vector<PrefixTreeInput> inputs;
  for (const auto* p : prompts) inputs.push_back({*p, std::ssize(*p) - 1});
  const auto nodes = prefix_tree(inputs, kMinPrefix);
  std::vector<Prefix> of_node(nodes.size()), result(prompts.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const PrefixNode& node = nodes[i];
    const auto sequence = static_cast<size_t>(node.sequence);
    Prefix prefix = node.parent < 0 ? Prefix{} : of_node[static_cast<size_t>(node.parent)];
    // A leaf's last token must be run for its logits.
    const auto tokens =
        std::span<const int>(*prompts[sequence]).first(static_cast<size_t>(node.last - node.leaf));
    prefix = best_known(known, lora, std::move(prefix), tokens);
    if (node.leaf) {
      result[sequence] = std::move(prefix);
      continue;
    }
    const auto have = static_cast<size_t>(prefix.rows);
    if (tokens.size() >= have + kMinPrefix) {
      auto cache = have > 0 ? KvCache::copy_of(*prefix.cache, prefix.rows) : make_cache(model);
      const auto rest = tokens.subspan(have);
      if (later) {
        cache->extend(std::ssize(rest));
        planned->push_back({cache, {rest.begin(), rest.end()}});
      } else {
        const CachedInput input{cache, rest, CachedInput::Want::none};
        cached_forward(model, lora, {&input, 1});
      }
      if (known != nullptr) known->insert(lora, tokens, cache);
      prefix = {cache, cache->length()};
    }
    of_node[i] = std::move(prefix);
  }
  return result;
}

}  // namespace gavel
