#include "judge/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "judge/length_bias.h"
#include "judge/search.h"

namespace gavel {
namespace {

// Probabilities are kept away from 0 as scikit-learn's log_loss does it for doubles.
constexpr double kSmallest = std::numeric_limits<double>::epsilon();

double ratio(double part, double whole) { return whole > 0 ? part / whole : kNaN; }
double ratio_or_zero(double part, double whole) { return whole > 0 ? part / whole : 0; }

size_t index(Verdict verdict) { return static_cast<size_t>(verdict); }

// Where a verdict leans to: 1 the answer shown first, -1 the second, 0 neither.
int lean(Verdict verdict, bool exchanged) {
  const int to_a = verdict == Verdict::a ? 1 : verdict == Verdict::b ? -1 : 0;
  return exchanged ? -to_a : to_a;
}

// (low, high] bins of equal width; 0 falls into the first.
int bin_of(double confidence, int bins) {
  const int bin = static_cast<int>(std::ceil(confidence * bins)) - 1;
  return std::clamp(bin, 0, bins - 1);
}

// Sums over a sample, from which every metric follows.
struct Sums {
  Confusion confusion{};
  int64_t count = 0, answers = 0, unparsable = 0;
  int64_t both = 0, consistent = 0, to_first = 0, to_second = 0;
  int64_t with_probabilities = 0;
  double brier = 0, nll = 0, tokens = 0;
  struct Bin {
    int64_t count = 0, right = 0;
    double confidence = 0;
  };
  std::array<Bin, kReliabilityBins> bins{};
  struct Side {
    int64_t count = 0, right = 0;
  } longer, shorter;  // the label's answer
  int64_t decided = 0, to_longer = 0;
  LengthFit length;

  void add(const Judgement& j) {
    ++count;
    ++confusion[index(j.label)][index(j.verdict)];
    tokens += static_cast<double>(j.tokens);
    ++answers;
    unparsable += j.first_order == Verdict::none;
    if (j.second_order) add_orders(j.first_order, *j.second_order);
    if (j.probabilities) add_probabilities(j);
    add_length(j);
  }

  void add_length(const Judgement& j) {
    const Verdict long_one = longer_answer(j);
    if (long_one == Verdict::tie) return;
    if (j.label != Verdict::tie) {
      Side& side = j.label == long_one ? longer : shorter;
      ++side.count;
      side.right += j.verdict == j.label;
    }
    if (j.verdict == Verdict::tie || j.verdict == Verdict::none) return;
    ++decided;
    to_longer += j.verdict == long_one;
    length.add(j, j.verdict);
  }

  void add_orders(Verdict first, Verdict second) {
    ++answers;
    ++both;
    unparsable += second == Verdict::none;
    if (first == Verdict::none || second == Verdict::none) return;
    consistent += first == second;
    const int sum = lean(first, false) + lean(second, true);
    to_first += sum > 0;
    to_second += sum < 0;
  }

  void add_probabilities(const Judgement& j) {
    ++with_probabilities;
    const Probabilities& p = *j.probabilities;
    for (size_t k = 0; k < p.size(); ++k) {
      const double d = p[k] - (k == index(j.label) ? 1 : 0);
      brier += d * d;
    }
    nll -= std::log(std::max(p[index(j.label)], kSmallest));
    const Verdict top = most_probable(p);
    Bin& bin = bins[static_cast<size_t>(bin_of(p[index(top)], kReliabilityBins))];
    ++bin.count;
    bin.right += top == j.label;
    bin.confidence += p[index(top)];
  }
};

// sklearn's cohen_kappa_score. Not defined where all labels and verdicts are the same one.
double kappa_of(const std::array<ClassScores, 3>& scores, double agreement, double n) {
  double chance = 0;
  for (const ClassScores& s : scores)
    chance += static_cast<double>(s.support) / n * (static_cast<double>(s.predicted) / n);
  return ratio(agreement - chance, 1 - chance);
}

MetricValues values_of(const Sums& sums) {
  MetricValues values;
  values.fill(kNaN);
  const auto set = [&](Metric m, double v) { values[static_cast<size_t>(m)] = v; };
  const auto n = static_cast<double>(sums.count);
  const auto scores = class_scores(sums.confusion);
  double right = 0, precision = 0, recall = 0, f1 = 0, classes = 0;
  for (size_t k = 0; k < 3; ++k) {
    right += static_cast<double>(sums.confusion[k][k]);
    if (scores[k].support + scores[k].predicted == 0) continue;
    ++classes;
    precision += scores[k].precision;
    recall += scores[k].recall;
    f1 += scores[k].f1;
  }
  const ClassScores& tie = scores[index(Verdict::tie)];
  const auto right_ties = static_cast<double>(sums.confusion[2][2]);
  const auto ties = static_cast<double>(tie.support), both = static_cast<double>(sums.both);
  set(Metric::agreement, ratio(right, n));
  set(Metric::precision, ratio(precision, classes));
  set(Metric::recall, ratio(recall, classes));
  set(Metric::f1, ratio(f1, classes));
  set(Metric::consistency, ratio(static_cast<double>(sums.consistent), both));
  set(Metric::bias_first, ratio(static_cast<double>(sums.to_first), both));
  set(Metric::bias_second, ratio(static_cast<double>(sums.to_second), both));
  set(Metric::tie_rate, ratio(static_cast<double>(tie.predicted), n));
  set(Metric::tie_recall, ratio(right_ties, ties));
  set(Metric::agreement_no_tie, ratio(right - right_ties, n - ties));
  const auto longer =
      ratio(static_cast<double>(sums.longer.right), static_cast<double>(sums.longer.count));
  const auto shorter =
      ratio(static_cast<double>(sums.shorter.right), static_cast<double>(sums.shorter.count));
  set(Metric::kappa, kappa_of(scores, right / n, n));
  set(Metric::agreement_longer, longer);
  set(Metric::agreement_shorter, shorter);
  set(Metric::agreement_balanced, (longer + shorter) / 2);
  set(Metric::prefers_longer,
      ratio(static_cast<double>(sums.to_longer), static_cast<double>(sums.decided)));
  set(Metric::length_slope, sums.length.slope());
  set(Metric::unparsable,
      ratio(static_cast<double>(sums.unparsable), static_cast<double>(sums.answers)));
  set(Metric::tokens, ratio(sums.tokens, static_cast<double>(sums.answers)));
  if (sums.with_probabilities > 0) {
    const auto known = static_cast<double>(sums.with_probabilities);
    double gap = 0;
    for (const Sums::Bin& bin : sums.bins)
      gap += std::abs(bin.confidence - static_cast<double>(bin.right));
    set(Metric::ece, gap / known);
    set(Metric::brier, sums.brier / known);
    set(Metric::nll, sums.nll / known);
  }
  return values;
}

}  // namespace

Probabilities mean(const Probabilities& x, const Probabilities& y) {
  Probabilities m;
  for (size_t k = 0; k < m.size(); ++k) m[k] = (x[k] + y[k]) / 2;
  return m;
}

Verdict most_probable(const Probabilities& p) {
  return kVerdicts[static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin())];
}

Verdict combine(Verdict first_order, Verdict second_order,
                const std::optional<Probabilities>& first,
                const std::optional<Probabilities>& second) {
  if (first && second) return most_probable(mean(*first, *second));
  if (first_order == Verdict::none) return second_order;
  if (second_order == Verdict::none || first_order == second_order) return first_order;
  // One order says tie: the other one decides. Two opposite verdicts cancel out.
  if (first_order == Verdict::tie) return second_order;
  if (second_order == Verdict::tie) return first_order;
  return Verdict::tie;
}

std::string_view metric_name(Metric metric) {
  constexpr std::string_view kNames[] = {"agreement",
                                         "precision",
                                         "recall",
                                         "f1",
                                         "kappa",
                                         "consistency",
                                         "bias_first",
                                         "bias_second",
                                         "tie_rate",
                                         "tie_recall",
                                         "agreement_no_tie",
                                         "agreement_longer",
                                         "agreement_shorter",
                                         "agreement_balanced",
                                         "prefers_longer",
                                         "length_slope",
                                         "unparsable",
                                         "ece",
                                         "brier",
                                         "nll",
                                         "tokens"};
  static_assert(std::size(kNames) == kMetricCount);
  return kNames[static_cast<size_t>(metric)];
}

int metric_direction(Metric metric) {
  switch (metric) {
    case Metric::agreement:
    case Metric::precision:
    case Metric::recall:
    case Metric::f1:
    case Metric::kappa:
    case Metric::consistency:
    case Metric::tie_recall:
    case Metric::agreement_no_tie:
    case Metric::agreement_longer:
    case Metric::agreement_shorter:
    case Metric::agreement_balanced:
      return 1;
    case Metric::bias_first:
    case Metric::bias_second:
    case Metric::unparsable:
    case Metric::ece:
    case Metric::brier:
    case Metric::nll:
      return -1;
    case Metric::tie_rate:
    case Metric::prefers_longer:
    case Metric::length_slope:
    case Metric::tokens:
      break;
  }
  return 0;
}

MetricValues measure(std::span<const Judgement> judgements, std::span<const uint32_t> sample) {
  Sums sums;
  for (uint32_t i : sample) sums.add(judgements[i]);
  return values_of(sums);
}

MetricValues measure(std::span<const Judgement> judgements) {
  Sums sums;
  for (const Judgement& j : judgements) sums.add(j);
  return values_of(sums);
}

Confusion confusion(std::span<const Judgement> judgements) {
  Confusion counts{};
  for (const Judgement& j : judgements) ++counts[index(j.label)][index(j.verdict)];
  return counts;
}

std::array<ClassScores, 3> class_scores(const Confusion& counts) {
  std::array<ClassScores, 3> scores;
  int64_t all = 0;
  for (const auto& row : counts) all += std::accumulate(row.begin(), row.end(), int64_t{0});
  for (size_t k = 0; k < 3; ++k) {
    ClassScores& s = scores[k];
    s.verdict = kVerdicts[k];
    for (size_t other = 0; other < 4; ++other) s.support += counts[k][other];
    for (size_t other = 0; other < 3; ++other) s.predicted += counts[other][k];
    const auto right = static_cast<double>(counts[k][k]);
    s.precision = ratio_or_zero(right, static_cast<double>(s.predicted));
    s.recall = ratio_or_zero(right, static_cast<double>(s.support));
    s.f1 = ratio_or_zero(2 * right, static_cast<double>(s.predicted + s.support));
    const auto others = static_cast<double>(all - s.support);
    s.specificity = ratio_or_zero(others - (static_cast<double>(s.predicted) - right), others);
  }
  return scores;
}

std::vector<ReliabilityBin> reliability(std::span<const Judgement> judgements, int bins) {
  std::vector<ReliabilityBin> result(static_cast<size_t>(bins));
  for (int i = 0; i < bins; ++i) {
    result[static_cast<size_t>(i)].low = static_cast<double>(i) / bins;
    result[static_cast<size_t>(i)].high = static_cast<double>(i + 1) / bins;
  }
  const auto add = [&](double confidence, bool right) {
    ReliabilityBin& bin = result[static_cast<size_t>(bin_of(confidence, bins))];
    ++bin.count;
    bin.confidence += confidence;
    bin.accuracy += right ? 1 : 0;
  };
  for (const Judgement& j : judgements) {
    if (j.probabilities) {
      const Verdict top = most_probable(*j.probabilities);
      add((*j.probabilities)[index(top)], top == j.label);
    }
    for (const Rating& r : j.ratings)
      if (!r.probabilities.empty() && r.value)
        add(r.probabilities.at(static_cast<size_t>(*r.value - r.low)), r.value == r.label);
  }
  for (ReliabilityBin& bin : result) {
    bin.confidence = ratio_or_zero(bin.confidence, static_cast<double>(bin.count));
    bin.accuracy = ratio_or_zero(bin.accuracy, static_cast<double>(bin.count));
  }
  return result;
}

bool has_probabilities(const Judgement& j) {
  return j.probabilities || std::any_of(j.ratings.begin(), j.ratings.end(),
                                        [](const Rating& r) { return !r.probabilities.empty(); });
}

void scale_by_temperature(std::span<double> p, double temperature) {
  for (double& x : p) x = std::log(std::max(x, kSmallest)) / temperature;
  const double top = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& x : p) sum += x = std::exp(x - top);
  for (double& x : p) x /= sum;
}

Probabilities scale_by_temperature(const Probabilities& probabilities, double temperature) {
  Probabilities out = probabilities;
  scale_by_temperature(std::span(out), temperature);
  return out;
}

double fit_temperature(std::span<const Judgement> judgements) {
  const auto nll = [&](double log_t) {
    double sum = 0;
    const auto add = [&](auto p, size_t label) {
      scale_by_temperature(std::span(p), std::exp(log_t));
      sum -= std::log(std::max(p[label], kSmallest));
    };
    for (const Judgement& j : judgements) {
      if (j.probabilities) add(*j.probabilities, index(j.label));
      for (const Rating& r : j.ratings)
        if (!r.probabilities.empty()) add(r.probabilities, static_cast<size_t>(*r.label - r.low));
    }
    return sum;
  };
  if (std::none_of(judgements.begin(), judgements.end(), has_probabilities)) return 1;
  // NLL is convex in 1/T, so it has one minimum in log T: golden-section search finds it.
  return std::exp(golden_section(std::log(0.05), std::log(20.0), nll));
}

double percentile(std::vector<double> values, double percent) {
  if (values.empty()) return kNaN;
  const double rank =
      std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), nth, values.end());
  const double low = *nth;
  if (below + 1 == values.size()) return low;
  const double high = *std::min_element(nth + 1, values.end());
  return low + (rank - static_cast<double>(below)) * (high - low);
}

std::optional<double> cost_per_1000(const CostRates& rates, double wall_seconds, int64_t count) {
  if (count <= 0) return std::nullopt;
  const double hours = wall_seconds / 3600 / static_cast<double>(count) * 1000;
  double cost = 0;
  if (rates.price_per_hour) cost += *rates.price_per_hour * hours;
  if (rates.watts && rates.price_per_kwh)
    cost += *rates.watts / 1000 * *rates.price_per_kwh * hours;
  const bool known = rates.price_per_hour || (rates.watts && rates.price_per_kwh);
  return known ? std::optional(cost) : std::nullopt;
}

}  // namespace gavel
