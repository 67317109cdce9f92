#include "judge/logistic.h"

#include <algorithm>
#include <cmath>

namespace gavel {

LogisticFit fit_logistic(std::span<const double> x, std::span<const double> targets) {
  const auto loss = [&](double slope, double intercept) {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double z = slope * x[i] + intercept;
      sum += std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))) - targets[i] * z;
    }
    return sum;
  };
  const auto [least, most] = std::minmax_element(x.begin(), x.end());
  const bool spread = !x.empty() && *most - *least > 1e-9;
  LogisticFit fit;
  double now = loss(0, 0);
  for (int step = 0; step < 100; ++step) {
    double g0 = 0, g1 = 0, h00 = 0, h01 = 0, h11 = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double p = 1 / (1 + std::exp(-fit.slope * x[i] - fit.intercept));
      const double w = std::max(p * (1 - p), 1e-12), g = p - targets[i];
      g0 += g;
      g1 += g * x[i];
      h00 += w;
      h01 += w * x[i];
      h11 += w * x[i] * x[i];
    }
    const double det = h00 * h11 - h01 * h01;
    double d0 = h00 > 0 ? g0 / h00 : 0, d1 = 0;
    if (spread && det > 0) {
      d0 = (h11 * g0 - h01 * g1) / det;
      d1 = (h00 * g1 - h01 * g0) / det;
    }
    // Newton's step, halved until it does not lead upwards.
    double part = 1;
    while (part > 1e-9 && loss(fit.slope - part * d1, fit.intercept - part * d0) > now) part /= 2;
    fit.slope -= part * d1;
    fit.intercept -= part * d0;
    now = loss(fit.slope, fit.intercept);
    if (std::abs(d0) + std::abs(d1) < 1e-10 || part <= 1e-9) break;
  }
  return fit;
}

}  // namespace gavel
