#include "judge/best_of.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "data/raw_records.h"
#include "fake_judge.h"
#include "judge/pair_sort.h"

namespace gavel {
namespace {

// How many comparisons it took.
int64_t run(PairSort& sort, const std::vector<int>& values) {
  int64_t count = 0;
  for (auto wanted = sort.wanted(); !wanted.empty(); wanted = sort.wanted()) {
    std::vector<bool> told;
    for (const auto& [a, b] : wanted) told.push_back(values[a] >= values[b]);
    count += static_cast<int64_t>(told.size());
    sort.tell(told);
  }
  return count;
}

TEST(PairSort, OrdersWithFewComparisons) {
  Random random(1);
  for (size_t n = 1; n < 40; ++n) {
    std::vector<int> values(n);
    for (int& v : values) v = static_cast<int>(random.uniform() * 10);  // with equal ones
    std::vector<size_t> want(n);
    std::iota(want.begin(), want.end(), size_t{0});
    std::stable_sort(want.begin(), want.end(),
                     [&](size_t a, size_t b) { return values[a] > values[b]; });
    PairSort whole(n, false);
    const double levels = std::ceil(std::log2(static_cast<double>(n)));
    EXPECT_LE(static_cast<double>(run(whole, values)),
              static_cast<double>(n) * levels - std::pow(2.0, levels) + 1);
    EXPECT_EQ(whole.order(), want) << n;
    PairSort best(n, true);
    EXPECT_EQ(run(best, values), static_cast<int64_t>(n) - 1);
    EXPECT_EQ(best.order()[0], want[0]) << n;
    auto all = best.order();
    std::sort(all.begin(), all.end());
    EXPECT_EQ(std::unique(all.begin(), all.end()) - all.begin(), static_cast<std::ptrdiff_t>(n));
  }
}

// A judge that prefers the answer with the more exclamation marks.
JudgeModel more_marks() {
  return testing::fake_judge([](const std::string& prompt) {
    const size_t b = prompt.rfind("Answer B");
    const auto marks = [](std::string_view text) {
      return std::count(text.begin(), text.end(), '!');
    };
    const auto first = marks(std::string_view(prompt).substr(0, b)),
               second = marks(std::string_view(prompt).substr(b));
    if (first == second) return testing::FakeAnswer{"**Verdict:** tie", {0.2, 0.2, 0.6}};
    return first > second ? testing::FakeAnswer{"**Verdict:** A", {0.8, 0.1, 0.1}}
                          : testing::FakeAnswer{"**Verdict:** B", {0.1, 0.8, 0.1}};
  });
}

TEST(BestOf, ListsOfAnyLengthAreRankedTogether) {
  AnswerList four, two;
  four.row.question = two.row.question = "q";
  four.answers = {"a!", "b!!!", "c", "d!!"};
  two.answers = {"x", "y"};  // a tie: the earlier one stands
  const std::vector<AnswerList> lists = {four, two};
  const auto model = more_marks();
  const auto whole = rank_answers(model, lists, {.second_order = false}, true);
  EXPECT_EQ(whole[0].order, (std::vector<size_t>{1, 3, 0, 2}));
  EXPECT_EQ(whole[1].order, (std::vector<size_t>{0, 1}));
  EXPECT_EQ(whole[1].judgements, 1);
  EXPECT_LE(whole[0].judgements, 5);
  const auto best = rank_answers(model, lists, {.second_order = false}, false);
  EXPECT_EQ(best[0].order[0], 1u);
  EXPECT_EQ(best[0].judgements, 3);
  JudgeModel single = model;
  single.prompt = JudgeTemplate::standard_of_scale("1..5");
  EXPECT_THROW(rank_answers(single, lists, {}, true), UsageError);
}

TEST(BestOf, ARecordMayHoldAConversation) {
  const auto record = nlohmann::ordered_json::parse(
      R"({"question": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"},
          {"role": "user", "content": "Why?"}], "answers": ["x", "y"], "rubric": "Is it kind?",
          "reference": "r", "id": 7})");
  const AnswerList list = answer_list(record, 3);
  EXPECT_EQ(list.row.question,
            "User: Hi\n\nAssistant: Yes?\n\nUser: Why?\n\nCriterion: Is it kind?");
  EXPECT_EQ(list.row.reference, "r");
  EXPECT_EQ(list.row.id, "7");
  EXPECT_EQ(list.answers, (std::vector<std::string>{"x", "y"}));
  for (const char* bad :
       {R"({"question": 7, "answers": ["x", "y"]})", R"({"question": [], "answers": ["x", "y"]})",
        R"({"question": "q", "answers": ["x"]})"})
    EXPECT_THROW(answer_list(nlohmann::ordered_json::parse(bad), 1), RecordFault) << bad;
}

}  // namespace
}  // namespace gavel
