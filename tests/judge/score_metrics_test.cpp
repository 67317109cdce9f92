#include "judge/score_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"

namespace gavel {
namespace {

using nlohmann::json;

json golden() { return json::parse(read_file(GAVEL_GOLDEN_DIR "/score_metrics.json")); }

TEST(ScoreMetrics, EqualThoseOfScikitLearnAndScipy) {
  int compared = 0;
  const json all = golden();
  for (const json& c : all["scores"]) {
    const std::vector<int> person = c["person"], rounded = c["rounded"];
    const std::vector<double> expected = c["expected"], numbers = c["person"], whole = c["rounded"];
    EXPECT_NEAR(weighted_kappa(person, rounded, KappaWeights::none), c["kappa"]["none"], 1e-12);
    EXPECT_NEAR(weighted_kappa(person, rounded, KappaWeights::linear), c["kappa"]["linear"], 1e-12);
    EXPECT_NEAR(weighted_kappa(person, rounded, KappaWeights::quadratic), c["kappa"]["quadratic"],
                1e-12);
    EXPECT_NEAR(spearman(numbers, expected), c["spearman"], 1e-12);
    EXPECT_NEAR(kendall_tau(numbers, expected), c["kendall"], 1e-12);
    EXPECT_NEAR(kendall_tau(numbers, whole), c["kendall_rounded"], 1e-12);
    EXPECT_NEAR(mean_absolute_error(numbers, expected), c["mae"], 1e-12);
    ++compared;
  }
  EXPECT_EQ(compared, 3);
}

TEST(ScoreMetrics, AlphaIsThatOfTheKrippendorffPackage) {
  int compared = 0;
  const json all = golden();
  for (const json& c : all["people"]) {
    const std::vector<std::vector<double>> units = c["units"];
    EXPECT_NEAR(krippendorff_alpha(units, AlphaLevel::nominal), c["alpha"]["nominal"], 1e-12);
    EXPECT_NEAR(krippendorff_alpha(units, AlphaLevel::ordinal), c["alpha"]["ordinal"], 1e-12);
    EXPECT_NEAR(krippendorff_alpha(units, AlphaLevel::interval), c["alpha"]["interval"], 1e-12);
    ++compared;
  }
  EXPECT_EQ(compared, 3);
}

TEST(ScoreMetrics, RatesAreThoseOfScikitLearn) {
  const json c = golden()["passes"][0];
  const std::vector<uint8_t> label = c["label"], verdict = c["verdict"];
  const PassRates rates = pass_rates(label, verdict);
  EXPECT_NEAR(rates.tpr, c["tpr"], 1e-12);
  EXPECT_NEAR(rates.tnr, c["tnr"], 1e-12);
}

TEST(ScoreMetrics, WhatHasNoSpreadIsNotDefined) {
  const std::vector<int> same(4, 3);
  const std::vector<double> equal(4, 3.0), other = {1, 2, 3, 4};
  EXPECT_TRUE(std::isnan(weighted_kappa(same, same, KappaWeights::linear)));
  EXPECT_TRUE(std::isnan(spearman(equal, other)));
  EXPECT_TRUE(std::isnan(kendall_tau(equal, other)));
  EXPECT_TRUE(std::isnan(mean_absolute_error({}, {})));
  const std::vector<std::vector<double>> alone = {{1}, {2}, {1}}, agreed = {{1, 1}, {1, 1}};
  EXPECT_TRUE(std::isnan(krippendorff_alpha(alone, AlphaLevel::nominal)));
  EXPECT_TRUE(std::isnan(krippendorff_alpha(agreed, AlphaLevel::nominal)));
  EXPECT_TRUE(std::isnan(krippendorff_alpha({}, AlphaLevel::nominal)));
  EXPECT_TRUE(std::isnan(pass_rates({}, {}).tpr));
  EXPECT_THROW(spearman(equal, std::span(other).first(3)), Error);
  EXPECT_NEAR(kendall_tau(other, other), 1, 1e-15);
}

TEST(ScoreMetrics, PeopleAreComparedWithTheMajorityOfTheOthers) {
  std::vector<JudgePair> pairs(3);
  pairs[0].votes = {1, 1, 2};  // one of three pairs of votes agrees; 2 against {1, 1} is alone
  pairs[1].votes = {0, 0, 0};
  pairs[2].votes = {1};  // counts for nothing
  const PeopleAgreement people = people_agreement(pairs, {.resamples = 200});
  EXPECT_EQ(people.pairs, 2);
  EXPECT_EQ(people.votes, 6);
  EXPECT_NEAR(people.pairwise.value, 4.0 / 6, 1e-12);
  // Of pair 0 only the third vote has others with a majority.
  EXPECT_NEAR(people.against_others.value, 3.0 / 4, 1e-12);
  EXPECT_LE(people.alpha.low, people.alpha.value);
  EXPECT_GE(people.alpha.high, people.alpha.value);
  EXPECT_EQ(people_agreement(std::span(pairs).last(1), {}).pairs, 0);
}

// 95% intervals of the mean of normal numbers hold the truth about as often as they say.
TEST(ScoreMetrics, IntervalsHoldTheTruthAsOftenAsTheySay) {
  Random random(3);
  int held = 0;
  constexpr int kTimes = 300;
  for (int time = 0; time < kTimes; ++time) {
    std::vector<double> values(60);
    for (double& v : values) v = random.uniform();
    const Interval i =
        bootstrap_interval(values.size(), {.resamples = 300, .seed = static_cast<uint64_t>(time)},
                           [&](std::span<const uint32_t> sample) {
                             double sum = 0;
                             for (const uint32_t k : sample) sum += values[k];
                             return sum / static_cast<double>(sample.size());
                           });
    held += i.low <= 0.5 && 0.5 <= i.high;
  }
  EXPECT_GT(held, kTimes * 0.90);
  EXPECT_LT(held, kTimes * 0.99);
}

}  // namespace
}  // namespace gavel
