#include "judge/score_metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"

namespace gavel {
namespace {

void check_sizes(size_t x, size_t y) {
  if (x != y) fail("{} and {} values are not of the same rows", x, y);
}

double pearson(std::span<const double> x, std::span<const double> y) {
  const auto n = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / n;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx) / std::sqrt(yy) : kNaN;
}

// From 1; equal values have the mean of their ranks.
std::vector<double> ranks_of(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + end + 1) / 2;
    begin = end;
  }
  return ranks;
}

// Pairs of equal neighbours in a sorted row, by `same`.
template <typename Same>
double tied_pairs(size_t count, const Same& same) {
  double pairs = 0;
  for (size_t begin = 0; begin < count;) {
    size_t end = begin + 1;
    while (end < count && same(begin, end)) ++end;
    const auto n = static_cast<double>(end - begin);
    pairs += n * (n - 1) / 2;
    begin = end;
  }
  return pairs;
}

// How many pairs stand in the wrong order; sorts the values.
double inversions(std::vector<double>& values, std::vector<double>& space, size_t begin,
                  size_t end) {
  if (end - begin < 2) return 0;
  const size_t middle = begin + (end - begin) / 2;
  double count = inversions(values, space, begin, middle) + inversions(values, space, middle, end);
  size_t i = begin, j = middle, out = begin;
  while (i < middle && j < end) {
    if (values[j] < values[i]) {
      count += static_cast<double>(middle - i);
      space[out++] = values[j++];
    } else {
      space[out++] = values[i++];
    }
  }
  while (i < middle) space[out++] = values[i++];
  while (j < end) space[out++] = values[j++];
  std::copy(space.begin() + static_cast<std::ptrdiff_t>(begin),
            space.begin() + static_cast<std::ptrdiff_t>(end),
            values.begin() + static_cast<std::ptrdiff_t>(begin));
  return count;
}

}  // namespace

double weighted_kappa(std::span<const int> x, std::span<const int> y, KappaWeights weights) {
  check_sizes(x.size(), y.size());
  std::map<int, double> of_x, of_y;
  const auto distance = [&](int a, int b) {
    const double d = std::abs(static_cast<double>(a) - b);
    if (weights == KappaWeights::none) return d > 0 ? 1.0 : 0.0;
    return weights == KappaWeights::linear ? d : d * d;
  };
  double seen = 0, expected = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    ++of_x[x[i]];
    ++of_y[y[i]];
    seen += distance(x[i], y[i]);
  }
  for (const auto& [a, count_a] : of_x)
    for (const auto& [b, count_b] : of_y) expected += count_a * count_b * distance(a, b);
  return expected > 0 ? 1 - seen * static_cast<double>(x.size()) / expected : kNaN;
}

double spearman(std::span<const double> x, std::span<const double> y) {
  check_sizes(x.size(), y.size());
  return pearson(ranks_of(x), ranks_of(y));
}

// Knight's way: sorted by x, then by y, what is out of order in y is discordant.
double kendall_tau(std::span<const double> x, std::span<const double> y) {
  check_sizes(x.size(), y.size());
  std::vector<std::pair<double, double>> rows(x.size());
  for (size_t i = 0; i < x.size(); ++i) rows[i] = {x[i], y[i]};
  std::sort(rows.begin(), rows.end());
  const size_t n = rows.size();
  const double all = static_cast<double>(n) * (static_cast<double>(n) - 1) / 2;
  const double tied_x =
      tied_pairs(n, [&](size_t a, size_t b) { return rows[a].first == rows[b].first; });
  const double tied_both = tied_pairs(n, [&](size_t a, size_t b) { return rows[a] == rows[b]; });
  std::vector<double> values(n), space(n);
  for (size_t i = 0; i < n; ++i) values[i] = rows[i].second;
  const double discordant = inversions(values, space, 0, n);
  const double tied_y = tied_pairs(n, [&](size_t a, size_t b) { return values[a] == values[b]; });
  const double concordant = all - tied_x - tied_y + tied_both - discordant;
  const double spread = std::sqrt(all - tied_x) * std::sqrt(all - tied_y);
  return spread > 0 ? (concordant - discordant) / spread : kNaN;
}

double mean_absolute_error(std::span<const double> x, std::span<const double> y) {
  check_sizes(x.size(), y.size());
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += std::abs(x[i] - y[i]);
  return x.empty() ? kNaN : sum / static_cast<double>(x.size());
}

PassRates pass_rates(std::span<const uint8_t> label, std::span<const uint8_t> verdict) {
  check_sizes(label.size(), verdict.size());
  double positives = 0, negatives = 0, true_positives = 0, true_negatives = 0;
  for (size_t i = 0; i < label.size(); ++i) {
    (label[i] != 0 ? positives : negatives) += 1;
    if (label[i] == verdict[i]) (label[i] != 0 ? true_positives : true_negatives) += 1;
  }
  return {positives > 0 ? true_positives / positives : kNaN,
          negatives > 0 ? true_negatives / negatives : kNaN};
}

namespace {

// Squared distances of the values with places a and b; `totals`: how often each value occurs.
double alpha_distance(const std::vector<double>& values, const std::vector<double>& totals,
                      size_t a, size_t b, AlphaLevel level) {
  if (a == b) return 0;
  if (level == AlphaLevel::nominal) return 1;
  if (level == AlphaLevel::interval) return (values[a] - values[b]) * (values[a] - values[b]);
  double between = 0;
  for (size_t k = std::min(a, b); k <= std::max(a, b); ++k) between += totals[k];
  between -= (totals[a] + totals[b]) / 2;
  return between * between;
}

}  // namespace

double krippendorff_alpha(std::span<const std::vector<double>> units, AlphaLevel level) {
  std::vector<double> values;
  for (const auto& unit : units)
    if (unit.size() >= 2) values.insert(values.end(), unit.begin(), unit.end());
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  const size_t n = values.size();
  const auto place = [&](double value) {
    return static_cast<size_t>(std::lower_bound(values.begin(), values.end(), value) -
                               values.begin());
  };
  // Coincidences: each two values of a unit of m, counted 1 / (m - 1).
  std::vector<double> coincidences(n * n), totals(n);
  for (const auto& unit : units) {
    if (unit.size() < 2) continue;
    const double share = 1 / (static_cast<double>(unit.size()) - 1);
    for (size_t i = 0; i < unit.size(); ++i) {
      totals[place(unit[i])] += 1;
      for (size_t j = 0; j < unit.size(); ++j)
        if (i != j) coincidences[place(unit[i]) * n + place(unit[j])] += share;
    }
  }
  const double all = std::accumulate(totals.begin(), totals.end(), 0.0);
  double seen = 0, expected = 0;
  for (size_t a = 0; a < n; ++a)
    for (size_t b = 0; b < n; ++b) {
      const double d = alpha_distance(values, totals, a, b, level);
      seen += coincidences[a * n + b] * d;
      expected += totals[a] * totals[b] * d;
    }
  return expected > 0 ? 1 - (all - 1) * seen / expected : kNaN;
}

namespace {

// Equal votes among each two of a pair, and votes that are the majority's of the others.
struct VoteCounts {
  double same = 0, twos = 0, with_others = 0, against_majority = 0;
};

VoteCounts count_votes(const std::vector<int>& votes) {
  VoteCounts counts;
  std::array<int, 3> of{};
  for (const int v : votes) ++of[static_cast<size_t>(v)];
  for (const int v : votes) {
    auto others = of;
    --others[static_cast<size_t>(v)];
    counts.same += others[static_cast<size_t>(v)];
    counts.twos += static_cast<double>(votes.size()) - 1;
    const auto top = std::max_element(others.begin(), others.end());
    if (std::count(others.begin(), others.end(), *top) > 1) continue;
    ++counts.against_majority;
    counts.with_others += top - others.begin() == v;
  }
  return counts;
}

}  // namespace

RatingsAgreement ratings_agreement(std::span<const JudgePair> answers, size_t part,
                                   AlphaLevel level, const BootstrapOptions& options) {
  std::vector<std::vector<double>> units;
  for (const JudgePair& answer : answers) {
    if (part >= answer.ratings.size()) continue;
    std::vector<double> given = answer.ratings[part];
    std::erase_if(given, [](double r) { return std::isnan(r); });
    if (given.size() >= 2) units.push_back(std::move(given));
  }
  RatingsAgreement out;
  out.alpha = bootstrap_interval(units.size(), options, [&](std::span<const uint32_t> sample) {
    std::vector<std::vector<double>> drawn;
    for (const uint32_t i : sample) drawn.push_back(units[i]);
    return krippendorff_alpha(drawn, level);
  });
  // Over all twos of ratings of one answer.
  const auto mean_of_twos = [&](auto value) {
    return bootstrap_interval(units.size(), options, [&](std::span<const uint32_t> sample) {
      double sum = 0, twos = 0;
      for (const uint32_t u : sample)
        for (size_t i = 0; i < units[u].size(); ++i)
          for (size_t k = 0; k < i; ++k, ++twos) sum += value(units[u][i], units[u][k]);
      return sum / twos;
    });
  };
  out.pairwise = mean_of_twos([](double x, double y) { return x == y ? 1.0 : 0.0; });
  out.distance = mean_of_twos([](double x, double y) { return std::abs(x - y); });
  return out;
}

PeopleAgreement people_agreement(std::span<const JudgePair> pairs,
                                 const BootstrapOptions& options) {
  PeopleAgreement out;
  std::vector<std::vector<double>> units;
  std::vector<VoteCounts> counts;
  for (const JudgePair& pair : pairs) {
    if (pair.votes.size() < 2) continue;
    ++out.pairs;
    out.votes += static_cast<int64_t>(pair.votes.size());
    units.emplace_back(pair.votes.begin(), pair.votes.end());
    counts.push_back(count_votes(pair.votes));
  }
  if (units.empty()) return out;
  out.alpha = bootstrap_interval(units.size(), options, [&](std::span<const uint32_t> sample) {
    std::vector<std::vector<double>> drawn;
    for (const uint32_t i : sample) drawn.push_back(units[i]);
    return krippendorff_alpha(drawn, AlphaLevel::nominal);
  });
  const auto share = [&](double VoteCounts::*part, double VoteCounts::*of) {
    return bootstrap_interval(units.size(), options, [&](std::span<const uint32_t> sample) {
      double a = 0, b = 0;
      for (const uint32_t i : sample) {
        a += counts[i].*part;
        b += counts[i].*of;
      }
      return b > 0 ? a / b : kNaN;
    });
  };
  out.pairwise = share(&VoteCounts::same, &VoteCounts::twos);
  out.against_others = share(&VoteCounts::with_others, &VoteCounts::against_majority);
  return out;
}

}  // namespace gavel
