#include "data/judge_prompt.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace gavel {
namespace {

JudgePair pair_of() {
  JudgePair pair;
  pair.question = "Why {question}?";
  pair.answer_a = "Because {answer_b} {{x}}";
  pair.answer_b = "\\{?reference}";
  pair.label = Verdict::b;
  pair.reason = "Answer A is {label}.";
  return pair;
}

TEST(JudgePrompt, StandardTemplateNamesTheVerdicts) {
  JudgePair pair = pair_of();
  const auto messages = JudgeTemplate::standard().to_messages(pair);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[1].role, "user");
  EXPECT_NE(messages[1].content.find("**Verdict:** A, B or tie"), std::string::npos);
  EXPECT_EQ(messages[1].content.find("Reference"), std::string::npos);
  pair.reference = "Since.";
  EXPECT_NE(JudgeTemplate::standard().to_messages(pair)[1].content.find("Reference answer: Since."),
            std::string::npos);
  EXPECT_EQ(JudgeTemplate::standard().verdict_lead(), "**Verdict:**");
}

TEST(JudgePrompt, ValuesWithBracesStayIntact) {
  const auto t = JudgeTemplate::parse(
      "a comment {unknown}\n[user]\n{question}|{answer_a}|{answer_b} {\"json\": {}}\n"
      "[assistant]\n{reason}\n**Verdict:** {label}",
      "t");
  const auto messages = t.to_messages(pair_of());
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].content,
            "Why {question}?|Because {answer_b} {{x}}|\\{?reference} {\"json\": {}}");
  EXPECT_EQ(t.target_text(pair_of()), "Answer A is {label}.\n**Verdict:** B");
}

TEST(JudgePrompt, OptionalPartsTakeTheirLinesWithThem) {
  const auto t = JudgeTemplate::parse(
      "[user]\n{question}\n{?reference}\nRef: {reference}\n{/reference}\n{answer_a} {answer_b}"
      "{?reference} ({reference}){/reference}.",
      "t");
  JudgePair pair{.question = "q", .answer_a = "a", .answer_b = "b"};
  EXPECT_EQ(t.to_messages(pair)[0].content, "q\na b.");
  pair.reference = std::string("r");
  EXPECT_EQ(t.to_messages(pair)[0].content, "q\nRef: r\na b (r).");
}

TEST(JudgePrompt, TargetWithoutReasonIsTheVerdictAlone) {
  JudgePair pair = pair_of();
  pair.reason.clear();
  pair.label = Verdict::tie;
  EXPECT_EQ(JudgeTemplate::standard().target_text(pair), "**Verdict:** tie");
  pair.label.reset();
  EXPECT_THROW(JudgeTemplate::standard().target_text(pair), Error);
}

TEST(JudgePrompt, RefusesBadTemplatesNamingTheLine) {
  const auto message = [](std::string_view source) -> std::string {
    try {
      JudgeTemplate::parse(source, "t.txt");
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const std::string user = "[user]\n{question} {answer_a} {answer_b}\n";
  EXPECT_EQ(message(user), "");
  EXPECT_NE(message(user + "x\n{anwser}").find("t.txt:4: the placeholder {anwser}"),
            std::string::npos);
  // Of pairs it is a part of the question.
  EXPECT_NE(message(user + "{rubric}").find("t.txt:3: the placeholder {rubric}"),
            std::string::npos);
  EXPECT_NE(message(user + "{label}").find("t.txt:3: the placeholder {label}"), std::string::npos);
  EXPECT_NE(message(user + "{?reference}").find("never closed"), std::string::npos);
  EXPECT_NE(message(user + "{/reference}").find("closes no"), std::string::npos);
  EXPECT_NE(message(user + "{?reference}{?question}").find("do not nest"), std::string::npos);
  EXPECT_NE(message("[system]\nx").find("no [user] section"), std::string::npos);
  EXPECT_NE(message("[user]\n{question} {answer_a}").find("does not use {answer_b}"),
            std::string::npos);
  EXPECT_NE(message(user + "[assistant]\nno label").find("{label} once"), std::string::npos);
  EXPECT_NE(message(user + "[assistant]\n{label}").find("must come last"), std::string::npos);
  EXPECT_NE(message(user + "[assistant]\nV: {label} {reason}").find("must come last"),
            std::string::npos);
  EXPECT_NE(message(user + "[user]\nagain").find("t.txt:3: a second section [user]"),
            std::string::npos);
  EXPECT_NE(message("\xFF").find("invalid UTF-8"), std::string::npos);
}

TEST(JudgePrompt, SwappingExchangesAnswersLabelAndMentions) {
  JudgePair pair;
  pair.answer_a = "one", pair.answer_b = "two";
  pair.label = Verdict::a;
  pair.votes = {1, 0, 2};
  pair.reason =
      "Answer A is good, answer B's end is not. A dog. **Answer B** and Assistant 1; Assistants 1 "
      "and 2. Responses A or B. 1 of 2, Plan B. Answer AB.";
  const JudgePair other = swapped(pair);
  EXPECT_EQ(other.answer_a, "two");
  EXPECT_EQ(other.label, Verdict::b);
  EXPECT_EQ(other.votes, (std::vector<int>{2, 0, 1}));
  EXPECT_EQ(other.reason,
            "Answer B is good, answer A's end is not. A dog. **Answer A** and Assistant 2; "
            "Assistants 2 and 1. Responses B or A. 1 of 2, Plan B. Answer AB.");
  EXPECT_EQ(swapped(other).reason, pair.reason);
}

TEST(JudgePrompt, LabelsAreReadInAnyCase) {
  for (const Verdict v : kVerdicts) EXPECT_EQ(parse_label(to_string(v)), v);
  EXPECT_EQ(parse_label("A"), Verdict::a);
  EXPECT_EQ(parse_label("b"), Verdict::b);
  EXPECT_EQ(parse_label("Tie"), Verdict::tie);
  EXPECT_FALSE(parse_label("C"));
  EXPECT_FALSE(parse_label("none"));
  EXPECT_FALSE(parse_label(""));
}

TEST(JudgePrompt, SwappedVerdictsNameTheOtherAnswer) {
  EXPECT_EQ(swapped(Verdict::a), Verdict::b);
  EXPECT_EQ(swapped(Verdict::b), Verdict::a);
  EXPECT_EQ(swapped(Verdict::tie), Verdict::tie);
  EXPECT_EQ(swapped(Verdict::none), Verdict::none);
}

}  // namespace
}  // namespace gavel
