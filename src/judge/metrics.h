// How good a judge is: every number that `gavel eval` reports, from a list of judgements.
//
// Classes are A, B and tie. Unparsable verdicts (`none`) are predictions outside of the classes:
// wrong everywhere, and no class's precision counts them. Values agree with scikit-learn's and
// scipy's on the same judgements (tests/judge/metrics_test.cpp, scripts/golden_metrics.py).
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "judge/rating.h"
#include "judge/verdict.h"

namespace gavel {

// Probabilities over A, B and tie; they sum to 1.
using Probabilities = std::array<double, 3>;

// One judged pair. Verdicts name the pair's own answers: that of the exchanged order is mapped
// back.
struct Judgement {
  Verdict label = Verdict::none;                // what the pair's label says; never `none`
  Verdict verdict = Verdict::none;              // the judge's verdict on the pair
  Verdict first_order = Verdict::none;          // with A shown first
  std::optional<Verdict> second_order;          // with B shown first, where that was asked
  std::optional<Probabilities> probabilities;   // behind `verdict`, where known
  std::optional<std::array<double, 2>> scores;  // of A and B, where each is scored alone
  std::vector<Rating> ratings;                  // of forms of one answer: instead of verdicts
  int64_t length_a = 0, length_b = 0;           // of the answers, in characters
  int64_t length_question = 0;                  // likewise; 0: not known
  int64_t tokens = 0;                           // tokens the judge wrote, both orders together
  double seconds = 0;                           // from the request's start to its answer
  // What the reason of each order speaks for (see reason.h), with the pair's own names.
  std::array<Verdict, 2> reasons = {Verdict::none, Verdict::none};
};

// The verdict of both orders: that of the mean probabilities where both are known; otherwise the
// one they share, a tie where they contradict each other, the readable one where only one is.
Verdict combine(Verdict first_order, Verdict second_order,
                const std::optional<Probabilities>& first = {},
                const std::optional<Probabilities>& second = {});
Probabilities mean(const Probabilities& x, const Probabilities& y);
// The class of the greatest probability; the earlier one of equals.
Verdict most_probable(const Probabilities& probabilities);

// --- point values -------------------------------------------------------------------------------

// A number that is not defined on the data.
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The numbers that carry an interval. Those that are not defined are NaN: consistency
// and bias without both orders, calibration without probabilities, tie metrics without ties. Of
// length: over pairs whose answers differ in it.
enum class Metric {
  agreement,  // share of verdicts equal to the label
  precision,  // macro means over the classes that occur as label or verdict, 0 where 0/0
  recall,
  f1,
  kappa,               // Cohen's: agreement beyond what the shares of labels and verdicts give
  consistency,         // share of pairs with the same readable verdict in both orders
  bias_first,          // share of pairs whose two verdicts lean to whatever is shown first
  bias_second,         //   ... to whatever is shown second
  tie_rate,            // share of ties among the verdicts
  tie_recall,          // share of pairs labelled tie that were judged so
  agreement_no_tie,    // agreement on the pairs whose label is not a tie
  agreement_longer,    // agreement on the pairs that the longer answer wins by the label
  agreement_shorter,   // on those that the shorter answer wins
  agreement_balanced,  // the mean of both: 50% for who always takes the longer
  prefers_longer,      // share of verdicts A and B that go to the longer answer
  length_slope,        // log-odds of verdict A for each doubling of A's length over B's
  unparsable,          // share of answers without a readable verdict
  ece,                 // expected calibration error of the verdict's probability
  brier,               // mean squared distance of the probabilities from the label, 0..2
  nll,                 // mean negative log probability of the label, in nats
  tokens,              // mean tokens per response (one order)
};
inline constexpr int kMetricCount = 21;

std::string_view metric_name(Metric metric);
// Whether more of it is better, less is better (-1), or neither (0).
int metric_direction(Metric metric);

using MetricValues = std::array<double, kMetricCount>;
inline double value_of(const MetricValues& values, Metric metric) {
  return values[static_cast<size_t>(metric)];
}

inline constexpr int kReliabilityBins = 10;

// All of them over the judgements named by `sample` (indices, repeats allowed).
MetricValues measure(std::span<const Judgement> judgements, std::span<const uint32_t> sample);
MetricValues measure(std::span<const Judgement> judgements);

struct ClassScores {
  Verdict verdict = Verdict::none;
  double precision = 0, recall = 0, f1 = 0;  // recall is the rate of true positives
  double specificity = 0;                    // the rate of true negatives
  int64_t support = 0;                       // pairs with this label
  int64_t predicted = 0;                     // pairs with this verdict
};
// Counts by label (A, B, tie) and verdict (A, B, tie, none).
using Confusion = std::array<std::array<int64_t, 4>, 3>;
Confusion confusion(std::span<const Judgement> judgements);

// For A, B and tie, in this order; 0 where a ratio is 0/0.
std::array<ClassScores, 3> class_scores(const Confusion& counts);

// --- calibration --------------------------------------------------------------------------------

// Of one interval (low, high] of confidence; the first bin holds 0 too.
struct ReliabilityBin {
  double low = 0, high = 0;
  int64_t count = 0;
  double confidence = 0;  // mean probability of the verdict
  double accuracy = 0;    // share of right verdicts
};
// Equal-width bins over the judgements that have probabilities; of one answer, over its parts.
std::vector<ReliabilityBin> reliability(std::span<const Judgement> judgements,
                                        int bins = kReliabilityBins);

// Whether the probabilities of a verdict, or of one part of an answer, are known.
bool has_probabilities(const Judgement& judgement);

// p^(1/T), normalized. T > 1 makes a judge less sure. Never changes which class is most probable.
void scale_by_temperature(std::span<double> probabilities, double temperature);
Probabilities scale_by_temperature(const Probabilities& probabilities, double temperature);
// The T in [0.05, 20] of least NLL on these judgements, of one answer on all its parts; 1 where
// none has probabilities.
double fit_temperature(std::span<const Judgement> judgements);

// --- speed and cost -----------------------------------------------------------------------------

// Linear interpolation between the nearest ranks, as numpy's default. NaN for no values.
double percentile(std::vector<double> values, double percent);

// What the user gives; a price for power needs the watts.
struct CostRates {
  std::optional<double> price_per_hour;
  std::optional<double> watts;
  std::optional<double> price_per_kwh;
};
// For 1,000 judgements, from the wall time of `count`. Nothing where the rates do not suffice.
std::optional<double> cost_per_1000(const CostRates& rates, double wall_seconds, int64_t count);

// --- uncertainty --------------------------------------------------------------------------------

struct Interval {
  double value = 0, low = 0, high = 0;  // NaN where not defined
};
struct BootstrapOptions {
  int resamples = 2000;
  uint64_t seed = 0;
  double level = 0.95;
};
// Percentile intervals from resampling the judgements with replacement. The resamples follow from
// the seed and the count alone, so two judges on the same pairs are resampled alike.
std::array<Interval, kMetricCount> bootstrap(std::span<const Judgement> judgements,
                                             const BootstrapOptions& options = {});

// The ratios of class_scores(). Resamples without such a label, or such a verdict, are left out.
struct ClassIntervals {
  Interval precision, recall, f1, specificity;
};
std::array<ClassIntervals, 3> bootstrap_classes(std::span<const Judgement> judgements,
                                                const BootstrapOptions& options = {});

// What needs no judge, on the same labels: what a judge must be better than.
struct Baselines {
  Verdict label = Verdict::none;  // the most frequent one
  Interval majority;              // agreement of who always says it
  Interval always_longer;         // share of the pairs without ties that the longer answer wins
  Interval length_slope;          // as Metric::length_slope, of the labels
};
Baselines baselines(std::span<const Judgement> judgements, const BootstrapOptions& options = {});

// Of how fast a judge was, from the same resamples. NaN where there is no judgement.
inline constexpr std::array<int, 4> kLatencyPercents = {50, 90, 95, 99};
struct SpeedIntervals {
  std::array<Interval, kLatencyPercents.size()> latency{};  // seconds
  Interval answers_per_second;
};
// `latency`: seconds to each pair's verdict; `wall`: its share of the time that all took.
SpeedIntervals bootstrap_speed(std::span<const double> latency, std::span<const double> wall,
                               const BootstrapOptions& options = {});

struct PairedTest {
  int64_t only_first = 0, only_second = 0;  // pairs that only one of the judges got right
  double mcnemar_p = 1;                     // exact (binomial), two-sided
  // second minus first, with intervals and two-sided p-values from the paired resamples
  std::array<Interval, kMetricCount> difference{};
  std::array<double, kMetricCount> p{};
};
// Two judges on the same pairs in the same order; throws Error where their labels differ.
PairedTest compare(std::span<const Judgement> first, std::span<const Judgement> second,
                   const BootstrapOptions& options = {});
// P(X <= min(b, c)) * 2 for X ~ Binomial(b + c, 1/2), at most 1.
double mcnemar_exact(int64_t b, int64_t c);

}  // namespace gavel
