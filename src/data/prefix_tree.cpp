#include "data/prefix_tree.h"

#include <algorithm>
#include <numeric>

namespace gavel {
namespace {

struct Builder {
  std::span<const PrefixTreeInput> sequences;
  int64_t least;
  std::vector<int32_t> order = {};   // lexicographic
  std::vector<int32_t> common = {};  // tokens that order[i] and order[i + 1] may share
  std::vector<PrefixNode> nodes = {};

  const PrefixTreeInput& at(size_t i) const { return sequences[static_cast<size_t>(order[i])]; }

  int32_t add(size_t i, int32_t parent, int32_t first, int32_t last, bool leaf) {
    nodes.push_back({parent, order[i], first, last, leaf});
    return static_cast<int32_t>(nodes.size()) - 1;
  }

  // Sequences order[begin, end), whose first `have` tokens are in `parent` and its ancestors.
  void build(size_t begin, size_t end, int32_t have, int32_t parent) {
    if (end - begin == 1) {
      add(begin, parent, have, static_cast<int32_t>(at(begin).tokens.size()), true);
      return;
    }
    const auto shared = *std::min_element(common.begin() + static_cast<int64_t>(begin),
                                          common.begin() + static_cast<int64_t>(end) - 1);
    if (shared >= have + least) {
      parent = add(begin, parent, have, shared, false);
      have = shared;
    }
    // Split where neighbours share no more than all do.
    for (size_t from = begin; from < end;) {
      size_t to = from + 1;
      while (to < end && common[to - 1] > shared) ++to;
      build(from, to, have, parent);
      from = to;
    }
  }
};

}  // namespace

std::vector<PrefixNode> prefix_tree(std::span<const PrefixTreeInput> sequences, int64_t least) {
  if (sequences.empty()) return {};
  Builder b{.sequences = sequences, .least = least};
  b.order.resize(sequences.size());
  std::iota(b.order.begin(), b.order.end(), 0);
  std::stable_sort(b.order.begin(), b.order.end(), [&](int32_t x, int32_t y) {
    const auto a = sequences[static_cast<size_t>(x)].tokens;
    const auto c = sequences[static_cast<size_t>(y)].tokens;
    return std::lexicographical_compare(a.begin(), a.end(), c.begin(), c.end());
  });
  for (size_t i = 0; i + 1 < b.order.size(); ++i) {
    const auto &a = b.at(i), &c = b.at(i + 1);
    const auto differ =
        std::mismatch(a.tokens.begin(), a.tokens.end(), c.tokens.begin(), c.tokens.end());
    b.common.push_back(static_cast<int32_t>(
        std::min<int64_t>({differ.first - a.tokens.begin(), a.shareable, c.shareable})));
  }
  b.build(0, sequences.size(), 0, -1);
  return b.nodes;
}

}  // namespace gavel
