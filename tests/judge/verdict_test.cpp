#include "judge/verdict.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/random.h"
#include "text/thought.h"
#include "verdict_cases.h"

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

// Judgements in the manner of many judges, each read twice: exchanging the answers exchanges the
// verdict. "want" X is the answer that the placeholders call @X.
TEST(Verdict, ReadsWhatJudgesWrite) {
  std::ifstream in(std::string(GAVEL_GOLDEN_DIR) + "/verdicts.jsonl");
  std::map<std::string, int> kinds;
  for (std::string line; std::getline(in, line);) {
    const auto c = nlohmann::json::parse(line);
    const std::string want = c.at("want"), text = c.at("text");
    ++kinds[c.at("kind")];
    for (const bool x_is_a : {true, false}) {
      const std::string expected = want == "X" ? x_is_a ? "A" : "B" : want;
      const std::string judgement = testing::with_answers(text, x_is_a);
      EXPECT_EQ(to_string(read(judgement)), expected) << c.at("kind") << ": " << judgement;
    }
  }
  EXPECT_GT(kinds.size(), 25u);
}

TEST(Verdict, ExchangingTheAnswersExchangesTheVerdict) {
  Random random(7, 1);
  int readable = 0;
  for (int n = 0; n < 20000; ++n) {
    std::string text;
    for (uint64_t pieces = 1 + random.below(14); pieces > 0; --pieces)
      text += testing::kPieces[random.below(std::size(testing::kPieces))];
    const Verdict one = read(testing::with_answers(text, true));
    const Verdict other = read(testing::with_answers(text, false));
    EXPECT_EQ(other, swapped(one)) << text;
    readable += one != Verdict::none ? 1 : 0;
  }
  EXPECT_GT(readable, 5000);
}

TEST(Verdict, ReadsJudgeLmScores) {
  EXPECT_EQ(read("7 9\nThe second answer is more precise."), Verdict::b);
  EXPECT_EQ(read("8.5 6\n"), Verdict::a);
  EXPECT_EQ(read("\n  5, 5 \nBoth say the same."), Verdict::tie);
  EXPECT_EQ(parse_scores("10 0.5"), (std::pair{10.0, 0.5}));
  EXPECT_EQ(parse_scores("8/10 4/5"), (std::pair{0.8, 0.8}));
  for (const char* text : {"10", "10 x", "10 5 apples", "1e999 2", "8/10", "8 / 10", "8/0 1/2",
                           "8/10 5", "8 5/10", "7-9", "", " ", "/", "8/", "8 /\n9"})
    EXPECT_FALSE(parse_scores(text)) << text;
}

TEST(Verdict, TellsWhereTheLabelStandsAndHowTheOthersWouldBeWritten) {
  using Labels = std::array<std::string, 3>;
  const auto expect = [](const std::string& text, size_t begin, const Labels& labels) {
    const ParsedVerdict parsed = parse_verdict(text);
    ASSERT_TRUE(parsed.label_begin) << text;
    EXPECT_EQ(*parsed.label_begin, begin) << text;
    EXPECT_EQ(parsed.labels, labels) << text;
  };
  expect("Because.\n\n**Verdict:** B<end>", 23, {"A", "B", "tie"});
  expect("Decision: a", 10, {"a", "b", "tie"});
  expect("2\n\n### Reason: x", 0, {"1", "2", "tie"});
  expect("[[A]]", 2, {"A", "B", "C"});
  expect("[[C]]", 2, {"A", "B", "C"});
  expect("The second answer is better.", 4, {"first", "second", "tie"});
  expect("Verdict: Tie.", 9, {"A", "B", "Tie"});
  expect("<think>\nVerdict: A\n</think>\nVerdict: B", 37, {"A", "B", "tie"});
  // No single word decides these.
  for (const char* text : {"7 9", "[[A>B]]", "A is worse than B", "Verdict: A = B"})
    EXPECT_FALSE(parse_verdict(text).label_begin) << text;
}

TEST(Verdict, AThoughtThatThePromptBeganMustEnd) {
  EXPECT_EQ(parse_verdict("Verdict: A", true).verdict, Verdict::none);
  EXPECT_EQ(parse_verdict("Verdict: A\n</think>\n\nVerdict: B", true).verdict, Verdict::b);
  EXPECT_EQ(open_thought("<|im_start|>assistant\n<think>\n"), "</think>");
  EXPECT_EQ(open_thought("[INST]Go.[/INST][THINK]"), "[/THINK]");
  EXPECT_EQ(open_thought("<think>\n\n</think>\n\n"), "");
  EXPECT_EQ(open_thought(""), "");
}

TEST(Verdict, LongAndHostileTextIsReadInLinearTime) {
  std::string text(1 << 20, '[');
  EXPECT_EQ(read(text), Verdict::none);
  for (const char* piece :
       {"verdict ", "verdict both A better ", "A than ", "<think>", "<a", "\\n[[", "[[A ", "\"",
        "A\"\"\"\"", "Answer A\n", "is ", "\xe5\x9b\x9e"}) {
    text.clear();
    while (text.size() < 300000) text += piece;
    read(text);
    EXPECT_EQ(read(text + "\n</think>\n**Verdict:** B"), Verdict::b) << piece;
  }
  EXPECT_EQ(read(std::string("\xff\xfe\0 verdict\xff: A", 16)), Verdict::a);
}

}  // namespace
}  // namespace gavel
