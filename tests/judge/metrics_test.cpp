#include "judge/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/threads.h"

namespace gavel {
namespace {

using nlohmann::json;

Judgement judged(Verdict label, Verdict verdict) {
  Judgement j;
  j.label = label;
  j.verdict = j.first_order = verdict;
  return j;
}

struct Case {
  json expected;
  std::vector<Judgement> judge, other;
  std::vector<double> seconds;
};

std::vector<Case> golden() {
  std::vector<Case> cases;
  for (const json& c : json::parse(read_file(GAVEL_GOLDEN_DIR "/metrics.json"))) {
    Case result{c, {}, {}, {}};
    for (const json& row : c["judgements"]) {
      const auto verdict = [&](size_t k) { return static_cast<Verdict>(row[k].get<int>()); };
      Judgement j = judged(verdict(0), verdict(1));
      j.second_order = verdict(2);
      j.probabilities = Probabilities{row[4], row[5], row[6]};
      j.length_a = row[8];
      j.length_b = row[9];
      result.judge.push_back(j);
      result.other.push_back(judged(verdict(0), verdict(3)));
      result.seconds.push_back(row[7]);
    }
    cases.push_back(std::move(result));
  }
  return cases;
}

TEST(Metrics, EqualThoseOfScikitLearn) {
  for (const Case& c : golden()) {
    const MetricValues values = measure(c.judge);
    int compared = 0;
    for (int m = 0; m < kMetricCount; ++m) {
      const std::string name(metric_name(static_cast<Metric>(m)));
      if (name == "tokens") continue;
      const json& expected = c.expected["values"][name];
      const double value = values[static_cast<size_t>(m)];
      if (expected.is_null()) {
        EXPECT_TRUE(std::isnan(value)) << name;
      } else {
        EXPECT_NEAR(value, expected.get<double>(), 1e-12) << name;
      }
      ++compared;
    }
    EXPECT_EQ(compared, kMetricCount - 1);
    const Confusion counts = confusion(c.judge);
    for (size_t k = 0; k < 3; ++k)
      for (size_t v = 0; v < 4; ++v) EXPECT_EQ(counts[k][v], c.expected["confusion"][k][v]);
    const auto scores = class_scores(counts);
    const auto intervals = bootstrap_classes(c.judge, {200, 0, 0.95});
    for (size_t k = 0; k < 3; ++k) {
      const json& expected = c.expected["per_class"][k];
      EXPECT_NEAR(scores[k].precision, expected["precision"].get<double>(), 1e-12);
      EXPECT_NEAR(scores[k].recall, expected["recall"].get<double>(), 1e-12);
      EXPECT_NEAR(scores[k].f1, expected["f1"].get<double>(), 1e-12);
      EXPECT_NEAR(scores[k].specificity, expected["specificity"].get<double>(), 1e-12);
      EXPECT_EQ(scores[k].support, expected["support"]);
      EXPECT_EQ(intervals[k].recall.value, scores[k].recall);
      if (scores[k].support == 0) {
        EXPECT_TRUE(std::isnan(intervals[k].recall.low));
      } else if (scores[k].recall > 0 && scores[k].recall < 1) {
        EXPECT_LT(intervals[k].recall.low, scores[k].recall);
        EXPECT_GT(intervals[k].recall.high, scores[k].recall);
      }
    }
  }
}

TEST(Metrics, BaselinesNeedNoJudge) {
  for (const Case& c : golden()) {
    const Baselines b = baselines(c.judge, {300, 0, 0.95});
    const json& expected = c.expected["baselines"];
    EXPECT_NEAR(b.majority.value, expected["majority"].get<double>(), 1e-12);
    EXPECT_NEAR(b.always_longer.value, expected["always_longer"].get<double>(), 1e-12);
    EXPECT_NEAR(b.length_slope.value, expected["length_slope"].get<double>(), 1e-12);
    for (const Interval& i : {b.majority, b.always_longer, b.length_slope}) {
      EXPECT_LT(i.low, i.value);
      EXPECT_GT(i.high, i.value);
    }
    // It is one judge, not the best of each resample, which would never be below a third.
    auto said = c.judge;
    for (Judgement& j : said) j.verdict = b.label;
    const auto judged = bootstrap(said, {300, 0, 0.95})[static_cast<size_t>(Metric::agreement)];
    EXPECT_EQ(b.majority.low, judged.low);
    EXPECT_EQ(b.majority.high, judged.high);
  }
}

TEST(Metrics, LengthWithoutAFiniteSlope) {
  std::vector<Judgement> judgements(4, judged(Verdict::a, Verdict::a));
  for (Judgement& j : judgements) j.length_a = 9;
  judgements[1].length_a = 20;
  const MetricValues values = measure(judgements);
  EXPECT_TRUE(std::isnan(value_of(values, Metric::length_slope)));
  EXPECT_TRUE(std::isnan(value_of(values, Metric::agreement_balanced)));
  EXPECT_TRUE(std::isnan(value_of(values, Metric::kappa)));
  EXPECT_EQ(value_of(values, Metric::prefers_longer), 1);
}

TEST(Metrics, TemperatureEqualsScipys) {
  for (Case& c : golden()) {
    const double t = fit_temperature(c.judge);
    EXPECT_NEAR(t, c.expected["temperature"].get<double>(), 1e-4 * t);
    for (Judgement& j : c.judge) {
      const Verdict before = most_probable(*j.probabilities);
      j.probabilities = scale_by_temperature(*j.probabilities, t);
      EXPECT_EQ(most_probable(*j.probabilities), before);
      EXPECT_NEAR((*j.probabilities)[0] + (*j.probabilities)[1] + (*j.probabilities)[2], 1, 1e-12);
    }
    const double nll = value_of(measure(c.judge), Metric::nll);
    EXPECT_NEAR(nll, c.expected["scaled_nll"].get<double>(), 1e-9);
  }
  EXPECT_EQ(fit_temperature({}), 1);
}

TEST(Metrics, PercentilesEqualNumpys) {
  for (const Case& c : golden())
    for (const auto& [percent, expected] : c.expected["percentiles"].items())
      EXPECT_NEAR(percentile(c.seconds, std::stod(percent)), expected.get<double>(), 1e-12);
  EXPECT_TRUE(std::isnan(percentile({}, 50)));
  EXPECT_EQ(percentile({3}, 95), 3);
}

TEST(Metrics, IntervalsAndTestsEqualScipys) {
  for (const Case& c : golden()) {
    // Two Monte Carlo estimates of the same percentiles differ by a step or two of 1/n.
    const double step = 2.01 / static_cast<double>(c.judge.size());
    BootstrapOptions options;
    options.resamples = 4000;
    const Interval agreement = bootstrap(c.judge, options)[0];
    EXPECT_NEAR(agreement.low, c.expected["agreement_interval"][0].get<double>(), step);
    EXPECT_NEAR(agreement.high, c.expected["agreement_interval"][1].get<double>(), step);
    const PairedTest test = compare(c.judge, c.other, options);
    EXPECT_EQ(test.only_first, c.expected["only_first"]);
    EXPECT_EQ(test.only_second, c.expected["only_second"]);
    EXPECT_NEAR(test.mcnemar_p, c.expected["mcnemar_p"].get<double>(), 1e-10);
    EXPECT_NEAR(test.difference[0].low, c.expected["difference_interval"][0].get<double>(), step);
    EXPECT_NEAR(test.difference[0].high, c.expected["difference_interval"][1].get<double>(), step);
  }
}

TEST(Metrics, BootstrapFollowsFromTheSeedAlone) {
  const Case c = golden()[0];
  BootstrapOptions options;
  options.resamples = 200;
  const int threads = num_threads();
  const auto once = bootstrap(c.judge, options);
  set_num_threads(1);
  const auto again = bootstrap(c.judge, options);
  set_num_threads(threads);
  options.seed = 7;
  const auto other = bootstrap(c.judge, options);
  bool differs = false;
  for (size_t m = 0; m < kMetricCount; ++m) {
    EXPECT_EQ(once[m].low, again[m].low);
    EXPECT_EQ(once[m].high, again[m].high);
    differs |= once[m].low != other[m].low;
  }
  EXPECT_TRUE(differs);
  // A judge compared with itself differs in nothing.
  const PairedTest same = compare(c.judge, c.judge, options);
  EXPECT_EQ(same.mcnemar_p, 1);
  EXPECT_EQ(same.difference[0].high, 0);
  EXPECT_EQ(same.p[0], 1);
}

TEST(Metrics, SpeedHasIntervalsOfTheSameResamples) {
  std::vector<double> latency, wall;
  for (int i = 0; i < 100; ++i) {
    latency.push_back(i % 10);
    wall.push_back(0.1 + 0.05 * (i % 3));
  }
  BootstrapOptions options;
  options.resamples = 500;
  const SpeedIntervals speed = bootstrap_speed(latency, wall, options);
  for (size_t k = 0; k < kLatencyPercents.size(); ++k) {
    EXPECT_EQ(speed.latency[k].value, percentile(latency, kLatencyPercents[k]));
    EXPECT_LE(speed.latency[k].low, speed.latency[k].value);
    EXPECT_GE(speed.latency[k].high, speed.latency[k].value);
  }
  const Interval& rate = speed.answers_per_second;
  EXPECT_NEAR(rate.value, 100 / (0.1 * 100 + 0.05 * (33 + 2 * 33)), 1e-9);
  EXPECT_LT(rate.low, rate.value);
  EXPECT_GT(rate.high, rate.value);
  EXPECT_LT(rate.high - rate.low, 1);  // a mean of 100 alike is known well
  const std::vector<double> same(50, 0.5);
  const SpeedIntervals steady = bootstrap_speed(same, same, options);
  EXPECT_EQ(steady.answers_per_second.low, 2);
  EXPECT_EQ(steady.latency[1].high, 0.5);
  EXPECT_THROW(bootstrap_speed(same, wall, options), Error);
}

TEST(Metrics, UndefinedNumbersAreNaNAndStaySo) {
  std::vector<Judgement> judgements = {judged(Verdict::a, Verdict::a),
                                       judged(Verdict::b, Verdict::none)};
  const auto intervals = bootstrap(judgements);
  for (Metric m :
       {Metric::consistency, Metric::bias_first, Metric::ece, Metric::nll, Metric::tie_recall}) {
    EXPECT_TRUE(std::isnan(intervals[static_cast<size_t>(m)].value)) << metric_name(m);
    EXPECT_TRUE(std::isnan(intervals[static_cast<size_t>(m)].low)) << metric_name(m);
  }
  EXPECT_EQ(value_of(measure(judgements), Metric::agreement), 0.5);
  EXPECT_EQ(value_of(measure(judgements), Metric::unparsable), 0.5);
  for (const Interval& i : bootstrap({})) EXPECT_TRUE(std::isnan(i.value));
}

TEST(Metrics, BiasIsToThePlaceNotToTheName) {
  // Always the answer shown first: A in the first order, B (mapped back) in the second.
  Judgement first = judged(Verdict::a, Verdict::a);
  first.second_order = Verdict::b;
  EXPECT_EQ(value_of(measure(std::vector{first}), Metric::bias_first), 1);
  EXPECT_EQ(value_of(measure(std::vector{first}), Metric::bias_second), 0);
  Judgement second = judged(Verdict::a, Verdict::b);
  second.second_order = Verdict::a;
  EXPECT_EQ(value_of(measure(std::vector{second}), Metric::bias_second), 1);
  Judgement steady = judged(Verdict::a, Verdict::b);
  steady.second_order = Verdict::b;
  EXPECT_EQ(value_of(measure(std::vector{steady}), Metric::bias_second), 0);
  EXPECT_EQ(value_of(measure(std::vector{steady}), Metric::consistency), 1);
}

TEST(Metrics, TwoOrdersCombine) {
  using enum Verdict;
  EXPECT_EQ(combine(a, a), a);
  EXPECT_EQ(combine(a, b), tie);
  EXPECT_EQ(combine(a, tie), a);
  EXPECT_EQ(combine(none, b), b);
  EXPECT_EQ(combine(none, none), none);
  // The surer order decides where probabilities are known.
  EXPECT_EQ(combine(a, b, Probabilities{0.9, 0.1, 0}, Probabilities{0.4, 0.6, 0}), a);
}

TEST(Metrics, CostFollowsFromTheRates) {
  CostRates rates;
  EXPECT_FALSE(cost_per_1000(rates, 10, 5));
  rates.price_per_hour = 3.6;
  EXPECT_NEAR(*cost_per_1000(rates, 10, 5), 2.0, 1e-12);  // 2 s each, 0.001 a second
  rates = {};
  rates.watts = 500;
  EXPECT_FALSE(cost_per_1000(rates, 10, 5));
  rates.price_per_kwh = 0.36;
  EXPECT_NEAR(*cost_per_1000(rates, 10, 5), 0.1, 1e-12);  // 2000 s of 0.5 kW
  EXPECT_FALSE(cost_per_1000(rates, 10, 0));
}

TEST(Metrics, ReliabilityCountsEveryJudgementOnce) {
  for (const Case& c : golden()) {
    int64_t count = 0;
    for (const ReliabilityBin& bin : reliability(c.judge)) {
      count += bin.count;
      if (bin.count == 0) continue;
      EXPECT_GT(bin.confidence, bin.low);
      EXPECT_LE(bin.confidence, bin.high + 1e-12);
    }
    EXPECT_EQ(count, static_cast<int64_t>(c.judge.size()));
  }
}

TEST(Metrics, DifferentPairsAreNotCompared) {
  const std::vector first = {judged(Verdict::a, Verdict::a)};
  const std::vector second = {judged(Verdict::b, Verdict::a)};
  EXPECT_THROW(compare(first, second), Error);
  EXPECT_THROW(compare(first, {}), Error);
}

}  // namespace
}  // namespace gavel
