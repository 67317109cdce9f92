#include "judge/probability_map.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "judge/rank.h"

namespace gavel {
namespace {

// Confidences are kept so far from 0 and 1, for their log-odds.
constexpr double kEdge = 1e-6;

double log_odds(double p) {
  p = std::clamp(p, kEdge, 1 - kEdge);
  return std::log(p / (1 - p));
}

size_t top_of(std::span<const double> p) {
  return static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin());
}

double mapped_confidence(double confidence, const ProbabilityMap& map) {
  if (map.method == CalibrationMethod::platt)
    return sigmoid(map.slope * log_odds(confidence) + map.intercept);
  return interpolated(map.confidence, map.right, confidence);
}

void map_confidence(std::span<double> p, const ProbabilityMap& map) {
  if (map.method == CalibrationMethod::temperature) return;
  const size_t top = top_of(p);
  const double confidence = mapped_confidence(p[top], map);
  double rest = 0;
  for (size_t k = 0; k < p.size(); ++k)
    if (k != top) rest += p[k];
  for (size_t k = 0; k < p.size(); ++k)
    p[k] = k == top   ? confidence
           : rest > 0 ? (1 - confidence) * (p[k] / rest)
                      : (1 - confidence) / static_cast<double>(p.size() - 1);
}

// The log-odds of A over B become so many times less; a tie stays as probable.
void soften(Probabilities& p, double times) {
  if (times <= 1) return;
  constexpr double kLeast = 1e-300;
  const double odds = std::log(std::max(p[0], kLeast) / std::max(p[1], kLeast)) / times;
  const double either = p[0] + p[1];
  p[0] = either * sigmoid(odds);
  p[1] = either - p[0];
}

}  // namespace

PairSize size_of(const Judgement& j) { return {j.length_question, j.length_a, j.length_b}; }

std::string_view method_name(CalibrationMethod method) {
  constexpr std::string_view kNames[] = {"temperature", "platt", "isotonic"};
  return kNames[static_cast<size_t>(method)];
}

Probabilities with_confidence(const Probabilities& probabilities, const ProbabilityMap& map,
                              const PairSize& pair) {
  Probabilities out = probabilities;
  soften(out, strangeness(map.familiarity, pair));
  map_confidence(out, map);
  return out;
}

Probabilities mapped(const Probabilities& probabilities, const ProbabilityMap& map,
                     const PairSize& pair) {
  return with_confidence(scale_by_temperature(probabilities, map.temperature), map, pair);
}

std::vector<double> mapped(std::vector<double> probabilities, const ProbabilityMap& map) {
  scale_by_temperature(std::span(probabilities), map.temperature);
  map_confidence(probabilities, map);
  return probabilities;
}

Judgement mapped(const Judgement& judgement, const ProbabilityMap& map) {
  Judgement out = judgement;
  if (judgement.scores) {
    const double d = ((*judgement.scores)[0] - (*judgement.scores)[1]) / map.temperature;
    const Probabilities p = rank_probabilities(d, map.tie_band);
    out.probabilities = with_confidence(p, map, size_of(judgement));
    out.verdict = out.first_order = most_probable(p);
    if (out.second_order) out.second_order = out.verdict;
  } else if (judgement.probabilities) {
    out.probabilities = mapped(*judgement.probabilities, map, size_of(judgement));
  }
  for (Rating& r : out.ratings)
    if (!r.probabilities.empty()) r.probabilities = mapped(std::move(r.probabilities), map);
  return out;
}

LogisticFit fit_platt(std::span<const double> x, std::span<const uint8_t> right) {
  const auto n1 = static_cast<double>(std::count(right.begin(), right.end(), 1));
  const double n0 = static_cast<double>(x.size()) - n1;
  std::vector<double> targets;
  for (const uint8_t r : right) targets.push_back(r ? (n1 + 1) / (n1 + 2) : 1 / (n0 + 2));
  return fit_logistic(x, targets);
}

IsotonicFit fit_isotonic(std::span<const double> x, std::span<const uint8_t> right, double low,
                         double high) {
  struct Block {
    double sum, count;
    size_t begin;  // of its different x
    double mean() const { return sum / count; }
  };
  std::vector<size_t> order(x.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return x[i] < x[j]; });
  std::vector<double> places;  // the different x
  std::vector<Block> blocks;   // pool adjacent violators
  for (size_t i = 0; i < order.size();) {
    Block block{0, 0, places.size()};
    const double at = x[order[i]];
    for (; i < order.size() && x[order[i]] == at; ++i) {
      block.sum += right[order[i]];
      ++block.count;
    }
    places.push_back(at);
    while (!blocks.empty() && blocks.back().mean() >= block.mean()) {
      block.sum += blocks.back().sum;
      block.count += blocks.back().count;
      block.begin = blocks.back().begin;
      blocks.pop_back();
    }
    blocks.push_back(block);
  }
  // Of a level stretch its two ends are its corners.
  IsotonicFit fit;
  for (size_t b = 0; b < blocks.size(); ++b) {
    const size_t end = b + 1 < blocks.size() ? blocks[b + 1].begin : places.size();
    const double y = std::clamp(blocks[b].mean(), low, high);
    fit.x.push_back(places[blocks[b].begin]);
    fit.y.push_back(y);
    if (end - blocks[b].begin > 1) {
      fit.x.push_back(places[end - 1]);
      fit.y.push_back(y);
    }
  }
  return fit;
}

double interpolated(std::span<const double> x, std::span<const double> y, double at) {
  const auto above = static_cast<size_t>(std::upper_bound(x.begin(), x.end(), at) - x.begin());
  if (above == 0) return y.front();
  if (above == x.size()) return y.back();
  const double share = (at - x[above - 1]) / (x[above] - x[above - 1]);
  return y[above - 1] + share * (y[above] - y[above - 1]);
}

ProbabilityMap fit_map(std::span<const Judgement> judgements, CalibrationMethod method) {
  std::vector<Judgement> known;
  for (const Judgement& j : judgements)
    if (has_probabilities(j)) known.push_back(j);
  if (known.empty())
    fail("no verdict on the calibration data has probabilities, so nothing can be fitted");
  ProbabilityMap map;
  if (known[0].scores) {
    const RankFit ranks = fit_ranks(known);
    map.temperature = ranks.temperature;
    map.tie_band = ranks.tie_band;
  } else if (method == CalibrationMethod::temperature) {
    map.temperature = fit_temperature(known);
  }
  std::vector<PairSize> sizes;
  for (const Judgement& j : known)
    if (j.ratings.empty() && j.length_question > 0) sizes.push_back(size_of(j));
  map.familiarity = learn_familiarity(sizes);
  if (method == CalibrationMethod::temperature) return map;
  std::vector<double> x;
  std::vector<uint8_t> right;
  const auto add = [&](std::span<const double> p, size_t label) {
    x.push_back(p[top_of(p)]);
    right.push_back(top_of(p) == label);
  };
  for (const Judgement& j : known) {
    const Judgement now = mapped(j, map);
    if (now.probabilities) add(*now.probabilities, static_cast<size_t>(j.label));
    for (const Rating& r : now.ratings)
      if (!r.probabilities.empty()) add(r.probabilities, static_cast<size_t>(*r.label - r.low));
  }
  map.method = method;
  if (method == CalibrationMethod::platt) {
    for (double& c : x) c = log_odds(c);
    const LogisticFit fit = fit_platt(x, right);
    map.slope = fit.slope;
    map.intercept = fit.intercept;
  } else {
    const double edge = 1 / (static_cast<double>(x.size()) + 2);
    IsotonicFit fit = fit_isotonic(x, right, edge, 1 - edge);
    map.confidence = std::move(fit.x);
    map.right = std::move(fit.y);
  }
  return map;
}

}  // namespace gavel
