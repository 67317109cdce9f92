#include "judge/verdict.h"

#include <gtest/gtest.h>

#include <string>

namespace gavel {
namespace {

Verdict read(std::string_view text) { return parse_verdict(text).verdict; }

TEST(Verdict, ReadsTheFormThatAJudgeIsTrainedToWrite) {
  for (const Verdict v : kVerdicts) {
    JudgePair pair;
    pair.label = v;
    EXPECT_EQ(read(JudgeTemplate::standard().target_text(pair)), v);
    pair.reason = "A is nice, B is not.";
    EXPECT_EQ(read(JudgeTemplate::standard().target_text(pair) + "\n"), v);
  }
}

TEST(Verdict, ReadsVariantsOfTheStatement) {
  for (const char* text : {"Verdict: A",
                           "verdict: a",
                           "VERDICT - A",
                           "**Verdict**: A",
                           "**Verdict: A**",
                           "## Verdict\nA",
                           "**Verdict:** Answer A",
                           "**Verdict:** [[A]]",
                           "**Verdict:** (A)",
                           "**Verdict:** \"A\".",
                           "Final verdict: A is better",
                           "My verdict is that answer A wins.",
                           "The verdict goes to A",
                           "verdict: Answer 1",
                           "Verdict: the first answer",
                           "Verdict: A > B",
                           "Verdict: B < A",
                           "**Verdict:**\n\n**A**",
                           "Verdict\xEF\xBC\x9A A",
                           "**Verdict:** A<|im_end|>",
                           "**Verdict:** A, because B is wrong"})
    EXPECT_EQ(read(text), Verdict::a) << text;
  for (const char* text :
       {"Verdict: B", "_Verdict_: `B`", "verdict: assistant B", "Verdict: Response 2",
        "Verdict = b", "**Verdict:** {B}", "Verdict: in favor of B"})
    EXPECT_EQ(read(text), Verdict::b) << text;
  for (const char* text :
       {"Verdict: tie", "**Verdict:** Tie.", "Verdict: a tie", "Verdict: A tie", "verdict: equal",
        "Verdict: both are equal", "Verdict: It's a draw", "Verdict: [[C]]", "Verdict: neither",
        "Verdict: A and B are equal", "Verdict: A = B", "Verdict: Answer A and Answer B tie"})
    EXPECT_EQ(read(text), Verdict::tie) << text;
}

TEST(Verdict, TheLastStatementWins) {
  EXPECT_EQ(read("**Verdict:** A\nOn reflection:\n**Verdict:** B"), Verdict::b);
  EXPECT_EQ(read("Verdict: B. No, verdict: A."), Verdict::a);
  EXPECT_EQ(read("**Verdict:** tie\nThis verdict follows from the facts."), Verdict::tie);
  EXPECT_EQ(read("[[A]] ... [[B]]"), Verdict::b);
  EXPECT_EQ(read("[[A]] is my first thought. **Verdict:** B"), Verdict::b);
}

TEST(Verdict, NoVerdictIsNone) {
  for (const char* text : {"",
                           "\n \t",
                           "I cannot decide.",
                           "**Verdict:**",
                           "**Verdict:** A, B or tie",
                           "Verdict: A or B",
                           "Verdict: A/B",
                           "Verdict: C",
                           "Verdict: Apple",
                           "Verdict: banana",
                           "Verdict: A is not better",
                           "Verdict: A is worse",
                           "A better approach would be longer.",
                           "Answer A is not better than Answer B",
                           "Paris is the capital.",
                           "7",
                           "7 8 9",
                           "nan inf",
                           "The verdict depends on taste",
                           "[[",
                           "[[D]]",
                           "Verdict: answer A and answer B differ"})
    EXPECT_EQ(read(text), Verdict::none) << text;
}

TEST(Verdict, ReadsJudgeLmScores) {
  EXPECT_EQ(read("7 9\nThe second answer is more precise."), Verdict::b);
  EXPECT_EQ(read("8.5 6\n"), Verdict::a);
  EXPECT_EQ(read("\n  5, 5 \nBoth say the same."), Verdict::tie);
  EXPECT_EQ(read("7 9\n**Verdict:** A"), Verdict::a);
  EXPECT_EQ(read("7 9\nAnswer A is better in style."), Verdict::b);
  EXPECT_EQ(parse_scores("10 0.5"), (std::pair{10.0, 0.5}));
  EXPECT_FALSE(parse_scores("10"));
  EXPECT_FALSE(parse_scores("10 x"));
  EXPECT_FALSE(parse_scores("10 5 apples"));
  EXPECT_FALSE(parse_scores("1e999 2"));
}

TEST(Verdict, FallsBackOnPlainWords) {
  EXPECT_EQ(read("A"), Verdict::a);
  EXPECT_EQ(read("The facts favour it.\nAnswer B."), Verdict::b);
  EXPECT_EQ(read("Well.\nIt is a tie"), Verdict::tie);
  EXPECT_EQ(read("So Answer B is clearly better than Answer A."), Verdict::b);
  EXPECT_EQ(read("A is better."), Verdict::a);
  EXPECT_EQ(read("The better answer is A."), Verdict::a);
  EXPECT_EQ(read("The winner is assistant B!"), Verdict::b);
  EXPECT_EQ(read("I prefer response A for its detail."), Verdict::a);
  EXPECT_EQ(read("They are equally good."), Verdict::tie);
}

TEST(Verdict, TellsWhereTheLabelStands) {
  const std::string text = "Because.\n\n**Verdict:** B<end>";
  const auto parsed = parse_verdict(text);
  ASSERT_TRUE(parsed.label_begin);
  EXPECT_EQ(*parsed.label_begin, text.find("B<"));
  EXPECT_FALSE(parse_verdict("7 9").label_begin);
}

TEST(Verdict, LongAndHostileTextIsRead) {
  std::string text(1 << 20, '[');
  EXPECT_EQ(read(text), Verdict::none);
  text.clear();
  for (int i = 0; i < 20000; ++i) text += "verdict ";
  EXPECT_EQ(read(text), Verdict::none);
  EXPECT_EQ(read(text + "\n**Verdict:** B"), Verdict::b);
  EXPECT_EQ(read(std::string("\xff\xfe\0 verdict\xff: A", 16)), Verdict::a);
}

}  // namespace
}  // namespace gavel
