#include "judge/length_bias.h"

#include <algorithm>
#include <cmath>

namespace gavel {

Verdict longer_answer(const Judgement& j) {
  return j.length_a > j.length_b ? Verdict::a : j.length_a < j.length_b ? Verdict::b : Verdict::tie;
}

void LengthFit::add(const Judgement& j, Verdict winner) {
  const auto length = [](int64_t n) {
    return std::log2(static_cast<double>(std::max<int64_t>(n, 1)));
  };
  points_.emplace_back(length(j.length_a) - length(j.length_b), winner == Verdict::a);
}

double LengthFit::slope() const {
  double b0 = 0, b1 = 0;
  for (int step = 0; step < 50; ++step) {
    double g0 = 0, g1 = 0, h00 = 0, h01 = 0, h11 = 0;
    for (const auto& [x, y] : points_) {
      const double p = 1 / (1 + std::exp(-b0 - b1 * x)), w = p * (1 - p);
      g0 += y - p;
      g1 += (y - p) * x;
      h00 += w;
      h01 += w * x;
      h11 += w * x * x;
    }
    const double det = h00 * h11 - h01 * h01;
    if (!(det > 1e-9 * h00 * h11)) return std::nan("");
    const double d0 = (h11 * g0 - h01 * g1) / det, d1 = (h00 * g1 - h01 * g0) / det;
    b0 += d0;
    b1 += d1;
    if (!(std::abs(b0) < 50 && std::abs(b1) < 50)) return std::nan("");
    if (std::abs(d0) + std::abs(d1) < 1e-12) return b1;
  }
  return std::nan("");
}

}  // namespace gavel
