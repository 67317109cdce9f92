#include "judge/pair_sort.h"

#include <algorithm>

namespace gavel {

PairSort::PairSort(size_t count, bool only_best) : only_best_(only_best) {
  if (count > 0) build(0, count);
}

size_t PairSort::build(size_t begin, size_t end) {
  Half half;
  if (end - begin == 1) {
    half.out = {begin};
    half.done = true;
  } else {
    const size_t middle = begin + (end - begin + 1) / 2;
    half.left = build(begin, middle);
    half.right = build(middle, end);
  }
  halves_.push_back(std::move(half));
  return halves_.size() - 1;
}

bool PairSort::ready(const Half& half) const {
  return !half.done && halves_[half.left].done && halves_[half.right].done;
}

std::vector<std::array<size_t, 2>> PairSort::wanted() const {
  std::vector<std::array<size_t, 2>> pairs;
  for (const Half& h : halves_)
    if (ready(h)) pairs.push_back({halves_[h.left].out[h.i], halves_[h.right].out[h.j]});
  return pairs;
}

void PairSort::tell(const std::vector<bool>& first_stands) {
  std::vector<size_t> asked;
  for (size_t k = 0; k < halves_.size(); ++k)
    if (ready(halves_[k])) asked.push_back(k);
  for (size_t at = 0; at < asked.size(); ++at) {
    Half& h = halves_[asked[at]];
    const auto &left = halves_[h.left].out, &right = halves_[h.right].out;
    if (only_best_) {
      const bool first = first_stands.at(at);
      h.out = {first ? left[0] : right[0]};
      lost_.push_back(first ? right[0] : left[0]);
      h.done = true;
      continue;
    }
    h.out.push_back(first_stands.at(at) ? left[h.i++] : right[h.j++]);
    if (h.i < left.size() && h.j < right.size()) continue;
    h.out.insert(h.out.end(), left.begin() + static_cast<std::ptrdiff_t>(h.i), left.end());
    h.out.insert(h.out.end(), right.begin() + static_cast<std::ptrdiff_t>(h.j), right.end());
    h.done = true;
  }
}

std::vector<size_t> PairSort::order() const {
  std::vector<size_t> all = halves_.empty() ? std::vector<size_t>() : halves_.back().out;
  all.insert(all.end(), lost_.rbegin(), lost_.rend());
  return all;
}

}  // namespace gavel
