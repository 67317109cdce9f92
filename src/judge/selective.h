// Knowing when not to answer: how right a judge is where it is sure, and from which confidence on
// it may be believed.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "judge/calibration.h"
#include "judge/metrics.h"

namespace gavel {

// Of the surest pairs: those with at least this confidence.
struct CoveragePoint {
  double threshold = 0;  // the probability of the verdict
  double coverage = 0;   // share of all pairs
  double accuracy = 0;
};

// For each twentieth of the pairs, the surest first; equally sure ones come together. Judgements
// without probabilities are the least sure, of confidence 0. Of one answer, the confidence is that
// of the least sure part, and right is what is right in every part.
std::vector<CoveragePoint> coverage_curve(std::span<const Judgement> judgements);

// The lowest confidence from which on no more than `max_error` of the verdicts are wrong, said
// with probability `level`. Thresholds are tried from the strictest on that could pass without an
// error, each by the exact binomial test of "at least max_error are wrong", until one does not pass
// (fixed-sequence testing, so that trying many costs nothing). This holds where the pairs to come
// are drawn as these were, and says nothing of others. None: no threshold passes.
std::optional<CoveragePoint> threshold_for(std::span<const Judgement> judgements, double max_error,
                                           double level);

// The confidence as the calibration has it; nothing where it is not known.
std::optional<double> calibrated_confidence(const Judgement& judgement,
                                            const Calibration& calibration);

// P(X <= k) for X ~ Binomial(n, p).
double binomial_tail(int64_t k, int64_t n, double p);

}  // namespace gavel
