#include "data/demo_reasons.h"

#include <gtest/gtest.h>

#include <map>

#include "data/demo_set.h"

namespace gavel {
namespace {

std::string with_places_exchanged(std::string text) {
  for (size_t at = 0; (at = text.find("nswer ", at)) != std::string::npos; at += 6)
    text[at + 6] = text[at + 6] == 'A' ? 'B' : 'A';
  return text;
}

TEST(DemoReasons, TheSetsOwnReasonsHoldOfTheWorseAnswerAndNotOfTheBetter) {
  std::map<std::string, int> seen;
  for (const JudgePair& pair : make_demo_pairs(21, 3000)) {
    ++seen[pair.category];
    const std::string context =
        pair.reason + "\n" + pair.question + "\n" + pair.answer_a + "\n" + pair.answer_b;
    EXPECT_EQ(check_reason(pair, pair.reason), StatedFact::holds) << context;
    const JudgePair other = swapped(pair);
    EXPECT_EQ(check_reason(other, other.reason + "\n\n**Verdict:** A"), StatedFact::holds)
        << context;
    EXPECT_EQ(check_reason(pair, with_places_exchanged(pair.reason)), StatedFact::fails) << context;
  }
  EXPECT_EQ(seen.size(), demo_forms().size());
}

TEST(DemoReasons, ReasonsOfPairsOfOtherFormsDoNotHold) {
  // No answer has two flaws that can be stated.
  const auto pairs = make_demo_pairs(22, 1500);
  for (size_t i = 0; i < pairs.size(); ++i) {
    const JudgePair& other = pairs[(i + 7) % pairs.size()];
    if (other.category == pairs[i].category || other.label != pairs[i].label) continue;
    if (other.category == "yes_or_no") continue;  // "is wrong" is true of wrong facts and sums, too
    EXPECT_EQ(check_reason(pairs[i], other.reason), StatedFact::fails) << other.reason << "\n"
                                                                       << pairs[i].question << "\n"
                                                                       << pairs[i].answer_a << "\n"
                                                                       << pairs[i].answer_b;
  }
}

JudgePair asked(std::string question, std::string a, std::string b) {
  JudgePair pair;
  pair.question = std::move(question);
  pair.answer_a = std::move(a);
  pair.answer_b = std::move(b);
  return pair;
}

TEST(DemoReasons, ValuesAreLookedUpAndComputed) {
  const auto holds = [](const JudgePair& pair, const std::string& said) {
    return check_reason(pair, "Answer A is better: answer B " + said + ".") == StatedFact::holds;
  };
  const JudgePair sum = asked("What is 17 + 25?", "17 + 25 = 42", "17 + 25 = 41");
  EXPECT_TRUE(holds(sum, "says 41 instead of 42"));
  EXPECT_TRUE(holds(sum, "is wrong"));
  EXPECT_FALSE(holds(sum, "says 41 instead of 43"));
  EXPECT_FALSE(holds(sum, "says 40 instead of 42"));
  EXPECT_FALSE(holds(swapped(sum), "says 42 instead of 41"));
  const JudgePair fact =
      asked("What is the capital of France?", "Paris.", "The capital of France is Lyon.");
  EXPECT_TRUE(holds(fact, "says Lyon instead of Paris"));
  EXPECT_FALSE(holds(fact, "says France instead of Paris"));
  EXPECT_FALSE(holds(fact, "says Lyon instead of Rome"));
  const JudgePair place = asked("Where would you find airplanes?", "An airport.", "A zoo.");
  EXPECT_TRUE(holds(place, "says zoo instead of airport"));  // as the set's own reasons say it
  EXPECT_FALSE(holds(place, "says a zoo instead of an airport"));
  EXPECT_FALSE(holds(place, "says farm instead of airport"));
  const JudgePair next = asked("Which number comes next: 3, 5, 7, 9?", "The next number is 11.",
                               "The next number is 12.");
  EXPECT_TRUE(holds(next, "says 12 instead of 11"));
  EXPECT_FALSE(holds(next, "says 12 instead of 10"));
}

TEST(DemoReasons, WordsRunTogetherAreNeitherJumbledNorMisspelled) {
  const std::string good = "Ice is water that has frozen and become solid.";
  const JudgePair pair = asked("What is ice?", good, "Iceiswaterthathasfrozenandbecomesolid.");
  const auto said = [&](const JudgePair& of, const std::string& what) {
    return check_reason(of, "Answer A is better: answer B " + what + ".");
  };
  EXPECT_EQ(said(pair, "runs its words together"), StatedFact::holds);
  for (const char* other : {"has its words in the wrong order", "is full of spelling mistakes",
                            "is only random letters", "stops in the middle of a sentence"})
    EXPECT_EQ(said(pair, other), StatedFact::fails) << other;
  EXPECT_EQ(said(asked("What is ice?", "x", good), "runs its words together"), StatedFact::fails);
}

TEST(DemoReasons, WhatIsNoReasonOfTheSetStatesNothing) {
  const JudgePair pair = asked("What is ice?", "Yes.", "No.");
  for (const char* text : {"", "Answer A is better.", "Answer A is better: answer A is rude.",
                           "Answer A is better: answer B is blue.", "**Verdict:** A",
                           "Answer A is better: answer B is rude"})
    EXPECT_EQ(check_reason(pair, text), StatedFact::none) << text;
  // A claim about a number that no integer holds is no known sum.
  EXPECT_EQ(check_reason(asked("What is 99999999999999999999 + 1?", "2", "3"),
                         "Answer A is better: answer B says 3 instead of 2."),
            StatedFact::fails);
}

}  // namespace
}  // namespace gavel
