#include "judge/win_rates.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"
#include "judge/logistic.h"
#include "judge/score_metrics.h"

namespace gavel {
namespace {

double worth_of(Verdict verdict) {
  return verdict == Verdict::a     ? 1
         : verdict == Verdict::b   ? 0
         : verdict == Verdict::tie ? 0.5
                                   : kNaN;
}

std::string meta_of(const JudgePair& pair, std::string_view name) {
  for (const auto& [key, value] : pair.meta)
    if (key == name) return value;
  return "";
}

// A mean as it grows.
struct Mean {
  double sum = 0, count = 0;
  void add(double value) {
    sum += value;
    ++count;
  }
  double value() const { return count > 0 ? sum / count : kNaN; }
};

// Whether from the first model every other one is reached, by those that beat or by those beaten.
bool reaches_all(const std::vector<std::vector<double>>& wins, bool backwards) {
  const size_t n = wins.size();
  std::vector<bool> seen(n, false);
  std::vector<size_t> open = {0};
  seen[0] = true;
  size_t count = 1;
  while (!open.empty()) {
    const size_t i = open.back();
    open.pop_back();
    for (size_t j = 0; j < n; ++j)
      if (!seen[j] && (backwards ? wins[j][i] : wins[i][j]) > 0) {
        seen[j] = true;
        ++count;
        open.push_back(j);
      }
  }
  return count == n;
}

// Solves m x = v in place for a symmetric positive definite m (Cholesky).
bool solve(std::vector<std::vector<double>>& m, std::vector<double>& v) {
  const size_t n = v.size();
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = m[i][j];
      for (size_t k = 0; k < j; ++k) sum -= m[i][k] * m[j][k];
      if (i == j && !(sum > 0)) return false;
      m[i][j] = i == j ? std::sqrt(sum) : sum / m[j][j];
    }
    for (size_t k = 0; k < i; ++k) v[i] -= m[i][k] * v[k];
    v[i] /= m[i][i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) v[i] -= m[k][i] * v[k];
    v[i] /= m[i][i];
  }
  return true;
}

}  // namespace

Comparisons comparisons_of(std::span<const JudgePair> pairs,
                           std::span<const Judgement> judgements) {
  Comparisons out;
  out.rows = pairs.size();
  std::map<std::string, size_t> places;
  for (const JudgePair& pair : pairs)
    for (const char* name : {"model_a", "model_b"})
      if (const std::string model = meta_of(pair, name); !model.empty()) places[model] = 0;
  for (auto& [model, place] : places) {
    place = out.models.size();
    out.models.push_back(model);
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    const std::string a = meta_of(pairs[i], "model_a"), b = meta_of(pairs[i], "model_b");
    if (a.empty() || b.empty() || a == b) continue;
    const Judgement& j = judgements[i];
    if (j.verdict == Verdict::none) {
      ++out.unreadable;
      continue;
    }
    out.pairs.push_back({i, places[a], places[b], worth_of(j.verdict), worth_of(j.label),
                         static_cast<double>(j.length_a - j.length_b)});
  }
  return out;
}

JudgeError error_of(std::span<const Judgement> labelled, std::span<const uint32_t> sample) {
  Mean wins, losses;
  for (const uint32_t i : sample) {
    const Judgement& j = labelled[i];
    if (j.verdict == Verdict::none) continue;
    if (j.label == Verdict::a) wins.add(worth_of(j.verdict));
    if (j.label == Verdict::b) losses.add(worth_of(j.verdict));
  }
  return {wins.value(), losses.value()};
}

double corrected_share(double share, const JudgeError& error) {
  const double gain = error.on_wins - error.on_losses;
  if (!(gain > 1e-9)) return kNaN;
  return std::isnan(share) ? kNaN : std::clamp((share - error.on_losses) / gain, 0.0, 1.0);
}

std::vector<double> bradley_terry(const std::vector<std::vector<double>>& wins) {
  const size_t n = wins.size();
  if (n < 2 || !reaches_all(wins, false) || !reaches_all(wins, true))
    return std::vector<double>(n, kNaN);
  std::vector<double> score(n, 0.0);
  for (int step = 0; step < 100; ++step) {
    // The likelihood says nothing of the mean: the ones added hold it where it is.
    std::vector<std::vector<double>> hessian(n, std::vector<double>(n, 1.0));
    std::vector<double> gradient(n, 0.0);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < i; ++j) {
        const double games = wins[i][j] + wins[j][i];
        if (games == 0) continue;
        const double p = 1 / (1 + std::exp(score[j] - score[i])), w = games * p * (1 - p);
        gradient[i] += wins[i][j] - games * p;
        gradient[j] -= wins[i][j] - games * p;
        hessian[i][i] += w;
        hessian[j][j] += w;
        hessian[i][j] -= w;
        hessian[j][i] -= w;
      }
    if (!solve(hessian, gradient)) return std::vector<double>(n, kNaN);
    double most = 0;
    for (const double g : gradient) most = std::max(most, std::abs(g));
    // Newton's step is cut where it would overshoot.
    const double part = most > 2 ? 2 / most : 1;
    for (size_t i = 0; i < n; ++i) score[i] += part * gradient[i];
    if (most < 1e-10) return score;
  }
  return std::vector<double>(n, kNaN);
}

double length_controlled(std::span<const double> worth, std::span<const double> longer) {
  constexpr double kFinite = 20;  // log-odds beyond are those of a side that always wins
  const auto n = static_cast<double>(longer.size());
  if (n < 2) return kNaN;
  const double mean = std::accumulate(longer.begin(), longer.end(), 0.0) / n;
  double squares = 0;
  for (const double d : longer) squares += (d - mean) * (d - mean);
  const double deviation = std::sqrt(squares / (n - 1));
  if (!(deviation > 0)) return kNaN;
  std::vector<double> x;
  for (const double d : longer) x.push_back(std::tanh(d / deviation));
  const LogisticFit fit = fit_logistic(x, worth);
  if (std::abs(fit.slope) > kFinite || std::abs(fit.intercept) > kFinite) return kNaN;
  return 1 / (1 + std::exp(-fit.intercept));
}

namespace {

constexpr size_t kNumbers = 5;  // of a model: judge, labels, corrected, length-controlled, score

// Those of every model, on the rows of a sample.
class Rates {
 public:
  Rates(const Comparisons& comparisons, std::span<const Judgement> judgements,
        std::span<const Judgement> labelled, uint64_t seed)
      : c_(comparisons), judgements_(judgements), labelled_(labelled), seed_(seed) {
    pair_of_.assign(c_.rows, nullptr);
    for (const ComparedPair& pair : c_.pairs) pair_of_[pair.row] = &pair;
  }

  std::vector<double> operator()(std::span<const uint32_t> sample, int resample) const {
    const size_t n = c_.models.size();
    std::vector<Side> sides(n);
    std::vector<std::vector<double>> wins(n, std::vector<double>(n, 0.0));
    for (const uint32_t row : sample) {
      const ComparedPair* pair = pair_of_[row];
      if (pair == nullptr) continue;
      sides[pair->a].add(pair->verdict, pair->label, pair->longer, true);
      sides[pair->b].add(1 - pair->verdict, 1 - pair->label, -pair->longer, false);
      wins[pair->a][pair->b] += pair->verdict;
      wins[pair->b][pair->a] += 1 - pair->verdict;
    }
    const JudgeError error = error_on(sample, resample);
    const std::vector<double> scores = bradley_terry(wins);
    std::vector<double> out;
    for (size_t m = 0; m < n; ++m) {
      const Side& s = sides[m];
      out.push_back(s.all.value());
      out.push_back(s.labels.value());
      out.push_back(s.corrected(error));
      out.push_back(length_controlled(s.worth, s.longer));
      out.push_back(1000 + 400 / std::log(10.0) * scores[m]);
    }
    return out;
  }

 private:
  // What one model won; the judge's error may be another where it is shown first.
  struct Side {
    Mean all, labels, as_a, as_b;
    std::vector<double> worth, longer;
    void add(double won, double label, double length, bool is_a) {
      all.add(won);
      if (!std::isnan(label)) labels.add(label);
      (is_a ? as_a : as_b).add(won);
      worth.push_back(won);
      longer.push_back(length);
    }
    double corrected(const JudgeError& error) const {
      double sum = 0;
      if (as_a.count > 0) sum += as_a.count * corrected_share(as_a.value(), error);
      if (as_b.count > 0) sum += as_b.count * (1 - corrected_share(1 - as_b.value(), error));
      return all.count > 0 ? sum / all.count : kNaN;
    }
  };

  JudgeError error_on(std::span<const uint32_t> sample, int resample) const {
    if (labelled_.empty()) return error_of(judgements_, sample);
    std::vector<uint32_t> own(labelled_.size());
    std::iota(own.begin(), own.end(), 0u);
    if (resample >= 0) draw_resample(seed_ + 1, resample, own);
    return error_of(labelled_, own);
  }

  const Comparisons& c_;
  std::span<const Judgement> judgements_, labelled_;
  uint64_t seed_;
  std::vector<const ComparedPair*> pair_of_;
};

bool is_of(const std::string& model, const std::string& family) {
  std::string name = model;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name.find(family) != std::string::npos;
}

}  // namespace

std::vector<ModelRates> model_rates(const Comparisons& comparisons,
                                    std::span<const Judgement> judgements,
                                    std::span<const Judgement> labelled,
                                    const BootstrapOptions& options) {
  const Rates rates(comparisons, judgements, labelled, options.seed);
  const auto intervals = bootstrap_numbers(comparisons.rows, options, std::cref(rates));
  std::vector<ModelRates> out;
  for (size_t m = 0; m < comparisons.models.size(); ++m) {
    const Interval* own = &intervals[m * kNumbers];
    out.push_back({comparisons.models[m], 0, 0, own[0], own[1], own[2], own[3], own[4]});
  }
  for (const ComparedPair& pair : comparisons.pairs)
    for (const size_t m : {pair.a, pair.b}) {
      ++out[m].pairs;
      out[m].labelled += !std::isnan(pair.label);
    }
  std::erase_if(out, [](const ModelRates& r) { return r.pairs == 0; });
  std::stable_sort(out.begin(), out.end(), [](const ModelRates& x, const ModelRates& y) {
    const bool scored = !std::isnan(x.bradley_terry.value) && !std::isnan(y.bradley_terry.value);
    return scored ? x.bradley_terry.value > y.bradley_terry.value : x.judge.value > y.judge.value;
  });
  return out;
}

FamilyPreference family_preference(const Comparisons& comparisons, const std::string& family,
                                   const BootstrapOptions& options) {
  struct Row {
    double judge, label;  // what the family's answer is worth
  };
  std::vector<Row> rows;
  for (const ComparedPair& pair : comparisons.pairs) {
    const bool a = is_of(comparisons.models[pair.a], family);
    if (a == is_of(comparisons.models[pair.b], family) || std::isnan(pair.label)) continue;
    rows.push_back(a ? Row{pair.verdict, pair.label} : Row{1 - pair.verdict, 1 - pair.label});
  }
  FamilyPreference out;
  out.pairs = static_cast<int64_t>(rows.size());
  if (rows.empty()) return out;
  const auto intervals = bootstrap_numbers(
      rows.size(), options, [&](std::span<const uint32_t> sample) -> std::vector<double> {
        Mean judge, label;
        for (const uint32_t i : sample) {
          judge.add(rows[i].judge);
          label.add(rows[i].label);
        }
        return {judge.value(), label.value(), judge.value() - label.value()};
      });
  out.judge = intervals[0];
  out.labels = intervals[1];
  out.difference = intervals[2];
  return out;
}

std::string family_of(const std::string& model) {
  const std::string path = model.substr(0, model.find_last_not_of('/') + 1);
  const size_t slash = path.rfind('/');
  std::string out;
  for (const char c : slash == std::string::npos ? path : path.substr(slash + 1)) {
    if (!std::isalpha(static_cast<unsigned char>(c))) break;
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

}  // namespace gavel
