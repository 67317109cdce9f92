// Token sequences that begin alike, as a tree: what several of them share stands in it once.
// Training packs its batches by it, generation computes the keys and values of prompts by it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gavel {

// Tokens [first, last) of a sequence, which come after those of `parent`.
struct PrefixNode {
  int32_t parent = -1;   // a node before this one, or -1
  int32_t sequence = 0;  // one that has them
  int32_t first = 0, last = 0;
  bool leaf = false;  // the rest of this sequence alone, which may be empty
};

struct PrefixTreeInput {
  std::span<const int> tokens;
  int64_t shareable = 0;  // of its first tokens, how many may be shared with others
};

// The nodes, parents before children; leaves in the sequences' lexicographic order. A beginning
// gets a node of its own from `least` tokens on.
std::vector<PrefixNode> prefix_tree(std::span<const PrefixTreeInput> sequences, int64_t least);

}  // namespace gavel
