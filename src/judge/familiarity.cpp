#include "judge/familiarity.h"

#include <algorithm>
#include <cmath>

namespace gavel {
namespace {

PairPlace place_of(const PairSize& pair) {
  const auto log_length = [](int64_t n) { return std::log(static_cast<double>(n) + 1); };
  const double a = log_length(pair.answer_a), b = log_length(pair.answer_b);
  return {a + b, std::abs(a - b), log_length(pair.question)};
}

double distance(const PairPlace& x, const PairPlace& y) {
  double sum = 0;
  for (size_t k = 0; k < x.size(); ++k) sum += (x[k] - y[k]) * (x[k] - y[k]);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

// The mean distance to the nearest ones; one at the very place, the pair itself, does not count.
double distance_to(const std::vector<PairPlace>& places, const PairPlace& place) {
  std::vector<double> all;
  bool itself = false;
  for (const PairPlace& other : places) {
    all.push_back(distance(place, other));
    if (all.back() == 0 && !itself) {
      itself = true;
      all.pop_back();
    }
  }
  const size_t nearest = std::min(kNeighbours, all.size());
  if (nearest == 0) return 0;
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(nearest - 1), all.end());
  double sum = 0;
  for (size_t i = 0; i < nearest; ++i) sum += all[i];
  return sum / static_cast<double>(nearest);
}

// Rounded, so that files are short and a pair is found again at its very place.
PairPlace scaled(const Familiarity& f, const PairPlace& place) {
  constexpr double kSteps = 1e4;
  PairPlace out{};
  for (size_t k = 0; k < out.size(); ++k)
    if (f.spread[k] > 0)
      out[k] = std::round((place[k] - f.center[k]) / f.spread[k] * kSteps) / kSteps;
  return out;
}

}  // namespace

Familiarity learn_familiarity(std::span<const PairSize> pairs) {
  if (pairs.size() < kFewestFamiliar) return {};
  std::vector<PairPlace> places;
  const size_t kept = std::min(pairs.size(), kMostFamiliarPairs);
  for (size_t i = 0; i < kept; ++i) places.push_back(place_of(pairs[i * pairs.size() / kept]));
  Familiarity f;
  const auto n = static_cast<double>(kept);
  for (size_t k = 0; k < f.center.size(); ++k) {
    for (const PairPlace& p : places) f.center[k] += p[k] / n;
    for (const PairPlace& p : places)
      f.spread[k] += (p[k] - f.center[k]) * (p[k] - f.center[k]) / n;
    f.spread[k] = std::sqrt(f.spread[k]);
  }
  for (PairPlace& p : places) p = scaled(f, p);
  std::vector<double> distances;
  for (const PairPlace& p : places) distances.push_back(distance_to(places, p));
  std::sort(distances.begin(), distances.end());
  f.usual = distances[(3 * distances.size()) / 4];
  if (!(f.usual > 0)) return {};
  f.places = std::move(places);
  return f;
}

double strangeness(const Familiarity& familiarity, const PairSize& pair) {
  constexpr double kMost = 1e6;
  if (familiarity.places.empty()) return 1;
  const double far =
      distance_to(familiarity.places, scaled(familiarity, place_of(pair))) / familiarity.usual;
  return std::clamp(far * far, 1.0, kMost);
}

}  // namespace gavel
