#include "data/question_splits.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gavel {
namespace {

// Gives each of `items`, in this order, a split: `size(item)` questions at a time, `n` in all.
template <typename Size, typename Give>
void deal(const std::vector<uint32_t>& items, size_t n, const std::array<double, 3>& shares,
          const Size& size, const Give& give) {
  const double total = shares[0] + shares[1] + shares[2];
  const auto count = [&](double share) -> size_t {
    if (share <= 0) return 0;
    return std::max<size_t>(
        static_cast<size_t>(std::llround(share / total * static_cast<double>(n))), 1);
  };
  const size_t test = std::min(count(shares[2]), n);
  const size_t valid = std::min(count(shares[1]), n - test);
  // Where train has no share, all that is over goes to one that has.
  const uint8_t rest = shares[0] > 0 ? 0 : shares[1] > 0 ? 1 : 2;
  size_t in_test = 0, in_valid = 0;
  for (const uint32_t item : items) {
    const size_t count = size(item);
    if (in_test + count <= test) {
      in_test += count;
      give(item, uint8_t{2});
    } else if (in_valid + count <= valid) {
      in_valid += count;
      give(item, uint8_t{1});
    } else {
      give(item, rest);
    }
  }
}

}  // namespace

QuestionSplits split_questions(const QuestionGroups& questions, std::span<const uint32_t> groups,
                               const std::vector<bool>& used, const std::array<double, 3>& shares) {
  std::vector<uint32_t> sizes(groups.size()), alone, items;
  for (uint32_t i = 0; i < groups.size(); ++i) {
    if (!used[i]) continue;
    alone.push_back(i);
    if (sizes[groups[i]]++ == 0) items.push_back(groups[i]);
  }
  const auto by_hash = [&](uint32_t a, uint32_t b) {
    return questions.hash(a) < questions.hash(b);
  };
  std::sort(items.begin(), items.end(), by_hash);
  std::sort(alone.begin(), alone.end(), by_hash);
  QuestionSplits out;
  out.split.resize(groups.size());
  std::vector<uint8_t> of_group(groups.size()), by_text(groups.size());
  deal(
      items, alone.size(), shares, [&](uint32_t group) { return sizes[group]; },
      [&](uint32_t group, uint8_t split) { of_group[group] = split; });
  deal(
      alone, alone.size(), shares, [](uint32_t) { return 1; },
      [&](uint32_t question, uint8_t split) { by_text[question] = split; });
  std::vector<bool> trained(groups.size());  // groups of which a part would be in train by text
  for (const uint32_t question : alone) {
    const uint32_t group = groups[question];
    out.split[question] = of_group[group];
    out.alike += sizes[group] > 1 ? 1 : 0;
    if (by_text[question] == 0) trained[group] = true;
  }
  for (const uint32_t question : alone)
    out.leaks_by_text += by_text[question] != 0 && trained[groups[question]] ? 1 : 0;
  return out;
}

}  // namespace gavel
