// What makes a judge's probabilities honest: a temperature, or a map of the confidence.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "judge/familiarity.h"
#include "judge/logistic.h"
#include "judge/metrics.h"

namespace gavel {

enum class CalibrationMethod : uint8_t { temperature, platt, isotonic };
inline constexpr CalibrationMethod kCalibrationMethods[] = {
    CalibrationMethod::temperature, CalibrationMethod::platt, CalibrationMethod::isotonic};
std::string_view method_name(CalibrationMethod method);  // as the enumerators

// Platt and isotonic map the confidence, which is the probability of the most probable label, to
// the share of such verdicts that are right; the other labels share the rest as they did before.
struct ProbabilityMap {
  CalibrationMethod method = CalibrationMethod::temperature;
  double temperature = 1;  // divides log-probabilities, or the difference of scores
  double tie_band = 0;     // of the form rank; see rank_probabilities
  // platt: the confidence c becomes sigmoid(slope * log(c / (1 - c)) + intercept)
  double slope = 1, intercept = 0;
  // isotonic: from points of rising `confidence`, linear between them and level beyond; `right`
  // never falls and stays within (0, 1)
  std::vector<double> confidence, right;
  // Of judges of pairs: the log-odds of A over B are divided by a pair's strangeness.
  Familiarity familiarity;
};

// At the map's temperature, then what a pair of such a size leaves of it, then with the confidence
// that the map says.
Probabilities mapped(const Probabilities& probabilities, const ProbabilityMap& map,
                     const PairSize& pair);
// Of a value's probabilities, likewise.
std::vector<double> mapped(std::vector<double> probabilities, const ProbabilityMap& map);
// All but the temperature.
Probabilities with_confidence(const Probabilities& probabilities, const ProbabilityMap& map,
                              const PairSize& pair);

// The judgement with mapped probabilities, of one answer in all its parts. Where the answers are
// scored alone, the verdict is that of the temperature and the tie band, which may be a tie;
// elsewhere it stays.
Judgement mapped(const Judgement& judgement, const ProbabilityMap& map);

PairSize size_of(const Judgement& judgement);

// Fitted on the judgements that have probabilities, of one answer on all its parts together;
// throws Error where none has.
//  - temperature: of least NLL (fit_temperature, fit_ranks).
//  - platt: of least NLL against Platt's targets, (n1 + 1) / (n1 + 2) for the n1 right ones and
//    1 / (n0 + 2) for the n0 wrong ones, so that it is finite where all are right.
//  - isotonic: of least squares, within [1 / (n + 2), 1 - 1 / (n + 2)], so that no verdict is
//    called certain.
// Pairs that the map was fitted on are then what it knows (learn_familiarity).
// The last two methods follow the temperature and tie band where the answers are scored alone.
ProbabilityMap fit_map(std::span<const Judgement> judgements, CalibrationMethod method);

// Platt's two numbers; `x` are log-odds.
LogisticFit fit_platt(std::span<const double> x, std::span<const uint8_t> right);

// The non-decreasing function of least squares, its values kept within [low, high], by its corners:
// the points between which it is linear, as scikit-learn's IsotonicRegression keeps them.
struct IsotonicFit {
  std::vector<double> x, y;
};
IsotonicFit fit_isotonic(std::span<const double> x, std::span<const uint8_t> right, double low,
                         double high);
// Linear between the points (x rising, at least one), level beyond them.
double interpolated(std::span<const double> x, std::span<const double> y, double at);

}  // namespace gavel
