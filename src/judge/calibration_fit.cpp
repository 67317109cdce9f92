#include "judge/calibration_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "judge/answer_metrics.h"
#include "judge/selective.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

// No probability is as high.
constexpr double kNeverSure = 2;

CalibrationScores scores_of(std::span<const Judgement> judgements) {
  if (!judgements.empty() && !judgements[0].ratings.empty()) {
    std::vector<uint32_t> all(judgements.size());
    std::iota(all.begin(), all.end(), 0U);
    const RatingHonesty h = rating_honesty(judgements, all);
    return {h.nll, h.brier, h.ece};
  }
  const MetricValues values = measure(judgements);
  return {value_of(values, Metric::nll), value_of(values, Metric::brier),
          value_of(values, Metric::ece)};
}

// The fold of each judgement with probabilities, -1 of the others; none where there are too few.
std::vector<int> folds_of(std::span<const Judgement> judgements,
                          std::span<const std::string> questions, uint64_t seed) {
  std::map<std::string, int> fold_of;
  std::vector<std::string> distinct;
  for (size_t i = 0; i < judgements.size(); ++i)
    if (has_probabilities(judgements[i]) && fold_of.emplace(questions[i], -1).second)
      distinct.push_back(questions[i]);
  if (distinct.size() < 2 * kCalibrationFolds) return {};
  Random(seed, 0x63616C6962ULL).shuffle(std::span(distinct));
  for (size_t q = 0; q < distinct.size(); ++q)
    fold_of[distinct[q]] = static_cast<int>(q % kCalibrationFolds);
  std::vector<int> folds(judgements.size(), -1);
  for (size_t i = 0; i < judgements.size(); ++i)
    if (has_probabilities(judgements[i])) folds[i] = fold_of[questions[i]];
  return folds;
}

CalibrationTrial trial_of(std::span<const Judgement> judgements, const std::vector<int>& folds,
                          std::optional<CalibrationMethod> method) {
  CalibrationTrial trial{method, {}, {}};
  std::vector<Judgement> all;
  for (int fold = 0; fold < kCalibrationFolds; ++fold) {
    std::vector<Judgement> others, held_out;
    for (size_t i = 0; i < judgements.size(); ++i)
      if (folds[i] >= 0) (folds[i] == fold ? held_out : others).push_back(judgements[i]);
    if (method) {
      const ProbabilityMap map = fit_map(others, *method);
      for (Judgement& j : held_out) j = mapped(j, map);
    }
    trial.folds.push_back(scores_of(held_out));
    all.insert(all.end(), held_out.begin(), held_out.end());
  }
  trial.all = scores_of(all);
  return trial;
}

}  // namespace

std::vector<CalibrationTrial> calibration_trials(std::span<const Judgement> judgements,
                                                 std::span<const std::string> questions,
                                                 uint64_t seed) {
  if (questions.size() != judgements.size())
    fail("{} questions are not those of {} judgements", questions.size(), judgements.size());
  const std::vector<int> folds = folds_of(judgements, questions, seed);
  if (folds.empty()) return {};
  std::vector<CalibrationTrial> trials = {trial_of(judgements, folds, std::nullopt)};
  for (const CalibrationMethod method : kCalibrationMethods)
    trials.push_back(trial_of(judgements, folds, method));
  return trials;
}

CalibrationMethod best_method(std::span<const CalibrationTrial> trials) {
  const CalibrationTrial* best = nullptr;
  for (const CalibrationTrial& trial : trials)
    if (trial.method && (!best || trial.all.nll < best->all.nll)) best = &trial;
  if (!best)
    fail(
        "to tell which calibration is best needs probabilities on rows of at least {} "
        "questions: give more with --calibrate, or name a method with --calibrate-with",
        2 * kCalibrationFolds);
  return *best->method;
}

Calibration fit_calibration(std::span<const Judgement> judgements,
                            std::span<const CalibrationTrial> trials,
                            std::optional<CalibrationMethod> method,
                            std::optional<double> max_error, double level) {
  std::vector<Judgement> known;
  for (const Judgement& j : judgements)
    if (has_probabilities(j)) known.push_back(j);
  Calibration c;
  c.map = fit_map(known, method ? *method : best_method(trials));
  c.examples = static_cast<int64_t>(known.size());
  c.nll_before = scores_of(known).nll;
  for (Judgement& j : known) j = calibrated(j, c);
  c.nll_after = scores_of(known).nll;
  if (!max_error) return c;
  const auto passed = threshold_for(known, *max_error, level);
  c.threshold = passed ? passed->threshold : kNeverSure;
  c.max_error = *max_error;
  return c;
}

std::string threshold_text(std::span<const Judgement> judgements, const Calibration& calibration,
                           double level) {
  if (!calibration.threshold) return "";
  std::vector<Judgement> known;
  for (const Judgement& j : judgements)
    if (has_probabilities(j)) known.push_back(calibrated(j, calibration));
  const auto passed = threshold_for(known, calibration.max_error, level);
  if (!passed)
    return fmt::format(
        "No confidence suffices for at most {:.3g}% wrong verdicts: all are for "
        "people",
        100 * calibration.max_error);
  return fmt::format(
      "Sure enough from a confidence of {:.3f} on: {:.0f}% of the validation data, {:.1f}% of "
      "them wrong",
      passed->threshold, 100 * passed->coverage, 100 * (1 - passed->accuracy));
}

Json trials_json(std::span<const CalibrationTrial> trials) {
  const auto numbers = [](const CalibrationScores& s) {
    return Json{
        {"nll", number_json(s.nll)}, {"brier", number_json(s.brier)}, {"ece", number_json(s.ece)}};
  };
  Json out = Json::array();
  for (const CalibrationTrial& trial : trials) {
    Json entry = {{"method", trial.method ? method_name(*trial.method) : "none"}};
    entry.update(numbers(trial.all));
    for (const CalibrationScores& fold : trial.folds) entry["folds"].push_back(numbers(fold));
    out.push_back(std::move(entry));
  }
  return out;
}

EvalTable trials_table(const Json& evaluation) {
  TableRows rows = {{"judge", "calibration", "NLL", "Brier", "ECE %"}};
  for (const Json& judge : evaluation["judges"]) {
    if (!judge.contains("calibrations")) continue;
    for (const Json& trial : judge["calibrations"]) {
      // Of all folds, and in parentheses the least and the most of a fold.
      const auto cell = [&](const char* key, double unit, int digits) {
        double least = number_or_nan(trial["folds"][0][key]), most = least;
        for (const Json& fold : trial["folds"]) {
          least = std::min(least, number_or_nan(fold[key]));
          most = std::max(most, number_or_nan(fold[key]));
        }
        return fmt::format("{} ({} to {})", short_number(unit * number_or_nan(trial[key]), digits),
                           short_number(unit * least, digits), short_number(unit * most, digits));
      };
      const bool used = judge.value("calibration", "") == trial["method"];
      rows.push_back({judge["name"], trial["method"].get<std::string>() + (used ? " (used)" : ""),
                      cell("nll", 1, 3), cell("brier", 1, 3), cell("ece", 100, 1)});
    }
  }
  return {
      "Calibrations by held-out folds",
      "Each is fitted on four fifths of the validation data and measured on the rest: all folds "
      "together, and in parentheses the least and the most of one.",
      std::move(rows)};
}

}  // namespace gavel
