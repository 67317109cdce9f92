// How well a judge's numbers agree with people's, and people with each other. Values agree with
// scikit-learn's, scipy's and the krippendorff package's (scripts/golden_score_metrics.py).
//
// All are NaN where they are not defined: no value, or no spread in one of the two.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "judge/metrics.h"

namespace gavel {

enum class KappaWeights : uint8_t { none, linear, quadratic };

// Cohen's kappa of two raters' integers, disagreement weighted by the distance between the values
// as numbers (a scale has all of its steps, whether or not they occur).
double weighted_kappa(std::span<const int> x, std::span<const int> y, KappaWeights weights);

// Correlation of ranks, equal values sharing the mean of theirs.
double spearman(std::span<const double> x, std::span<const double> y);
// tau-b, in time n log n.
double kendall_tau(std::span<const double> x, std::span<const double> y);
double mean_absolute_error(std::span<const double> x, std::span<const double> y);

// Of a judge that says pass or fail: the rates of true positives and of true negatives.
struct PassRates {
  double tpr = 0, tnr = 0;
};
// 1 is a pass, 0 a fail.
PassRates pass_rates(std::span<const uint8_t> label, std::span<const uint8_t> verdict);

enum class AlphaLevel : uint8_t { nominal, ordinal, interval };
// Krippendorff's alpha. `units`: what each thing was rated, one value an annotator who rated it, in
// any order; units with fewer than two values count for nothing.
double krippendorff_alpha(std::span<const std::vector<double>> units, AlphaLevel level);

// The mean of `values` with its percentile interval, resampled in the same way as all below.
Interval bootstrap_mean(std::span<const double> values, const BootstrapOptions& options);

// A number that a sample of rows has, with its percentile interval; the rows are resampled as those
// of bootstrap() are.
Interval bootstrap_interval(size_t rows, const BootstrapOptions& options,
                            const std::function<double(std::span<const uint32_t> sample)>& value);

// The same for several numbers at once. `resample` is -1 for all rows in their order, else the
// number by which draw_resample() gives other rows that go with it.
std::vector<Interval> bootstrap_numbers(
    size_t rows, const BootstrapOptions& options,
    const std::function<std::vector<double>(std::span<const uint32_t> sample)>& values);
std::vector<Interval> bootstrap_numbers(
    size_t rows, const BootstrapOptions& options,
    const std::function<std::vector<double>(std::span<const uint32_t> sample, int resample)>&
        values);
void draw_resample(uint64_t seed, int resample, std::vector<uint32_t>& sample);

// --- people -------------------------------------------------------------------------------------

// Of pairs that several people voted on: the ceiling of what a judge can agree with them.
struct PeopleAgreement {
  int64_t pairs = 0, votes = 0;
  Interval alpha;     // Krippendorff's, nominal
  Interval pairwise;  // share of two votes on one pair that are the same
  // Share of votes that are the majority's of the other votes, where these have one: what a person
  // reaches when judged as the judge is.
  Interval against_others;
};
// Of the pairs with two votes and more; 0 pairs where there are none.
PeopleAgreement people_agreement(std::span<const JudgePair> pairs, const BootstrapOptions& options);

// Of one part of the answers, by its place in JudgePair::ratings, where several people rated it.
struct RatingsAgreement {
  Interval alpha;     // Krippendorff's
  Interval pairwise;  // share of two ratings of one answer that are the same
  Interval distance;  // mean distance of two ratings of one answer
};
RatingsAgreement ratings_agreement(std::span<const JudgePair> answers, size_t part,
                                   AlphaLevel level, const BootstrapOptions& options);

}  // namespace gavel
