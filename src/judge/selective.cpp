#include "judge/selective.h"

#include <algorithm>
#include <cmath>

#include "judge/answer_metrics.h"

namespace gavel {
namespace {

// The probability of the verdict, or of what is said of one answer; nothing where it is not known.
std::optional<double> confidence_of(const Judgement& j) {
  if (!j.ratings.empty()) return confidence_of(j.ratings);
  if (!j.probabilities || j.verdict == Verdict::none) return std::nullopt;
  return (*j.probabilities)[static_cast<size_t>(j.verdict)];
}

struct Sureness {
  double confidence = 0;
  bool right = false;
};

std::vector<Sureness> surest_first(std::span<const Judgement> judgements) {
  std::vector<Sureness> all;
  for (const Judgement& j : judgements) all.push_back({confidence_of(j).value_or(0), is_right(j)});
  std::stable_sort(all.begin(), all.end(), [](const Sureness& x, const Sureness& y) {
    return x.confidence > y.confidence;
  });
  return all;
}

// The end of those that are as sure as all[at].
size_t end_of_equals(const std::vector<Sureness>& all, size_t at) {
  size_t end = at;
  while (end < all.size() && all[end].confidence == all[at].confidence) ++end;
  return end;
}

}  // namespace

double binomial_tail(int64_t k, int64_t n, double p) {
  double sum = 0;
  const auto m = static_cast<double>(n);
  for (int64_t i = 0; i <= k; ++i) {
    const auto x = static_cast<double>(i);
    sum += std::exp(std::lgamma(m + 1) - std::lgamma(x + 1) - std::lgamma(m - x + 1) +
                    x * std::log(p) + (m - x) * std::log1p(-p));
  }
  return std::min(sum, 1.0);
}

std::optional<double> calibrated_confidence(const Judgement& j, const Calibration& calibration) {
  return confidence_of(calibrated(j, calibration));
}

std::vector<CoveragePoint> coverage_curve(std::span<const Judgement> judgements) {
  constexpr size_t kPoints = 20;
  const auto all = surest_first(judgements);
  std::vector<CoveragePoint> curve;
  size_t done = 0, right = 0;
  for (size_t part = 1; part <= kPoints && done < all.size(); ++part) {
    const size_t wanted = (all.size() * part + kPoints - 1) / kPoints;
    if (wanted <= done) continue;
    const size_t end = end_of_equals(all, wanted - 1);
    for (; done < end; ++done) right += all[done].right;
    const auto n = static_cast<double>(done);
    curve.push_back({all[done - 1].confidence, n / static_cast<double>(all.size()),
                     static_cast<double>(right) / n});
  }
  return curve;
}

std::optional<CoveragePoint> threshold_for(std::span<const Judgement> judgements, double max_error,
                                           double level) {
  const auto all = surest_first(judgements);
  // With fewer pairs not even a flawless judge would pass.
  const auto least = static_cast<size_t>(std::ceil(std::log1p(-level) / std::log1p(-max_error)));
  std::optional<CoveragePoint> best;
  size_t wrong = 0;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = end_of_equals(all, begin);
    for (size_t i = begin; i < end; ++i) wrong += !all[i].right;
    const double threshold = all[begin].confidence;
    begin = end;
    if (end < least) continue;
    if (binomial_tail(static_cast<int64_t>(wrong), static_cast<int64_t>(end), max_error) >
        1 - level)
      break;
    const auto n = static_cast<double>(end);
    best = {threshold, n / static_cast<double>(all.size()), 1 - static_cast<double>(wrong) / n};
  }
  return best;
}

}  // namespace gavel
