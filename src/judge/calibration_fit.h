// Which calibration to take: each is fitted on some folds of the validation pairs and measured on
// the one that is left.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "judge/calibration.h"
#include "judge/eval_tables.h"

namespace gavel {

struct CalibrationScores {
  double nll = 0, brier = 0, ece = 0;  // as Metric's
};
struct CalibrationTrial {
  std::optional<CalibrationMethod> method;  // none: the probabilities as they are
  std::vector<CalibrationScores> folds;     // of each fold, by the fit on the others
  CalibrationScores all;                    // of the held-out probabilities of all folds together
};

inline constexpr int kCalibrationFolds = 5;

// No calibration and every method, by folds that hold all of a question's pairs (`questions` of the
// judgements, in their order) and are drawn by the seed. Nothing where fewer than twice as many
// questions as folds have probabilities.
std::vector<CalibrationTrial> calibration_trials(std::span<const Judgement> judgements,
                                                 std::span<const std::string> questions,
                                                 uint64_t seed);
// The method of the least NLL of all folds, the simplest of equals. Throws Error where there are
// no trials.
CalibrationMethod best_method(std::span<const CalibrationTrial> trials);

// `method`, or without one the best of `trials`; fitted on all judgements, with the threshold for
// `max_error` at `level` where that is asked. Throws Error where no judgement has probabilities.
Calibration fit_calibration(std::span<const Judgement> judgements,
                            std::span<const CalibrationTrial> trials,
                            std::optional<CalibrationMethod> method,
                            std::optional<double> max_error, double level);
// What the threshold says of the validation pairs, for people; "" where none was asked for.
std::string threshold_text(std::span<const Judgement> judgements, const Calibration& calibration,
                           double level);

// `calibrations` of a judge in eval.json: method ("none", ...), nll, brier, ece, and `folds`.
nlohmann::ordered_json trials_json(std::span<const CalibrationTrial> trials);
// The table of all judges that have them; heads alone where none has.
EvalTable trials_table(const nlohmann::ordered_json& evaluation);

}  // namespace gavel
