// Logistic regression on one number.
#pragma once

#include <cmath>
#include <span>

namespace gavel {

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct LogisticFit {
  double slope = 0, intercept = 0;
};
// Of least cross-entropy against `targets` in [0, 1], without a penalty; the slope is 0 where all x
// are the same. Where one side always wins there is no least, and numbers beyond 20 come out.
LogisticFit fit_logistic(std::span<const double> x, std::span<const double> targets);

}  // namespace gavel
