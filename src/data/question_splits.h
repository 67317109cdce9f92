// Which questions go to train, valid and test.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "data/duplicates.h"

namespace gavel {

struct QuestionSplits {
  std::vector<uint8_t> split;  // by the questions' numbers: 0 train, 1 valid, 2 test
  int64_t alike = 0;           // questions that are nearly the same as another one
  // Questions of valid and test that would have one like them in train, were the split by text.
  int64_t leaks_by_text = 0;
};

// Groups of nearly equal questions (`groups`, as QuestionGroups::groups gives them) are ordered by
// their hash: the lowest go to test, the next to valid, as far as they fit, so that no group is in
// two splits and a question stays in its split when others come and go, but for those at the
// borders. `shares` need not sum to 1. Questions that are not `used` are left alone.
QuestionSplits split_questions(const QuestionGroups& questions, std::span<const uint32_t> groups,
                               const std::vector<bool>& used, const std::array<double, 3>& shares);

}  // namespace gavel
