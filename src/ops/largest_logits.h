// The most likely tokens of a row of logits: what is left of it where whole rows stay on the card.
#pragma once

#include <utility>
#include <vector>

namespace gavel {

constexpr int kMostLargest = 64;  // that can be asked for of a row

struct LargestLogits {
  float log_sum_exp = 0.0f;                   // natural log, over the whole vocabulary
  std::vector<std::pair<int, float>> tokens;  // largest first, of equal ones the smaller id first
  bool known = true;                          // false: too many are equal to say which
};

}  // namespace gavel
