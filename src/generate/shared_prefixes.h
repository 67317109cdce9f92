// Beginnings that several prompts share, computed once.
#pragma once

#include <span>
#include <vector>

#include "model/cached_forward.h"

namespace gavel {

// Prefixes of fewer tokens are not worth sharing.
constexpr size_t kMinPrefix = 16;

// A prefix whose cache counts its last tokens already, which are still to be computed.
struct PlannedPrefix {
  std::shared_ptr<KvCache> cache;
  std::vector<int> tokens;
};

// The prefixes (of kMinPrefix tokens and more) that prompts share, computed once: for each prompt
// what to start from. At least one token of each prompt is left to run. Where `known` is given,
// prefixes that it holds are taken from there, and those that are computed are added to it.
// Where a pass can compute prefixes together with what stands on them, and there is no `known`,
// they are left to the caller in `planned`, parents first.
class PrefixCache;
std::vector<Prefix> share_prefixes(const Model& model, const ModelLora* lora,
                                   std::span<const std::vector<int>* const> prompts,
                                   PrefixCache* known, std::vector<PlannedPrefix>* planned);

}  // namespace gavel
