#include "judge/judge.h"

#include <gtest/gtest.h>

#include "fake_judge.h"
#include "judge/judge_stream.h"

namespace gavel {
namespace {

using testing::fake_judge;
using testing::FakeOpinion;
using testing::pair_of;
using testing::prefers_good;

const std::vector<JudgePair> kPairs = {pair_of("q1", "good", "bad", Verdict::a),
                                       pair_of("q2", "bad", "good", Verdict::b)};

TEST(Judge, ReadsTheVerdictAndItsProbabilities) {
  JudgeOptions options;
  const auto judged = judge_pairs(fake_judge(prefers_good), kPairs, options);
  ASSERT_EQ(judged.size(), 2u);
  EXPECT_EQ(judged[0].verdict, Verdict::a);
  // Nothing after the verdict's line is written.
  EXPECT_EQ(judged[0].first.text, "First.\n\n**Verdict:** A\n");
  EXPECT_EQ(judged[0].first.tokens, static_cast<int64_t>(judged[0].first.text.size()));
  ASSERT_TRUE(judged[0].first.probabilities);
  EXPECT_NEAR((*judged[0].first.probabilities)[0], 0.9, 1e-9);
  EXPECT_NEAR(*confidence(judged[0]), 0.9, 1e-9);
  // In the other order the good answer is B; verdict and probabilities are mapped back.
  ASSERT_TRUE(judged[0].second);
  EXPECT_EQ(judged[0].second->verdict, Verdict::a);
  EXPECT_NEAR((*judged[0].second->probabilities)[0], 0.8, 1e-9);
  EXPECT_NEAR((*judged[0].second->probabilities)[1], 0.15, 1e-9);
  EXPECT_EQ(judged[1].verdict, Verdict::b);
  EXPECT_NE(judged[0].first.prompt.find("Answer A: good"), std::string::npos);
  EXPECT_NE(judged[0].second->prompt.find("Answer A: bad"), std::string::npos);
}

TEST(Judge, ScoresTheLabelsDirectly) {
  JudgeOptions options;
  options.mode = JudgeMode::verdict;
  options.second_order = false;
  int64_t asked = 0;
  std::string seen;
  const auto judged = judge_pairs(fake_judge(
                                      [&](const std::string& prompt) {
                                        seen = prompt;
                                        return prefers_good(prompt);
                                      },
                                      &asked),
                                  kPairs, options);
  EXPECT_EQ(asked, 2);
  EXPECT_TRUE(seen.ends_with("<judge>**Verdict:** ")) << seen;  // what the three labels share
  EXPECT_EQ(judged[1].verdict, Verdict::b);
  EXPECT_NEAR((*judged[1].probabilities)[1], 0.8, 1e-9);
  EXPECT_EQ(judged[1].first.text, "**Verdict:** B");
  EXPECT_FALSE(judged[0].second);
}

// As in training: a thought that the prompt opens is closed before the verdict.
TEST(Judge, ScoresTheLabelsWhereTrainingHasThem) {
  JudgeOptions options;
  options.mode = JudgeMode::verdict;
  std::string seen;
  JudgeModel judge = fake_judge([&](const std::string& prompt) {
    seen = prompt;
    return prefers_good(prompt);
  });
  judge.encoder.chat_template.emplace(
      "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
      "{% if add_generation_prompt %}<assistant><think>\n{% endif %}");
  const auto judged = judge_pairs(judge, kPairs, options);
  EXPECT_TRUE(seen.ends_with("<assistant><think>\n\n</think>\n\n**Verdict:** ")) << seen;
  EXPECT_EQ(judged[1].verdict, Verdict::b);
}

TEST(Judge, BothOrdersAverage) {
  JudgeOptions options;
  options.both_orders = true;
  // A judge that always takes the first answer, surer of itself where that says "good".
  const auto biased = [](const std::string& prompt) {
    const bool good_first = prompt.find("good") < prompt.find("Answer B:");
    return testing::FakeAnswer{
        "**Verdict:** A", good_first ? Probabilities{0.9, 0.1, 0} : Probabilities{0.6, 0.4, 0}};
  };
  const auto judged = judge_pairs(fake_judge(biased), kPairs, options);
  EXPECT_EQ(judged[0].first.verdict, Verdict::a);
  EXPECT_EQ(judged[0].second->verdict, Verdict::b);
  EXPECT_EQ(judged[0].verdict, Verdict::a);  // (0.9 + 0.4) / 2 against (0.1 + 0.6) / 2
  EXPECT_NEAR((*judged[0].probabilities)[0], 0.65, 1e-9);
  EXPECT_EQ(judged[1].verdict, Verdict::b);
  options.map.temperature = 2;
  const auto cooler = judge_pairs(fake_judge(biased), kPairs, options);
  EXPECT_LT(*confidence(cooler[0]), 0.65);
  EXPECT_EQ(cooler[0].verdict, Verdict::a);
  // A map of the confidence changes the probabilities, and no verdict.
  options.map = {};
  options.map.method = CalibrationMethod::isotonic;
  options.map.confidence = {0.5, 0.7};
  options.map.right = {0.2, 0.4};
  const auto mapped_pairs = judge_pairs(fake_judge(biased), kPairs, options);
  EXPECT_NEAR(*confidence(mapped_pairs[0]), 0.35, 1e-6);
  EXPECT_EQ(mapped_pairs[0].verdict, Verdict::a);
}

TEST(Judge, WithoutAVerdictThereIsNone) {
  const auto silent = [](const std::string&) { return testing::FakeAnswer{"I cannot say.", {}}; };
  const auto judged = judge_pairs(fake_judge(silent), kPairs, {});
  EXPECT_EQ(judged[0].verdict, Verdict::none);
  EXPECT_FALSE(judged[0].probabilities);
  EXPECT_FALSE(confidence(judged[0]));
  const auto json = judged_json(kPairs[0], judged[0]);
  EXPECT_EQ(json["verdict"], "none");
  EXPECT_TRUE(json["confidence"].is_null());
}

TEST(Judge, AThoughtIsNoVerdictAndIsNotEndedByOne) {
  const std::string thought = "<think>\nSo, **Verdict:** B\nor not?\n</think>\n\n";
  const auto thinks = [&](const std::string&) {
    return testing::FakeAnswer{thought + "**Verdict:** A\nmore", {0.7, 0.2, 0.1}};
  };
  JudgeOptions options;
  options.second_order = false;
  const auto one = std::span(kPairs).first(1);
  auto judged = judge_pairs(fake_judge(thinks), one, options);
  EXPECT_EQ(judged[0].verdict, Verdict::a);
  EXPECT_EQ(judged[0].first.text, thought + "**Verdict:** A\n");
  EXPECT_NEAR((*judged[0].probabilities)[0], 0.7, 1e-9);
  options.max_tokens = 30;  // within the thought, after its verdict's line
  judged = judge_pairs(fake_judge(thinks), one, options);
  EXPECT_EQ(judged[0].first.tokens, 30);
  EXPECT_EQ(judged[0].verdict, Verdict::none);
  EXPECT_FALSE(judged[0].probabilities);
}

TEST(Judge, AThoughtThatThePromptBeginsIsEndedBeforeLabelsAreScored) {
  const auto templated = [](const FakeOpinion& opinion, const char* chat_template) {
    JudgeModel judge = fake_judge(opinion);
    judge.encoder.chat_template.emplace(chat_template);
    return judge;
  };
  constexpr const char* kBegins =
      "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
      "{% if add_generation_prompt %}<judge><think>\n{% endif %}";
  JudgeOptions options;
  options.second_order = false;
  std::string seen;
  const auto watch = [&](const std::string& prompt) {
    seen = prompt;
    return testing::FakeAnswer{"**Verdict:** B\n</think>\n**Verdict:** A\n", {0.7, 0.2, 0.1}};
  };
  const auto one = std::span(kPairs).first(1);
  const auto judged = judge_pairs(templated(watch, kBegins), one, options);
  EXPECT_EQ(judged[0].verdict, Verdict::a);
  options.mode = JudgeMode::verdict;
  judge_pairs(templated(watch, kBegins), one, options);
  EXPECT_TRUE(seen.ends_with("<judge><think>\n\n</think>\n\n**Verdict:** ")) << seen;
  // A template that writes an empty thought before the assistant's text, as Qwen3's does.
  constexpr const char* kEmpty =
      "{% for m in messages %}<{{ m['role'] }}>{% if m['role'] == 'assistant' %}"
      "<think>\n\n</think>\n\n{% endif %}{{ m['content'] }}{% endfor %}"
      "{% if add_generation_prompt %}<assistant>{% endif %}";
  judge_pairs(templated(watch, kEmpty), one, options);
  EXPECT_TRUE(seen.ends_with("<assistant><think>\n\n</think>\n\n**Verdict:** ")) << seen;
}

TEST(Judge, ResponsesEndAtMaxTokens) {
  JudgeOptions options;
  options.max_tokens = 5;
  const auto judged = judge_pairs(fake_judge(prefers_good), kPairs, options);
  EXPECT_EQ(judged[0].first.text, "First");
  EXPECT_EQ(judged[0].verdict, Verdict::none);
}

TEST(Judge, AnEndlessPairIsNotAsked) {
  int64_t asked = 0;
  JudgeModel judge = fake_judge(prefers_good, &asked);
  judge.max_prompt_tokens = 2000;
  const std::vector pairs = {pair_of("q", std::string(5000, 'x'), "good", Verdict::b), kPairs[0]};
  JudgeOptions options;
  options.second_order = false;
  const auto judged = judge_pairs(judge, pairs, options);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(judged[0].verdict, Verdict::none);
  EXPECT_NE(judged[0].first.problem.find("the model takes 2000"), std::string::npos);
  EXPECT_EQ(judged[1].verdict, Verdict::a);
}

TEST(Judge, ALabelThatIsNotAmongTheLikelyTokensIsLessLikely) {
  JudgeModel judge = fake_judge(prefers_good);
  const auto write = judge.write;
  judge.write = [&](std::vector<std::vector<int>> prompts, int max_tokens,
                    const JudgeModel::GoOn& go_on) {
    auto all = write(std::move(prompts), max_tokens, go_on);
    for (auto& written : all)
      for (auto& logprobs : written.logprobs)
        if (logprobs.top.size() == 3) logprobs.top = {{'A', std::log(0.9)}, {'x', std::log(0.1)}};
    return all;
  };
  JudgeOptions options;
  options.second_order = false;
  const auto judged = judge_pairs(judge, std::span(kPairs).first(1), options);
  ASSERT_TRUE(judged[0].probabilities);
  EXPECT_NEAR((*judged[0].probabilities)[0], 0.9 / 1.1, 1e-9);
}

}  // namespace
}  // namespace gavel
