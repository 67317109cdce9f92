// The uncertainty half of metrics.h: percentile bootstrap and paired tests.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"
#include "judge/length_bias.h"
#include "judge/metrics.h"
#include "judge/score_metrics.h"

namespace gavel {
namespace {

// Resample r of a bootstrap: depends on the seed, r and the count only, so any thread can make it.
void draw(uint64_t seed, int r, std::vector<uint32_t>& sample) {
  Random random(seed, static_cast<uint64_t>(r));
  for (uint32_t& i : sample) i = static_cast<uint32_t>(random.below(sample.size()));
}

using Column = std::vector<double>;

// Calls visit(sample, r) on every resample r, several at a time.
template <typename F>
void each_resample(size_t count, const BootstrapOptions& options, F&& visit) {
  if (options.resamples < 1 || !(options.level > 0 && options.level < 1))
    fail("a bootstrap needs at least 1 resample and a level between 0 and 1, not {} and {}",
         options.resamples, options.level);
  if (count > UINT32_MAX) fail("{} judgements are too many for one bootstrap", count);
  parallel_for(options.resamples, 1, [&](int64_t begin, int64_t end) {
    std::vector<uint32_t> sample(count);
    for (int64_t r = begin; r < end; ++r) {
      draw(options.seed, static_cast<int>(r), sample);
      visit(std::span<const uint32_t>(sample), static_cast<size_t>(r));
    }
  });
}

// What measure_one says of each: result[number][resample].
template <size_t N, typename F>
std::array<Column, N> resample(size_t count, const BootstrapOptions& options, F&& measure_one) {
  std::array<Column, N> columns;
  for (Column& c : columns) c.resize(static_cast<size_t>(std::max(options.resamples, 0)));
  each_resample(count, options, [&](std::span<const uint32_t> sample, size_t r) {
    const std::array<double, N> values = measure_one(sample);
    for (size_t m = 0; m < N; ++m) columns[m][r] = values[m];
  });
  return columns;
}

// Resamples on which a metric is not defined (no tie drawn, say) are left out.
Interval interval_of(double value, Column& column, double level) {
  std::erase_if(column, [](double v) { return std::isnan(v); });
  const double tail = (1 - level) / 2 * 100;
  if (std::isnan(value)) column.clear();
  return {value, percentile(column, tail), percentile(column, 100 - tail)};
}

}  // namespace

std::array<Interval, kMetricCount> bootstrap(std::span<const Judgement> judgements,
                                             const BootstrapOptions& options) {
  const MetricValues values = measure(judgements);
  auto columns = resample<kMetricCount>(
      judgements.size(), options,
      [&](std::span<const uint32_t> sample) { return measure(judgements, sample); });
  std::array<Interval, kMetricCount> intervals;
  for (size_t m = 0; m < kMetricCount; ++m)
    intervals[m] = interval_of(values[m], columns[m], options.level);
  return intervals;
}

Interval bootstrap_interval(size_t rows, const BootstrapOptions& options,
                            const std::function<double(std::span<const uint32_t> sample)>& value) {
  std::vector<uint32_t> all(rows);
  std::iota(all.begin(), all.end(), 0u);
  if (rows == 0) return {std::nan(""), std::nan(""), std::nan("")};
  auto columns = resample<1>(rows, options, [&](std::span<const uint32_t> sample) {
    return std::array<double, 1>{value(sample)};
  });
  return interval_of(value(all), columns[0], options.level);
}

Interval bootstrap_mean(std::span<const double> values, const BootstrapOptions& options) {
  return bootstrap_interval(values.size(), options, [&](std::span<const uint32_t> sample) {
    double sum = 0;
    for (const uint32_t i : sample) sum += values[i];
    return sum / static_cast<double>(sample.size());
  });
}

void draw_resample(uint64_t seed, int r, std::vector<uint32_t>& sample) { draw(seed, r, sample); }

std::vector<Interval> bootstrap_numbers(
    size_t rows, const BootstrapOptions& options,
    const std::function<std::vector<double>(std::span<const uint32_t> sample)>& values) {
  return bootstrap_numbers(rows, options,
                           [&](std::span<const uint32_t> sample, int) { return values(sample); });
}

std::vector<Interval> bootstrap_numbers(
    size_t rows, const BootstrapOptions& options,
    const std::function<std::vector<double>(std::span<const uint32_t> sample, int resample)>&
        values) {
  std::vector<uint32_t> all(rows);
  std::iota(all.begin(), all.end(), 0u);
  if (rows == 0) fail("there is no row to resample");
  const std::vector<double> of_all = values(all, -1);
  std::vector<Column> columns(of_all.size(),
                              Column(static_cast<size_t>(std::max(options.resamples, 1))));
  each_resample(rows, options, [&](std::span<const uint32_t> sample, size_t r) {
    const std::vector<double> of_sample = values(sample, static_cast<int>(r));
    for (size_t m = 0; m < of_sample.size(); ++m) columns[m][r] = of_sample[m];
  });
  std::vector<Interval> intervals;
  for (size_t m = 0; m < of_all.size(); ++m)
    intervals.push_back(interval_of(of_all[m], columns[m], options.level));
  return intervals;
}

std::array<ClassIntervals, 3> bootstrap_classes(std::span<const Judgement> judgements,
                                                const BootstrapOptions& options) {
  constexpr size_t kRatios = 4;
  const auto numbers = [&](std::span<const uint32_t> sample, int resample) {
    Confusion counts{};
    for (const uint32_t i : sample)
      ++counts[static_cast<size_t>(judgements[i].label)]
              [static_cast<size_t>(judgements[i].verdict)];
    const auto all = static_cast<int64_t>(sample.size());
    std::vector<double> values;
    for (const ClassScores& s : class_scores(counts)) {
      const auto where = [&](bool defined, double value) {
        values.push_back(defined || resample < 0 ? value : std::nan(""));
      };
      where(s.predicted > 0, s.precision);
      where(s.support > 0, s.recall);
      where(s.predicted + s.support > 0, s.f1);
      where(s.support < all, s.specificity);
    }
    return values;
  };
  const std::vector<Interval> found = bootstrap_numbers(judgements.size(), options, numbers);
  std::array<ClassIntervals, 3> classes;
  for (size_t k = 0; k < classes.size(); ++k)
    classes[k] = {found[kRatios * k], found[kRatios * k + 1], found[kRatios * k + 2],
                  found[kRatios * k + 3]};
  return classes;
}

Baselines baselines(std::span<const Judgement> judgements, const BootstrapOptions& options) {
  std::array<int64_t, kVerdicts.size()> labels{};
  for (const Judgement& j : judgements) ++labels[static_cast<size_t>(j.label)];
  const Verdict most = kVerdicts[static_cast<size_t>(
      std::max_element(labels.begin(), labels.end()) - labels.begin())];
  const auto numbers = [&](std::span<const uint32_t> sample) {
    int64_t same = 0, decided = 0, longer = 0;
    LengthFit length;
    for (const uint32_t i : sample) {
      const Judgement& j = judgements[i];
      same += j.label == most;
      const Verdict long_one = longer_answer(j);
      if (long_one == Verdict::tie || j.label == Verdict::tie) continue;
      ++decided;
      longer += j.label == long_one;
      length.add(j, j.label);
    }
    const auto share = [](int64_t part, int64_t whole) {
      return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : std::nan("");
    };
    return std::vector<double>{share(same, static_cast<int64_t>(sample.size())),
                               share(longer, decided), length.slope()};
  };
  const std::vector<Interval> found = bootstrap_numbers(judgements.size(), options, numbers);
  return {most, found[0], found[1], found[2]};
}

SpeedIntervals bootstrap_speed(std::span<const double> latency, std::span<const double> wall,
                               const BootstrapOptions& options) {
  if (latency.size() != wall.size())
    fail("{} latencies and {} wall times are not those of the same pairs", latency.size(),
         wall.size());
  constexpr size_t kPercents = kLatencyPercents.size();
  const auto numbers = [&](std::span<const uint32_t> sample) {
    std::vector<double> seconds;
    double sum = 0;
    for (const uint32_t i : sample) {
      seconds.push_back(latency[i]);
      sum += wall[i];
    }
    std::array<double, kPercents + 1> values{};
    for (size_t k = 0; k < kPercents; ++k) values[k] = percentile(seconds, kLatencyPercents[k]);
    values[kPercents] = sum > 0 ? static_cast<double>(sample.size()) / sum : std::nan("");
    return values;
  };
  std::vector<uint32_t> all(latency.size());
  std::iota(all.begin(), all.end(), 0u);
  const auto values = numbers(all);
  auto columns = resample<kPercents + 1>(latency.size(), options, numbers);
  SpeedIntervals speed;
  for (size_t k = 0; k < kPercents; ++k)
    speed.latency[k] = interval_of(values[k], columns[k], options.level);
  speed.answers_per_second = interval_of(values[kPercents], columns[kPercents], options.level);
  return speed;
}

PairedTest compare(std::span<const Judgement> first, std::span<const Judgement> second,
                   const BootstrapOptions& options) {
  if (first.size() != second.size())
    fail("two judges are compared on the same pairs, but one judged {} and the other {}",
         first.size(), second.size());
  PairedTest test;
  for (size_t i = 0; i < first.size(); ++i) {
    if (first[i].label != second[i].label)
      fail("two judges are compared on the same pairs, but the labels of pair {} differ", i + 1);
    const bool first_right = first[i].verdict == first[i].label;
    const bool second_right = second[i].verdict == second[i].label;
    test.only_first += first_right && !second_right;
    test.only_second += second_right && !first_right;
  }
  test.mcnemar_p = mcnemar_exact(test.only_first, test.only_second);

  const auto difference = [](MetricValues to, const MetricValues& from) {
    for (size_t m = 0; m < kMetricCount; ++m) to[m] -= from[m];
    return to;
  };
  const MetricValues values = difference(measure(second), measure(first));
  auto columns =
      resample<kMetricCount>(first.size(), options, [&](std::span<const uint32_t> sample) {
        return difference(measure(second, sample), measure(first, sample));
      });
  for (size_t m = 0; m < kMetricCount; ++m) {
    Column& column = columns[m];
    test.difference[m] = interval_of(values[m], column, options.level);
    const auto total = static_cast<double>(column.size());
    const auto up = static_cast<double>(
        std::count_if(column.begin(), column.end(), [](double d) { return d >= 0; }));
    const auto down = static_cast<double>(
        std::count_if(column.begin(), column.end(), [](double d) { return d <= 0; }));
    // One added to both counts: a p of 0 cannot follow from a finite number of resamples.
    test.p[m] =
        column.empty() ? std::nan("") : std::min(1.0, 2 * (std::min(up, down) + 1) / (total + 1));
  }
  return test;
}

double mcnemar_exact(int64_t b, int64_t c) {
  const int64_t n = b + c, k = std::min(b, c);
  if (n == 0 || b == c) return 1;
  double tail = 0;
  const auto log_choose = [&](int64_t i) {
    const auto x = static_cast<double>(n), y = static_cast<double>(i);
    return std::lgamma(x + 1) - std::lgamma(y + 1) - std::lgamma(x - y + 1);
  };
  for (int64_t i = 0; i <= k; ++i)
    tail += std::exp(log_choose(i) - static_cast<double>(n) * std::log(2.0));
  return std::min(1.0, 2 * tail);
}

}  // namespace gavel
