#include "data/question_splits.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gavel {
namespace {

struct Item {
  uint64_t hash;
  size_t size;
};

// The split of each of the items, which are in order.
std::vector<uint8_t> deal(const std::vector<Item>& items, const std::array<double, 3>& shares) {
  size_t n = 0;
  for (const Item& item : items) n += item.size;
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
  std::vector<uint8_t> out;
  size_t in_test = 0, in_valid = 0;
  for (const Item& item : items) {
    if (in_test + item.size <= test) {
      in_test += item.size;
      out.push_back(2);
    } else if (in_valid + item.size <= valid) {
      in_valid += item.size;
      out.push_back(1);
    } else {
      out.push_back(rest);
    }
  }
  return out;
}

bool by_hash(const Item& a, const Item& b) { return a.hash < b.hash; }

}  // namespace

QuestionSplits split_questions(const std::unordered_map<uint64_t, uint64_t>& groups,
                               const std::unordered_set<uint64_t>& used,
                               const std::array<double, 3>& shares) {
  std::unordered_map<uint64_t, size_t> sizes;
  std::vector<Item> alone;
  for (const uint64_t question : used) {
    ++sizes[groups.at(question)];
    alone.push_back({question, 1});
  }
  std::vector<Item> items;
  for (const auto& [group, size] : sizes) items.push_back({group, size});
  std::sort(items.begin(), items.end(), by_hash);
  std::sort(alone.begin(), alone.end(), by_hash);
  QuestionSplits out;
  const auto splits = deal(items, shares), by_text = deal(alone, shares);
  std::unordered_map<uint64_t, uint8_t> of_group;
  for (size_t i = 0; i < items.size(); ++i) of_group[items[i].hash] = splits[i];
  std::unordered_set<uint64_t> trained;  // groups of which a part would be in train by text
  for (size_t i = 0; i < alone.size(); ++i) {
    const uint64_t group = groups.at(alone[i].hash);
    out.split[alone[i].hash] = of_group.at(group);
    out.alike += sizes.at(group) > 1 ? 1 : 0;
    if (by_text[i] == 0) trained.insert(group);
  }
  for (size_t i = 0; i < alone.size(); ++i)
    out.leaks_by_text += by_text[i] != 0 && trained.contains(groups.at(alone[i].hash)) ? 1 : 0;
  return out;
}

}  // namespace gavel
