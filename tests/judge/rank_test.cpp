#include "judge/rank.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/random.h"
#include "fake_judge.h"
#include "judge/calibration.h"
#include "judge/judgement_log.h"

namespace gavel {
namespace {

using testing::byte_encoder;
using testing::pair_of;

// The score of an answer is the number of its "!", less 1.
JudgeModel counting_judge(int64_t* asked) {
  JudgeModel judge{byte_encoder(), JudgeTemplate::standard(FormKind::rank), 1000, nullptr, nullptr};
  const Tokenizer tokenizer = judge.encoder.tokenizer;
  judge.score = [=](std::span<const ScoreRequest> requests) {
    std::vector<std::vector<double>> all;
    for (const ScoreRequest& r : requests) {
      ++*asked;
      EXPECT_EQ(r.candidates, (std::vector<std::vector<int>>{{'y'}, {'n'}}));
      const std::string prompt = tokenizer.decode(r.prompt);
      EXPECT_TRUE(prompt.ends_with("<judge>**Verdict:** ")) << prompt;
      const auto score = static_cast<double>(std::count(prompt.begin(), prompt.end(), '!')) - 1;
      all.push_back({-2 + score, -2});
    }
    return all;
  };
  return judge;
}

TEST(Rank, VerdictsFollowTheScoresOfEachAnswerAlone) {
  int64_t asked = 0;
  const JudgeModel judge = counting_judge(&asked);
  const std::vector<JudgePair> pairs = {pair_of("q", "a!!!", "b", Verdict::a),
                                        pair_of("q", "b", "a!!!", Verdict::b),
                                        pair_of("q", std::string(2000, 'x'), "b", Verdict::b)};
  const JudgeOptions options = options_for(judge.prompt.form(), {}, false);
  EXPECT_EQ(options.mode, JudgeMode::verdict);
  const auto judged = judge_pairs(judge, pairs, options);
  EXPECT_EQ(asked, 5);  // an answer once, whatever the order; one is too long
  EXPECT_EQ(judged[0].verdict, Verdict::a);
  EXPECT_EQ(judged[0].second->verdict, Verdict::a);
  EXPECT_EQ(judged[1].verdict, Verdict::b);
  ASSERT_TRUE(judged[0].scores);
  EXPECT_NEAR((*judged[0].scores)[0], 2, 1e-12);
  EXPECT_NEAR((*judged[0].scores)[1], -1, 1e-12);
  EXPECT_NEAR(*confidence(judged[0]), 1 / (1 + std::exp(-3.0)), 1e-12);
  EXPECT_EQ(judged[2].verdict, Verdict::none);
  EXPECT_NE(judged[2].first.problem.find("answer A has"), std::string::npos);
  EXPECT_FALSE(judged[2].scores);
  JudgeOptions wide = options;
  wide.map.tie_band = 4;
  EXPECT_EQ(judge_pairs(judge, pairs, wide)[0].verdict, Verdict::tie);
}

// What judges a pair now and what calibrates a logged judgement say the same.
TEST(Rank, AStrangePairIsToldLessSurely) {
  int64_t asked = 0;
  const JudgeModel judge = counting_judge(&asked);
  const std::vector<JudgePair> pairs = {pair_of("q", "a!!!", "b", Verdict::a)};
  JudgeOptions options = options_for(judge.prompt.form(), {}, false);
  const JudgedPair plain = judge_pairs(judge, pairs, options)[0];
  std::vector<PairSize> known;
  for (int64_t i = 0; i < 60; ++i) known.push_back({100 + i, 300 + 7 * i % 50, 300 + 11 * i % 70});
  options.map.familiarity = learn_familiarity(known);
  const JudgedPair now = judge_pairs(judge, pairs, options)[0];
  EXPECT_EQ(now.verdict, Verdict::a);
  EXPECT_LT(*confidence(now), *confidence(plain));
  EXPECT_EQ(*now.probabilities, *mapped(to_judgement(pairs[0], plain), options.map).probabilities);
}

TEST(Rank, WhatTheFormHasNotIsRefused) {
  const JudgeForm& rank = JudgeTemplate::standard(FormKind::rank).form();
  JudgeOptions options;
  EXPECT_THROW(options_for(rank, options, true), UsageError);
  options.mode = JudgeMode::verdict;
  EXPECT_NO_THROW(options_for(rank, options, true));
  JudgeOptions both;
  both.both_orders = true;
  EXPECT_THROW(options_for(JudgeTemplate::standard(FormKind::score).form(), both, false),
               UsageError);
}

TEST(Rank, ProbabilitiesAreThoseOfRaoAndKupper) {
  const Probabilities plain = rank_probabilities(1.5, 0);
  EXPECT_NEAR(plain[0], 1 / (1 + std::exp(-1.5)), 1e-15);
  EXPECT_NEAR(plain[2], 0, 1e-15);
  for (const double d : {-800.0, -2.0, 0.0, 0.3, 800.0}) {
    const Probabilities p = rank_probabilities(d, 0.9);
    EXPECT_NEAR(p[0] + p[1] + p[2], 1, 1e-12);
    const Probabilities other = rank_probabilities(-d, 0.9);
    EXPECT_NEAR(p[0], other[1], 1e-12);
  }
  EXPECT_EQ(most_probable(rank_probabilities(0, std::log(2.0) + 0.01)), Verdict::tie);
  EXPECT_NE(most_probable(rank_probabilities(0, std::log(2.0) - 0.01)), Verdict::tie);
}

// Labels drawn from the model itself: its temperature and band are found again.
TEST(Rank, TheFitFindsTemperatureAndBand) {
  Random random(5);
  std::vector<Judgement> judged;
  for (int i = 0; i < 20000; ++i) {
    Judgement j;
    j.scores = {random.uniform() * 8 - 4, random.uniform() * 8 - 4};
    const auto p = rank_probabilities(((*j.scores)[0] - (*j.scores)[1]) / 2.5, 0.8);
    const double u = random.uniform();
    j.label = u < p[0] ? Verdict::a : u < p[0] + p[1] ? Verdict::b : Verdict::tie;
    judged.push_back(j);
  }
  const RankFit fit = fit_ranks(judged);
  EXPECT_NEAR(fit.temperature, 2.5, 0.1);
  EXPECT_NEAR(fit.tie_band, 0.8, 0.03);
  std::erase_if(judged, [](const Judgement& j) { return j.label == Verdict::tie; });
  EXPECT_EQ(fit_ranks(judged).tie_band, 0);
}

TEST(Rank, CalibrationMakesTies) {
  Judgement j;
  j.scores = {1.0, 0.5};
  j.verdict = j.first_order = Verdict::a;
  j.second_order = Verdict::a;
  Calibration c;
  c.map.temperature = 2;
  c.map.tie_band = 1;
  const Judgement once = calibrated(j, c);
  EXPECT_EQ(once.verdict, Verdict::tie);
  EXPECT_EQ(*once.second_order, Verdict::tie);
  EXPECT_NEAR((*once.probabilities)[0], 1 / (1 + std::exp(0.75)), 1e-12);
  EXPECT_EQ(*calibrated(once, c).probabilities, *once.probabilities);
  // Its measures are of the probabilities before and after.
  j.probabilities = rank_probabilities(0.5, 0);
  const Judgement told = with_ties(j, c);
  EXPECT_EQ(told.verdict, Verdict::tie);
  EXPECT_EQ(*told.second_order, Verdict::tie);
  EXPECT_EQ(*told.probabilities, *j.probabilities);
  EXPECT_EQ(*calibrated(told, c).probabilities, *once.probabilities);
}

TEST(Rank, ScoresAreKeptInTheLogAndTheCalibration) {
  const auto dir =
      std::filesystem::temp_directory_path() / ("gavel_rank_" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  int64_t asked = 0;
  const JudgeModel judge = counting_judge(&asked);
  const JudgePair pair = pair_of("q", "a!", "b!!!!", Verdict::a);
  const auto judged = judge_pairs(judge, std::span(&pair, 1), {});
  const std::map<std::string, std::string> weights = {{"j", ""}};
  {
    JudgementLog log(dir / "log.jsonl", {{"x", 1}}, weights, false, {});
    log.append("j", 0, pair, judged[0], 0.1);
  }
  const JudgementLog log(dir / "log.jsonl", {{"x", 1}}, weights, false, {});
  const LoggedJudgement* logged = log.find("j", 0);
  ASSERT_NE(logged, nullptr);
  EXPECT_EQ(logged->judgement.scores, judged[0].scores);
  Calibration c;
  c.map.tie_band = 0.75;
  save_calibration(dir, JudgeMode::verdict, false, c);
  EXPECT_EQ(load_calibration(dir, JudgeMode::verdict, false)->map.tie_band, 0.75);
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace gavel
