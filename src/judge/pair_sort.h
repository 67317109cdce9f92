// The best of n things, or their order, by comparisons that somebody else makes.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace gavel {

// A knock-out for the best alone: n - 1 comparisons, as few as there can be. A merge sort for the
// whole order: at most n ceil(log2 n) - 2^ceil(log2 n) + 1, where log2(n!) is the least. Several
// comparisons are wanted at a time, so that they can be made in one batch.
class PairSort {
 public:
  PairSort(size_t count, bool only_best);

  // Places to compare now, the earlier given first; none: it is done.
  std::vector<std::array<size_t, 2>> wanted() const;
  // Of each pair of wanted(): whether its first is no worse than its second.
  void tell(const std::vector<bool>& first_stands);

  // The best first. With only_best the others follow as they were knocked out, the last one first.
  std::vector<size_t> order() const;

 private:
  // Halves of the things, down to single ones; each is merged when both of its halves are in order.
  struct Half {
    size_t left = 0, right = 0;  // places of halves_; of a single thing none
    size_t i = 0, j = 0;         // how much of them is merged
    std::vector<size_t> out;
    bool done = false;
  };
  size_t build(size_t begin, size_t end);
  bool ready(const Half& half) const;

  bool only_best_;
  std::vector<Half> halves_;  // the whole last
  std::vector<size_t> lost_;
};

}  // namespace gavel
