// Judging one answer without a model: what is asked, read and kept.
#include "judge/rate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "fake_judge.h"
#include "folder_test.h"
#include "judge/answer_metrics.h"
#include "judge/judgement_log.h"

namespace gavel {
namespace {

// Probabilities of the next byte, given the text so far; writes `text`.
JudgeModel byte_judge(const JudgeTemplate& prompt, const std::string& text,
                      const std::function<double(const std::string& before, char next)>& p) {
  JudgeModel judge{testing::byte_encoder(), prompt, 100000, nullptr, nullptr};
  const Tokenizer tokenizer = judge.encoder.tokenizer;
  judge.score = [=](std::span<const ScoreRequest> requests) {
    std::vector<std::vector<double>> all;
    for (const ScoreRequest& r : requests) {
      auto& of = all.emplace_back();
      for (const auto& candidate : r.candidates) {
        std::string before = tokenizer.decode(r.prompt);
        double logprob = 0;
        for (const int token : candidate) {
          logprob += std::log(p(before, static_cast<char>(token)));
          before += static_cast<char>(token);
        }
        of.push_back(logprob);
      }
    }
    return all;
  };
  judge.write = [=](std::vector<std::vector<int>> prompts, int, const JudgeModel::GoOn& go_on) {
    std::vector<Written> all(prompts.size());
    for (size_t i = 0; i < prompts.size(); ++i)
      for (size_t t = 0; t < text.size(); ++t) {
        const int id = static_cast<unsigned char>(text[t]);
        TokenLogprobs logprobs{0, {}};
        for (int c = '0'; c <= '9'; ++c)
          logprobs.top.emplace_back(c, std::log(p(text.substr(0, t), static_cast<char>(c))));
        if (text[t] >= '0' && text[t] <= '9')
          logprobs.chosen = std::log(p(text.substr(0, t), text[t]));
        all[i].tokens.push_back(id);
        all[i].logprobs.push_back(logprobs);
        if (!go_on(i, id)) break;
      }
    return all;
  };
  return judge;
}

JudgePair answer(double score) {
  JudgePair row;
  row.question = "q";
  row.answer_a = "a";
  row.single = true;
  row.scores = {{"score", score}};
  return row;
}

TEST(Rate, AScoreIsTheMostProbableIntegerAndItsExpectation) {
  // "1" goes on to "10" half of the time.
  const auto p = [](const std::string& before, char next) {
    if (before.ends_with("1")) return next == '0' ? 0.5 : 1e-9;
    return next == '1' ? 0.4 : next == '2' ? 0.3 : 0.3 / 8;
  };
  const auto judge = byte_judge(JudgeTemplate::standard_of_scale("1..10"), "", p);
  JudgeOptions options;
  options.mode = JudgeMode::verdict;
  const std::vector<JudgePair> rows = {answer(2)};
  const JudgedPair out = judge_pairs(judge, rows, options)[0];
  ASSERT_EQ(out.ratings.size(), 1u);
  const Rating& r = out.ratings[0];
  EXPECT_EQ(r.label, 2);
  EXPECT_EQ(r.value, 2);
  const double sum = 0.2 + 0.3 + 7 * 0.3 / 8 + 0.2;
  EXPECT_NEAR(r.probabilities[0], 0.2 / sum, 1e-9);
  EXPECT_NEAR(r.probabilities[9], 0.2 / sum, 1e-9);
  double expected = 0;
  for (int k = 0; k < 10; ++k) expected += (k + 1) * r.probabilities[static_cast<size_t>(k)];
  EXPECT_NEAR(r.expected(), expected, 1e-12);
  EXPECT_EQ(out.first.text, "**Score:** 2");
  EXPECT_NEAR(*confidence(out), r.probabilities[1], 1e-12);
}

TEST(Rate, AWrittenScoreHasTheProbabilitiesWhereItStands) {
  const auto judge =
      byte_judge(JudgeTemplate::standard(FormKind::score), "Good.\n\n**Score:** 4\nmore",
                 [](const std::string&, char next) { return next == '4' ? 0.5 : 0.1; });
  const std::vector<JudgePair> rows = {answer(5)};
  const JudgedPair out = judge_pairs(judge, rows, {})[0];
  EXPECT_EQ(out.first.text, "Good.\n\n**Score:** 4\n");
  EXPECT_EQ(out.ratings[0].value, 4);
  ASSERT_EQ(out.ratings[0].probabilities.size(), 5u);
  EXPECT_NEAR(out.ratings[0].probabilities[3], 0.5 / 0.9, 1e-12);
}

TEST(Rate, CriteriaAreScoredOneBehindTheOther) {
  const auto prompt = JudgeTemplate::parse(
      "[form]\ncriteria\nfacts 1..3\ntone 1..3 weight 3\n[user]\n{question} {answer}\n"
      "[assistant]\n**Scores:**\n{label}",
      "t");
  // The second is what the first was.
  const auto judge = byte_judge(prompt, "", [](const std::string& before, char next) {
    EXPECT_TRUE(before.ends_with("<judge>**Scores:**\nfacts: ") ||
                before.ends_with("<judge>**Scores:**\nfacts: 3\ntone: "))
        << before;
    return next == '3' ? 0.8 : 0.1;
  });
  JudgeOptions options;
  options.mode = JudgeMode::verdict;
  JudgePair row = answer(0);
  row.scores = {{"facts", 1}, {"tone", 3}};
  const std::vector<JudgePair> rows = {row};
  const JudgedPair out = judge_pairs(judge, rows, options)[0];
  EXPECT_EQ(out.first.text, "**Scores:**\nfacts: 3\ntone: 3");
  EXPECT_EQ(out.ratings[0].label, 1);
  EXPECT_EQ(out.ratings[1].value, 3);
  EXPECT_FALSE(is_right(out.ratings));
}

using RateLog = FolderTest;

TEST_F(RateLog, JudgementsAreReadBackAsTheyWere) {
  const auto judge =
      byte_judge(JudgeTemplate::standard(FormKind::score), "**Score:** 4",
                 [](const std::string&, char next) { return next == '4' ? 0.5 : 0.1; });
  const auto unreadable = byte_judge(JudgeTemplate::standard(FormKind::score), "Well.",
                                     [](const std::string&, char) { return 0.1; });
  const std::vector<JudgePair> rows = {answer(5)};
  const auto path = dir_ / "judgements.jsonl";
  const nlohmann::ordered_json settings = {{"model", "m"}};
  const std::map<std::string, std::string> weights = {{"a", ""}, {"b", ""}};
  {
    JudgementLog log(path, settings, weights, false, judge.prompt.form());
    log.append("a", 0, rows[0], judge_pairs(judge, rows, {})[0], 1);
    log.append("b", 0, rows[0], judge_pairs(unreadable, rows, {})[0], 1);
  }
  const JudgementLog log(path, settings, weights, false, judge.prompt.form());
  const Rating a = log.find("a", 0)->judgement.ratings.at(0);
  EXPECT_EQ(a.label, 5);
  EXPECT_EQ(a.value, 4);
  EXPECT_NEAR(a.probabilities.at(3), 0.5 / 0.9, 1e-12);
  EXPECT_EQ(log.find("b", 0)->judgement.ratings.at(0).value, std::nullopt);
}

}  // namespace
}  // namespace gavel
