// calibration.json, beside adapter_config.json: what makes an adapter's probabilities honest, an
// entry for each way of judging. Fitted on validation pairs by `gavel eval --calibrate`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "judge/judge.h"
#include "judge/probability_map.h"

namespace gavel {

struct Calibration {
  ProbabilityMap map;
  int64_t examples = 0;  // it was fitted on
  double nll_before = 0, nll_after = 0;
  // Verdicts of at least this confidence are wrong in at most a share of max_error (see
  // threshold_for in selective.h); above 1 where no confidence suffices for that.
  std::optional<double> threshold;
  double max_error = 0;
};

// The judgement with calibrated probabilities; where the answers are scored alone, with the verdict
// that follows from them, which may be a tie.
Judgement calibrated(const Judgement& judgement, const Calibration& calibration);
// With its verdict alone, the probabilities being those before.
Judgement with_ties(const Judgement& judgement, const Calibration& calibration);

// Whether a verdict of this confidence is for a person to decide.
inline bool needs_a_person(const std::optional<Calibration>& calibration,
                           const std::optional<double>& confidence) {
  return calibration && calibration->threshold && confidence.value_or(0) < *calibration->threshold;
}

// `adapter`: a directory, or one weights file in it. What is stored holds for these weights (by
// name), this mode, and one order or both.
std::optional<Calibration> load_calibration(const std::filesystem::path& adapter, JudgeMode mode,
                                            bool both_orders);
// Replaces the entry, keeps the others. Throws Error where the file cannot be written.
void save_calibration(const std::filesystem::path& adapter, JudgeMode mode, bool both_orders,
                      const Calibration& calibration);

std::string_view mode_name(JudgeMode mode);  // "reason", "verdict"

}  // namespace gavel
