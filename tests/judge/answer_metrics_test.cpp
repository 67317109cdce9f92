// Measures of judges of one answer. The numbers behind them are held to other packages in
// score_metrics_test.cpp.
#include "judge/answer_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"
#include "judge/gate.h"

namespace gavel {
namespace {

JudgeForm form_of(const std::string& text) { return parse_form(text, "t", 1); }

Judgement judged(std::vector<Rating> ratings) {
  Judgement j;
  j.ratings = std::move(ratings);
  return j;
}

std::map<std::string, double> measured(const JudgeForm& form,
                                       const std::vector<Judgement>& judgements) {
  std::vector<uint32_t> all(judgements.size());
  std::iota(all.begin(), all.end(), 0u);
  const auto names = answer_metric_names(form);
  const auto values = measure_answers(form, judgements, all);
  EXPECT_EQ(names.size(), values.size());
  std::map<std::string, double> out;
  for (size_t m = 0; m < names.size(); ++m) out[names[m]] = values[m];
  return out;
}

TEST(AnswerMetrics, ScoresCountTheUnreadableAsTheFarthest) {
  const std::vector<Judgement> rows = {judged({{1, 5, 4, 4, {0.1, 0.1, 0.1, 0.6, 0.1}}}),
                                       judged({{1, 5, 2, 3, {}}}), judged({{1, 5, 5, {}, {}}}),
                                       judged({{1, 5, 1, 1, {0.8, 0.2, 0, 0, 0}}})};
  const auto m = measured(form_of("score 1..5"), rows);
  EXPECT_DOUBLE_EQ(m.at("agreement"), 0.5);
  EXPECT_DOUBLE_EQ(m.at("unparsable"), 0.25);
  EXPECT_DOUBLE_EQ(m.at("mae"), (0 + 1 + 4 + 0) / 4.0);
  EXPECT_NEAR(m.at("mae_expected"), (0.5 + 1 + 4 + 0.2) / 4.0, 1e-12);
  const std::vector<int> x = {4, 2, 5, 1}, y = {4, 3, 1, 1};
  EXPECT_DOUBLE_EQ(m.at("weighted_kappa"), weighted_kappa(x, y, KappaWeights::quadratic));
  EXPECT_NEAR(m.at("nll"), -(std::log(0.6) + std::log(0.8)) / 2, 1e-12);
  EXPECT_NEAR(m.at("ece"), (0.4 + 0.2) / 2, 1e-12);
  double count = 0, error = 0;
  for (const ReliabilityBin& bin : reliability(rows)) {
    count += static_cast<double>(bin.count);
    error += static_cast<double>(bin.count) * std::abs(bin.confidence - bin.accuracy);
  }
  EXPECT_EQ(count, 2);  // of the other two no probabilities are known
  EXPECT_NEAR(error / count, m.at("ece"), 1e-12);
  const auto counts = rating_confusion(rows, 0);
  EXPECT_EQ(counts[4], (std::vector<int64_t>{0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(counts[1], (std::vector<int64_t>{0, 0, 1, 0, 0, 0}));
}

TEST(AnswerMetrics, PassHasRatesOfItsOwn) {
  std::vector<Judgement> rows;
  for (const auto& [label, value] : std::vector<std::pair<int, std::optional<int>>>{
           {1, 1}, {1, 1}, {1, 0}, {0, 0}, {0, 1}, {0, std::nullopt}})
    rows.push_back(judged({{0, 1, label, value, {}}}));
  const auto m = measured(form_of("pass"), rows);
  EXPECT_DOUBLE_EQ(m.at("accuracy"), 0.5);
  EXPECT_DOUBLE_EQ(m.at("tpr"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.at("tnr"), 1.0 / 3);
  EXPECT_DOUBLE_EQ(m.at("precision"), 0.5);
  EXPECT_DOUBLE_EQ(m.at("recall"), 2.0 / 3);
  EXPECT_NEAR(m.at("f1"), 4.0 / 7, 1e-12);
  EXPECT_NEAR(m.at("kappa"), 0, 1e-12);
  EXPECT_TRUE(std::isnan(m.at("nll")));
  rows.push_back(judged({{0, 1, 0, 0, {}}}));
  const auto more = measured(form_of("pass"), rows);
  EXPECT_DOUBLE_EQ(more.at("precision"), 0.5);
  EXPECT_DOUBLE_EQ(more.at("precision_fail"), 2.0 / 3);
}

TEST(AnswerMetrics, CriteriaAreWeighted) {
  std::vector<Judgement> rows;
  for (const int v : {1, 2, 3}) rows.push_back(judged({{1, 3, v, v, {}}, {1, 3, v, 4 - v, {}}}));
  const auto m = measured(form_of("criteria\na 1..3 weight 3\nb 1..3"), rows);
  EXPECT_DOUBLE_EQ(m.at("a.weighted_kappa"), 1);
  EXPECT_DOUBLE_EQ(m.at("b.weighted_kappa"), -1);
  EXPECT_DOUBLE_EQ(m.at("weighted_kappa"), 0.5);
  EXPECT_DOUBLE_EQ(m.at("agreement"), 1.0 / 3);
  EXPECT_DOUBLE_EQ(m.at("total.spearman"), 1);
  EXPECT_DOUBLE_EQ(m.at("total.mae"), (0.5 + 0 + 0.5) / 3);
  EXPECT_TRUE(std::isnan(m.at("total.spearman_expected")));  // no probabilities
  // Always the same value, and told apart by the expectation.
  std::vector<Judgement> sure;
  for (const int v : {1, 2, 3})
    sure.push_back(judged({{1, 3, v, 2, {0.3 - 0.1 * v, 0.7, 0.1 * v}}}));
  const auto s = measured(form_of("criteria\na 1..3"), sure);
  EXPECT_TRUE(std::isnan(s.at("a.spearman")));
  EXPECT_DOUBLE_EQ(s.at("a.spearman_expected"), 1);
  EXPECT_DOUBLE_EQ(s.at("a.kendall_tau_expected"), 1);
  EXPECT_DOUBLE_EQ(s.at("total.spearman_expected"), 1);
}

TEST(AnswerMetrics, TwoJudgesAreResampledAlike) {
  std::vector<Judgement> first, second;
  for (int i = 0; i < 40; ++i) {
    const int label = i % 5 + 1;
    first.push_back(judged({{1, 5, label, 3, {}}}));
    second.push_back(judged({{1, 5, label, i % 10 == 0 ? 3 : label, {}}}));
  }
  const BootstrapOptions options{.resamples = 200};
  const JudgeForm form = form_of("score 1..5");
  const AnswerTest test = compare_answers(form, first, second, options);
  EXPECT_EQ(test.only_first, 0);
  EXPECT_EQ(test.only_second, 28);
  EXPECT_LT(test.mcnemar_p, 1e-6);
  EXPECT_DOUBLE_EQ(test.difference[0].value, 0.9 - 0.2);
  EXPECT_GT(test.difference[0].low, 0.4);
  const auto again = bootstrap_answers(form, second, options);
  EXPECT_EQ(again[0].low, bootstrap_answers(form, second, options)[0].low);
  EXPECT_LT(again[0].low, 0.9);
}

TEST(AnswerMetrics, AGateAsksForWhatTheFormHas) {
  const auto wanted = parse_requirements("weighted_kappa>=0.6, tpr>=0.8");
  EXPECT_THROW(check_measures(wanted, form_of("score 1..5")), UsageError);
  EXPECT_NO_THROW(check_measures({wanted[0]}, form_of("score 1..5")));
  EXPECT_NO_THROW(check_measures({wanted[1]}, form_of("pass")));
  EXPECT_THROW(check_measures(wanted, {}), UsageError);
  const auto of_criterion = parse_requirements("facts.mae<=0.5");
  EXPECT_NO_THROW(check_measures(of_criterion, form_of("criteria\nfacts 1..5")));
  EXPECT_THROW(check_measures(of_criterion, form_of("criteria\ntone 1..5")), UsageError);
}

}  // namespace
}  // namespace gavel
