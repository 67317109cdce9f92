#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "judge/calibration_fit.h"

namespace gavel {
namespace {

using nlohmann::json;

json golden() { return json::parse(read_file(GAVEL_GOLDEN_DIR "/calibration.json")); }

// Says A with probability c, and is right with the probability that `truth` gives for c.
template <typename F>
std::vector<Judgement> judge_with(size_t count, F&& truth) {
  Random random(5);
  std::vector<Judgement> out(count);
  for (Judgement& j : out) {
    const double c = 0.5 + 0.5 * random.uniform();
    j.probabilities = {c, 0.75 * (1 - c), 0.25 * (1 - c)};
    j.verdict = j.first_order = Verdict::a;
    const bool right = random.uniform() < truth(c);
    j.label = right ? Verdict::a : random.uniform() < 0.75 ? Verdict::b : Verdict::tie;
  }
  return out;
}

std::vector<std::string> own_questions(size_t count) {
  std::vector<std::string> questions;
  for (size_t i = 0; i < count; ++i) questions.push_back("q" + std::to_string(i));
  return questions;
}

TEST(Calibration, FitsAreThoseOfScikitLearn) {
  int compared = 0;
  for (const json& c : golden()) {
    const std::vector<double> confidence = c["confidence"];
    const std::vector<uint8_t> right = c["right"];
    std::vector<double> x;
    for (const double p : confidence) x.push_back(std::log(p / (1 - p)));
    const LogisticFit platt = fit_platt(x, right);
    EXPECT_NEAR(platt.slope, c["platt"]["slope"], 1e-6);
    EXPECT_NEAR(platt.intercept, c["platt"]["intercept"], 1e-6);
    const double edge = 1 / (static_cast<double>(x.size()) + 2);
    const IsotonicFit isotonic = fit_isotonic(confidence, right, edge, 1 - edge);
    const std::vector<double> asked = c["asked"], predicted = c["isotonic"]["predicted"];
    EXPECT_EQ(isotonic.x, c["isotonic"]["x"].get<std::vector<double>>());
    ASSERT_EQ(isotonic.y.size(), c["isotonic"]["y"].size());
    for (size_t i = 0; i < isotonic.y.size(); ++i)
      EXPECT_NEAR(isotonic.y[i], c["isotonic"]["y"][i], 1e-12);
    for (size_t i = 0; i < asked.size(); ++i)
      EXPECT_NEAR(interpolated(isotonic.x, isotonic.y, asked[i]), predicted[i], 1e-12);
    ++compared;
  }
  EXPECT_EQ(compared, 4);
}

TEST(Calibration, ConfidenceIsMappedAndTheRestKeepsItsShares) {
  ProbabilityMap map;
  map.method = CalibrationMethod::platt;
  map.slope = 0;
  map.intercept = std::log(3.0);  // three of four are right, whatever the confidence
  const Probabilities p = mapped(Probabilities{0.06, 0.9, 0.04}, map, {});
  EXPECT_NEAR(p[0], 0.15, 1e-12);
  EXPECT_NEAR(p[1], 0.75, 1e-12);
  EXPECT_NEAR(p[2], 0.10, 1e-12);
  const Probabilities certain = mapped(Probabilities{1, 0, 0}, map, {});
  EXPECT_NEAR(certain[0], 0.75, 1e-12);
  EXPECT_NEAR(certain[1], 0.125, 1e-12);
  // The verdict stands even where the map says that it is rather wrong.
  Judgement j;
  j.verdict = Verdict::a;
  j.probabilities = {0.8, 0.1, 0.1};
  map.intercept = std::log(1.0 / 9);
  EXPECT_EQ(mapped(j, map).verdict, Verdict::a);
  EXPECT_NEAR((*mapped(j, map).probabilities)[0], 0.1, 1e-12);
}

TEST(Calibration, ScoredAnswersKeepTheirVerdictAndTies) {
  Judgement j;
  j.scores = {1.0, 0.5};
  j.probabilities = Probabilities{0.62, 0.38, 0};
  ProbabilityMap map;
  map.tie_band = 2;
  map.method = CalibrationMethod::platt;
  map.slope = 0;
  map.intercept = 0;
  const Judgement out = mapped(j, map);
  EXPECT_EQ(out.verdict, Verdict::tie);
  EXPECT_NEAR((*out.probabilities)[2], 0.5, 1e-12);
}

TEST(Calibration, TheMethodThatFitsTheJudgeIsTheBest) {
  // Of a judge at twice its temperature, temperature is the truth; of one that is never right in
  // more than 70% whatever it says, it is not.
  const auto sharpened = [](double c) {
    const Probabilities p = scale_by_temperature({c, 0.75 * (1 - c), 0.25 * (1 - c)}, 2);
    return p[0];
  };
  const auto questions = own_questions(600);
  const auto overconfident = judge_with(600, sharpened);
  const auto flat = judge_with(600, [](double) { return 0.7; });
  const auto first = calibration_trials(overconfident, questions, 1);
  ASSERT_EQ(first.size(), 4u);
  EXPECT_FALSE(first[0].method);
  ASSERT_EQ(first[0].folds.size(), 5u);
  EXPECT_LT(first[1].all.nll, first[0].all.nll);
  EXPECT_LT(first[1].all.ece, first[0].all.ece);
  const auto second = calibration_trials(flat, questions, 1);
  EXPECT_EQ(best_method(second), CalibrationMethod::platt);
  EXPECT_LT(second[2].all.ece, 0.5 * second[0].all.ece);
  // Without a calibration the folds together are all judgements.
  EXPECT_NEAR(second[0].all.nll, value_of(measure(flat), Metric::nll), 1e-12);
  const Calibration best = fit_calibration(flat, second, std::nullopt, std::nullopt, 0.95);
  EXPECT_EQ(best.map.method, CalibrationMethod::platt);
  EXPECT_LT(best.nll_after, best.nll_before);
  // The same seed draws the same folds, another does not.
  EXPECT_EQ(calibration_trials(flat, questions, 1)[2].folds[0].nll, second[2].folds[0].nll);
  EXPECT_NE(calibration_trials(flat, questions, 2)[2].folds[0].nll, second[2].folds[0].nll);
}

// Of one answer: a score that is right as often as a judge at twice its temperature, whose two
// parts are fitted together.
TEST(Calibration, OfOneAnswerHoldsForAllItsParts) {
  Random random(7);
  std::vector<Judgement> judgements(400);
  std::vector<std::string> questions = own_questions(400);
  for (Judgement& j : judgements)
    for (int part = 0; part < 2; ++part) {
      const double c = 0.4 + 0.6 * random.uniform();
      Rating r{1, 4, {}, 2, {0.5 * (1 - c), c, 0.3 * (1 - c), 0.2 * (1 - c)}};
      std::vector<double> truth = r.probabilities;
      scale_by_temperature(truth, 2);
      double at = random.uniform();
      int label = 1;
      while (label < 4 && (at -= truth[static_cast<size_t>(label - 1)]) > 0) ++label;
      r.label = label;
      j.ratings.push_back(r);
    }
  const auto trials = calibration_trials(judgements, questions, 1);
  ASSERT_EQ(trials.size(), 4u);
  EXPECT_LT(trials[1].all.nll, trials[0].all.nll);
  EXPECT_LT(trials[1].all.ece, 0.5 * trials[0].all.ece);
  const Calibration c =
      fit_calibration(judgements, trials, CalibrationMethod::temperature, 0.5, 0.95);
  EXPECT_NEAR(c.map.temperature, 2, 0.2);
  EXPECT_EQ(c.examples, 400);
  EXPECT_LT(c.nll_after, c.nll_before);
  EXPECT_TRUE(c.threshold);
  // Values stay, probabilities are the map's, and the confidence is that of the least sure part.
  const Judgement after = calibrated(judgements[0], c);
  EXPECT_EQ(after.ratings[0].value, 2);
  EXPECT_EQ(after.ratings[1].probabilities, mapped(judgements[0].ratings[1].probabilities, c.map));
  EXPECT_EQ(confidence_of(after.ratings),
            std::min(after.ratings[0].probabilities[1], after.ratings[1].probabilities[1]));
  for (const CalibrationMethod method : {CalibrationMethod::platt, CalibrationMethod::isotonic}) {
    const ProbabilityMap map = fit_map(judgements, method);
    const auto p = mapped(std::vector<double>{0.05, 0.9, 0.03, 0.02}, map);
    EXPECT_NEAR(p[0] + p[1] + p[2] + p[3], 1, 1e-12);
    EXPECT_LT(p[1], 0.85) << method_name(method);
    EXPECT_NEAR(p[2] / p[0], 0.6, 1e-9);
  }
  judgements[0].ratings[0].value.reset();
  EXPECT_FALSE(confidence_of(judgements[0].ratings));
}

TEST(Calibration, AQuestionIsNeverOnBothSides) {
  // Every question comes 30 times, always right or always wrong, with a confidence of its own:
  // isotonic regression that saw it would be nearly perfect.
  std::vector<Judgement> judgements;
  std::vector<std::string> questions;
  Random random(2);
  for (int q = 0; q < 20; ++q) {
    const double c = 0.5 + 0.02 * q;
    const bool right = random.uniform() < 0.5;
    for (int i = 0; i < 30; ++i) {
      Judgement j;
      j.verdict = Verdict::a;
      j.label = right ? Verdict::a : Verdict::b;
      j.probabilities = {c, 1 - c, 0};
      judgements.push_back(j);
      questions.push_back(std::to_string(q));
    }
  }
  const auto trials = calibration_trials(judgements, questions, 0);
  const auto own = calibration_trials(judgements, own_questions(600), 0);
  EXPECT_GT(trials[3].all.nll, own[3].all.nll + 0.05);
}

TEST(Calibration, TooFewQuestionsTellNoMethodFromAnother) {
  const auto few = judge_with(9, [](double) { return 0.7; });
  const auto trials = calibration_trials(few, own_questions(9), 0);
  EXPECT_TRUE(trials.empty());
  EXPECT_THROW(best_method(trials), Error);
  EXPECT_THROW(fit_calibration(few, trials, std::nullopt, std::nullopt, 0.95), Error);
  EXPECT_EQ(
      fit_calibration(few, trials, CalibrationMethod::isotonic, std::nullopt, 0.95).map.method,
      CalibrationMethod::isotonic);
  EXPECT_THROW(fit_map({}, CalibrationMethod::platt), Error);
}

TEST(Calibration, ATableSaysWhichIsUsed) {
  const auto trials =
      calibration_trials(judge_with(60, [](double) { return 0.7; }), own_questions(60), 0);
  const nlohmann::ordered_json evaluation = {
      {"judges",
       {{{"name", "tuned"}, {"calibration", "platt"}, {"calibrations", trials_json(trials)}},
        {{"name", "base"}}}}};
  auto with_table = evaluation;
  add_table(with_table, trials_table(evaluation));
  const std::string text = tables_text(with_table);
  EXPECT_NE(text.find("tuned  platt (used)"), std::string::npos) << text;
  EXPECT_NE(text.find("tuned          none"), std::string::npos) << text;
  nlohmann::ordered_json nothing = {{"judges", nlohmann::ordered_json::array()}};
  add_table(nothing, trials_table(nothing));
  EXPECT_EQ(tables_text(nothing), "");
}

}  // namespace
}  // namespace gavel
