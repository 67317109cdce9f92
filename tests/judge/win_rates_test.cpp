#include "judge/win_rates.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "fake_judge.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

struct Judged {
  std::vector<JudgePair> pairs;
  std::vector<Judgement> judgements;

  void add(const std::string& a, const std::string& b, Verdict verdict, Verdict label,
           int64_t longer = 0) {
    JudgePair pair = testing::pair_of("q", "x", "y", Verdict::a);
    pair.meta = {{"model_a", a}, {"model_b", b}};
    pairs.push_back(pair);
    Judgement j;
    j.verdict = verdict;
    j.label = label;
    j.length_a = 1000 + longer;
    j.length_b = 1000;
    judgements.push_back(j);
  }
};

Verdict verdict_of(double worth) {
  return worth == 1 ? Verdict::a : worth == 0 ? Verdict::b : Verdict::tie;
}

BootstrapOptions few() {
  BootstrapOptions options;
  options.resamples = 200;
  return options;
}

TEST(WinRates, ScoresAndLengthControlAreThoseOfScikitLearnAndStatsmodels) {
  const Json golden = Json::parse(read_file(GAVEL_GOLDEN_DIR "/win_rates.json"));
  Judged judged;
  for (const Json& p : golden["pairs"])
    judged.add("m" + p[0].dump(), "m" + p[1].dump(), verdict_of(p[2]), Verdict::none, p[3]);
  const Comparisons c = comparisons_of(judged.pairs, judged.judgements);
  const auto rates = model_rates(c, judged.judgements, {}, few());
  ASSERT_EQ(rates.size(), 4u);
  for (const ModelRates& r : rates) {
    const auto place = static_cast<size_t>(r.model[1] - '0');
    EXPECT_NEAR(r.bradley_terry.value, golden["bradley_terry"][place], 1e-3);
    EXPECT_NEAR(r.length_controlled.value, golden["length_controlled"][place], 1e-7);
    EXPECT_LT(r.bradley_terry.low, r.bradley_terry.value);
    EXPECT_GT(r.bradley_terry.high, r.bradley_terry.value);
    EXPECT_EQ(r.labelled, 0);
    EXPECT_TRUE(std::isnan(r.labels.value));
    EXPECT_TRUE(std::isnan(r.corrected.value));  // nothing says how often the judge errs
  }
  EXPECT_EQ(rates[0].model, "m0");  // the strongest first
}

TEST(WinRates, ASharesErrorIsTakenOutAsRoganAndGladenDo) {
  EXPECT_NEAR(corrected_share(0.55, {0.9, 0.2}), 0.5, 1e-12);
  EXPECT_EQ(corrected_share(0.1, {0.9, 0.2}), 0);
  EXPECT_EQ(corrected_share(0.95, {0.9, 0.2}), 1);
  EXPECT_TRUE(std::isnan(corrected_share(0.5, {0.4, 0.4})));
  EXPECT_TRUE(std::isnan(corrected_share(0.5, {std::nan(""), 0.4})));
}

// "good" truly wins 80% against "bad". The judge is right on 85% of A's wins and on 65% of B's.
TEST(WinRates, TheTrueRateIsFoundAgainFromAFewLabels) {
  Random random(4);
  Judged labelled, compared;
  for (int i = 0; i < 4000; ++i) {
    const bool first = random.uniform() < 0.7, wins = random.uniform() < 0.8;
    const Verdict truth = first == wins ? Verdict::a : Verdict::b;
    const double right = truth == Verdict::a ? 0.85 : 0.65;
    const Verdict verdict = random.uniform() < right ? truth
                            : truth == Verdict::a    ? Verdict::b
                                                     : Verdict::a;
    Judged& to = i < 800 ? labelled : compared;
    to.add(first ? "good" : "bad", first ? "bad" : "good", verdict,
           i < 800 ? truth : Verdict::none);
  }
  const Comparisons c = comparisons_of(compared.pairs, compared.judgements);
  const auto rates = model_rates(c, compared.judgements, labelled.judgements, few());
  ASSERT_EQ(rates[0].model, "good");
  EXPECT_LT(rates[0].judge.high, 0.75);  // the judge's own share is pulled to the middle
  EXPECT_NEAR(rates[0].corrected.value, 0.8, 0.04);
  EXPECT_LT(rates[0].corrected.low, 0.8);
  EXPECT_GT(rates[0].corrected.high, 0.8);
  // The few labels make it less certain than the share itself is.
  EXPECT_GT(rates[0].corrected.high - rates[0].corrected.low,
            1.5 * (rates[0].judge.high - rates[0].judge.low));
  EXPECT_NEAR(rates[0].corrected.value + rates[1].corrected.value, 1, 1e-12);
  // The labelled pairs alone: their own errors are known, and the labels are the truth.
  const Comparisons own = comparisons_of(labelled.pairs, labelled.judgements);
  const auto known = model_rates(own, labelled.judgements, {}, few());
  EXPECT_NEAR(known[0].corrected.value, known[0].labels.value, 0.03);
}

TEST(WinRates, WhoNeverLosesHasNoScore) {
  EXPECT_TRUE(std::isnan(bradley_terry({{0, 3}, {0, 0}})[0]));
  EXPECT_TRUE(std::isnan(bradley_terry({{0, 1, 0}, {1, 0, 0}, {0, 0, 0}})[0]));
  const auto scores = bradley_terry({{0, 3}, {1, 0}});
  EXPECT_NEAR(scores[0] - scores[1], std::log(3.0), 1e-12);
  EXPECT_NEAR(scores[0] + scores[1], 0, 1e-12);
  const std::vector<double> always = {1, 1, 1}, longer = {5, -3, 2};
  EXPECT_TRUE(std::isnan(length_controlled(always, longer)));
  EXPECT_TRUE(std::isnan(length_controlled(always, std::vector<double>{4, 4, 4})));
}

TEST(WinRates, CountsWhatCannotBeReadAndLeavesAModelWithItselfOut) {
  Judged judged;
  judged.add("x", "y", Verdict::a, Verdict::a);
  judged.add("x", "y", Verdict::none, Verdict::a);
  judged.add("x", "x", Verdict::a, Verdict::a);
  judged.add("", "y", Verdict::a, Verdict::a);
  const Comparisons c = comparisons_of(judged.pairs, judged.judgements);
  EXPECT_EQ(c.pairs.size(), 1u);
  EXPECT_EQ(c.unreadable, 1);
}

TEST(WinRates, AFamilyIsFavouredWhereVerdictsGoBeyondTheLabels) {
  EXPECT_EQ(family_of("models/SmolLM2-135M-Instruct.Q4_1.gguf"), "smollm");
  EXPECT_EQ(family_of("meta-llama/Llama-3.2-1B/"), "llama");
  Judged judged;
  for (int i = 0; i < 40; ++i) {
    const Verdict label = i % 2 == 0 ? Verdict::a : Verdict::b;
    if (i % 4 < 2)  // wins half, and is said to win always
      judged.add("Qwen2.5-7B", "gpt-4", Verdict::a, label);
    else
      judged.add("gpt-4", "my-qwen", Verdict::b, label);
  }
  judged.add("Qwen2.5-7B", "my-qwen", Verdict::a, Verdict::b);  // both are of it
  const Comparisons c = comparisons_of(judged.pairs, judged.judgements);
  const FamilyPreference f = family_preference(c, "qwen", few());
  EXPECT_EQ(f.pairs, 40);
  EXPECT_EQ(f.judge.value, 1);
  EXPECT_EQ(f.labels.value, 0.5);
  EXPECT_EQ(f.difference.value, 0.5);
  EXPECT_GT(f.difference.low, 0.25);
  EXPECT_EQ(family_preference(c, "llama", few()).pairs, 0);
}

TEST(WinRates, StandInTheEvaluationWherePairsNameModels) {
  Judged judged;
  for (int i = 0; i < 30; ++i)
    judged.add(i % 2 == 0 ? "qwen" : "gpt", i % 2 == 0 ? "gpt" : "qwen",
               i % 5 == 0 ? Verdict::b : Verdict::a, i % 3 == 0 ? Verdict::b : Verdict::a, i * 10);
  EvalResult result{{"tuned", {}, {}}, {judged.judgements, {}}, {}, {}, {}, {}, {}};
  EvalRequest request;
  request.model = "org/Qwen2-1B";
  request.bootstrap = few();
  Json evaluation = Json::object();
  add_win_rates(evaluation, std::span(&result, 1), judged.pairs, {}, request);
  const Json& entry = evaluation["win_rates"][0];
  EXPECT_EQ(entry["judge"], "tuned");
  EXPECT_EQ(entry["models"].size(), 2u);
  EXPECT_EQ(entry["family"]["name"], "qwen");
  EXPECT_EQ(entry["family"]["pairs"], 30);
  const std::string text = tables_text(evaluation);
  EXPECT_NE(text.find("Win rates of the models"), std::string::npos) << text;
  EXPECT_NE(text.find("Preference for its own family"), std::string::npos) << text;
  request.family = "llama";
  EXPECT_THROW(add_win_rates(evaluation, std::span(&result, 1), judged.pairs, {}, request), Error);
  // Too many models: nothing, unless they were asked for.
  Judged many;
  for (size_t i = 0; i <= kMostModels; ++i)
    many.add("m" + std::to_string(i), "x", Verdict::a, Verdict::a);
  EvalResult of_many{
      {"tuned", {}, {}}, {many.judgements, {}}, {}, {}, {}, {many.judgements, {}}, {}};
  request.family = "";
  Json left_out = Json::object();
  add_win_rates(left_out, std::span(&of_many, 1), many.pairs, {}, request);
  EXPECT_TRUE(left_out.empty());
  EXPECT_THROW(add_win_rates(left_out, std::span(&of_many, 1), many.pairs, many.pairs, request),
               Error);
  // Pairs without models: nothing, unless they were asked for.
  for (JudgePair& pair : judged.pairs) pair.meta.clear();
  request.family = "";
  Json nothing = Json::object();
  add_win_rates(nothing, std::span(&result, 1), judged.pairs, {}, request);
  EXPECT_TRUE(nothing.empty());
  result.compared = result.set;
  EXPECT_THROW(add_win_rates(nothing, std::span(&result, 1), judged.pairs, judged.pairs, request),
               Error);
}

}  // namespace
}  // namespace gavel
