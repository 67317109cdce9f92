// Beginnings that several prompts share, computed once.
#pragma once

#include <span>
#include <vector>

#include "model/cached_forward.h"

namespace gavel {

// Prefixes of fewer tokens are not worth sharing.
constexpr size_t kMinPrefix = 16;

// The prefixes (of kMinPrefix tokens and more) that prompts share, computed once: for each prompt
// what to start from. At least one token of each prompt is left to run. Where `known` is given,
// prefixes that it holds are taken from there, and those that are computed are added to it.
class PrefixCache;
std::vector<Prefix> share_prefixes(const Model& model, const ModelLora* lora,
                                   std::span<const std::vector<int>* const> prompts,
                                   PrefixCache* known = nullptr);

}  // namespace gavel
