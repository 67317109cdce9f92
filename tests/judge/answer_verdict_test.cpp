// What is read out of a text about one answer, and what is not.
#include "judge/answer_verdict.h"

#include <gtest/gtest.h>

namespace gavel {
namespace {

std::vector<RatedPart> parts(const std::string& form) {
  return rated_parts(parse_form(form, "t", 1));
}

// The text of the value that is read; "none".
std::string read(const std::string& form, const std::string& text,
                 const std::string& lead = "**Score:**") {
  const auto of = parts(form);
  return describe_ratings(of, parse_ratings(text, of, lead).values);
}

TEST(AnswerVerdict, ScoresAreReadWhereTheyAreSaid) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"It is good.\n\n**Score:** 4", "4"},
      {"**Score:**\n4", "4"},
      {"**Score:** 2, no: **Score:** 3.", "3"},
      {"Score: 4/5", "4"},
      {"My rating is **2** out of 5.", "2"},
      {"{\"reason\": \"x\", \"score\": 5}", "5"},
      {"<score>1</score>", "1"},
      {"Well done. [RESULT] 3", "3"},
      {"I say [[4]].", "4"},
      {"\\boxed{2}", "2"},
      {"Good.\n\n**5**", "5"},
      {"3\nbecause it is short", "3"},
      {"Score: 4.0", "4"},
      {"<think>Score: 1</think>Score: 2", "2"},
      {"Score: 7", "none"},
      {"Score: 8/10", "none"},
      {"Score: 4.5", "none"},
      {"Score: 1-5", "none"},
      {"Score: 1 to 5", "none"},
      {"Score: 3 or 4", "none"},
      {"Score: 4th", "none"},
      {"Score: 40%", "none"},
      {"There are 3 reasons.", "none"},
      {"<think>Score: 1", "none"},
      {"", "none"},
      {"99999999999999999999", "none"}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(read("score 1..5", text), expected) << text;
  EXPECT_EQ(read("score 0..10", "Score: 10"), "10");
  EXPECT_EQ(read("score 0..10", "8/10"), "8");
}

TEST(AnswerVerdict, PassAndFailAreWords) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"Right.\n\n**Verdict:** pass", "pass"},
      {"**Verdict:** FAIL.", "fail"},
      {"Final decision: fail", "fail"},
      {"{\"verdict\": \"pass\"}", "pass"},
      {"[[fail]]", "fail"},
      {"It is wrong.\nFail.", "fail"},
      {"**Verdict:** pass or fail", "none"},
      {"**Verdict:** pass/fail", "none"},
      {"**Verdict:** passable", "none"},
      {"**Verdict:** not pass", "none"},
      {"It may pass this time.", "none"}};
  for (const auto& [text, expected] : cases)
    EXPECT_EQ(read("pass", text, "**Verdict:**"), expected) << text;
}

TEST(AnswerVerdict, EachCriterionIsReadByItsName) {
  const std::string form = "criteria\nfacts 1..5\ntone-of-voice 1..3";
  const std::string lead = "**Scores:**";
  EXPECT_EQ(read(form, "**Scores:**\nfacts: 4\ntone-of-voice: 2", lead),
            "facts 4, tone-of-voice 2");
  EXPECT_EQ(read(form, "facts: 1. Why?\n**Scores:**\n**Facts**: 4/5\nTone of voice = 3", lead),
            "facts 4, tone-of-voice 3");
  EXPECT_EQ(read(form, "{\"facts\": 5, \"tone_of_voice\": 1}", lead), "facts 5, tone-of-voice 1");
  EXPECT_EQ(read(form, "facts: 4", lead), "none");
  EXPECT_EQ(read(form, "facts: 4\ntone-of-voice: 5", lead), "none");
  const auto of = parts(form);
  const std::string text = "Hm.\n**Scores:**\nfacts: 4\ntone-of-voice: 2";
  const ParsedRatings parsed = parse_ratings(text, of, lead);
  EXPECT_TRUE(parsed.complete());
  EXPECT_EQ(text[parsed.begins[0]], '4');
  EXPECT_EQ(text[parsed.begins[1]], '2');
}

}  // namespace
}  // namespace gavel
