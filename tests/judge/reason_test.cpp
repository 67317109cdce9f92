#include "judge/reason.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/random.h"
#include "judge/verdict.h"
#include "verdict_cases.h"

namespace gavel {
namespace {

TEST(Reason, IsReadWithoutTheVerdict) {
  struct Case {
    const char* text;
    Verdict verdict, reason;
  };
  const Case cases[] = {
      {"Answer B is more accurate than answer A.\n\n**Verdict:** A", Verdict::a, Verdict::b},
      {"Answer A is better. It cites its source.\n\n**Verdict:** A", Verdict::a, Verdict::a},
      {"A is short. B repeats itself.\n\n**Verdict:** B", Verdict::b, Verdict::none},
      {"**Verdict:** A", Verdict::a, Verdict::none},
      {"I prefer answer B. My final verdict is A.", Verdict::a, Verdict::b},
      {"A\n\nAnswer B is more precise than answer A.", Verdict::a, Verdict::b},
      {"7 9\nAssistant 1 is better than assistant 2.", Verdict::b, Verdict::a},
      {"Answer A is better.\n[[A>>B]]", Verdict::a, Verdict::a},
      {"They are equally good.\n\n**Verdict:** B", Verdict::b, Verdict::tie},
      // The verdict is the reason's own sentence: nothing to compare.
      {"Answer A is worse than answer B.", Verdict::b, Verdict::none},
      // A thought is no reason.
      {"<think>Answer B is better.</think>Answer A is better.\n**Verdict:** A", Verdict::a,
       Verdict::a},
      {"", Verdict::none, Verdict::none}};
  for (const Case& c : cases) {
    EXPECT_EQ(parse_verdict(c.text).verdict, c.verdict) << c.text;
    EXPECT_EQ(reason_verdict(c.text, ""), c.reason) << c.text;
  }
  // Where the prompt begins the thought, the text goes on with it.
  EXPECT_EQ(reason_verdict("Answer B is better.</think>\n**Verdict:** A", "<think>\n"),
            Verdict::none);
  EXPECT_EQ(reason_verdict("Answer B is better.", "<think>\n"), Verdict::none);
}

TEST(Reason, OfAnyTextEndsAndExchangesWithTheAnswers) {
  Random random(9, 1);
  int readable = 0;
  for (int n = 0; n < 10000; ++n) {
    std::string text;
    for (uint64_t pieces = 1 + random.below(14); pieces > 0; --pieces)
      text += testing::kPieces[random.below(std::size(testing::kPieces))];
    const Verdict one = reason_verdict(testing::with_answers(text, true), "");
    EXPECT_EQ(reason_verdict(testing::with_answers(text, false), ""), swapped(one)) << text;
    readable += one != Verdict::none ? 1 : 0;
  }
  EXPECT_GT(readable, 40);
}

TEST(Reason, CountsThoseThatPreferTheOtherAnswer) {
  std::vector<Judgement> judgements(10);
  for (size_t i = 0; i < judgements.size(); ++i) {
    Judgement& j = judgements[i];
    j.first_order = Verdict::a;
    j.second_order = i < 5 ? Verdict::b : Verdict::tie;  // a tie is left out
    j.reasons = {i < 2 ? Verdict::b : i < 8 ? Verdict::a : Verdict::none, Verdict::b};
  }
  BootstrapOptions options;
  options.resamples = 200;
  const ReasonAgreement r = reason_agreement(judgements, options);
  EXPECT_EQ(r.written, 15);
  EXPECT_EQ(r.preferring, 13);
  EXPECT_DOUBLE_EQ(r.against.value, 2.0 / 13);
  EXPECT_LT(r.against.low, r.against.value);
  EXPECT_GT(r.against.high, r.against.value);
  EXPECT_FALSE(reasons_json(judgements, options).is_null());
  for (Judgement& j : judgements) j.reasons = {Verdict::none, Verdict::none};
  EXPECT_TRUE(reasons_json(judgements, options).is_null());
}

}  // namespace
}  // namespace gavel
