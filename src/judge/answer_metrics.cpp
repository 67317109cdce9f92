#include "judge/answer_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace gavel {
namespace {

constexpr std::array<const char*, 12> kScore = {"agreement",
                                                "weighted_kappa",
                                                "spearman",
                                                "kendall_tau",
                                                "mae",
                                                "spearman_expected",
                                                "kendall_tau_expected",
                                                "mae_expected",
                                                "unparsable",
                                                "ece",
                                                "nll",
                                                "tokens"};
constexpr std::array<const char*, 13> kPass = {
    "accuracy",  "tpr",        "tnr", "precision", "precision_fail", "recall", "f1", "kappa",
    "pass_rate", "unparsable", "ece", "nll",       "tokens"};
constexpr std::array<const char*, 12> kCriteria = {"agreement",
                                                   "weighted_kappa",
                                                   "total.spearman",
                                                   "total.kendall_tau",
                                                   "total.mae",
                                                   "total.spearman_expected",
                                                   "total.kendall_tau_expected",
                                                   "total.mae_expected",
                                                   "unparsable",
                                                   "ece",
                                                   "nll",
                                                   "tokens"};
constexpr std::array<const char*, 8> kOfCriterion = {
    "agreement",         "weighted_kappa",       "spearman",    "kendall_tau", "mae",
    "spearman_expected", "kendall_tau_expected", "mae_expected"};

// The columns of one part.
struct Columns {
  std::vector<int> label, value;
  std::vector<double> labels, values, expected;  // as numbers
  bool has_expected = false;                     // of some row
  double right = 0;

  void add(const Rating& r) {
    label.push_back(*r.label);
    value.push_back(r.value_or_farthest());
    labels.push_back(label.back());
    values.push_back(value.back());
    has_expected |= !r.probabilities.empty();
    const double mean = r.expected();
    expected.push_back(std::isnan(mean) ? value.back() : mean);
    right += r.value == r.label ? 1 : 0;
  }
};

std::vector<Columns> columns_of(size_t parts, std::span<const Judgement> judgements,
                                std::span<const uint32_t> sample) {
  std::vector<Columns> columns(parts);
  for (const uint32_t i : sample)
    for (size_t k = 0; k < parts; ++k) columns[k].add(judgements[i].ratings.at(k));
  return columns;
}

double mean_tokens(std::span<const Judgement> judgements, std::span<const uint32_t> sample) {
  double sum = 0;
  for (const uint32_t i : sample) sum += static_cast<double>(judgements[i].tokens);
  return sample.empty() ? kNaN : sum / static_cast<double>(sample.size());
}

double share_unparsable(std::span<const Judgement> judgements, std::span<const uint32_t> sample) {
  double count = 0;
  for (const uint32_t i : sample)
    count += std::any_of(judgements[i].ratings.begin(), judgements[i].ratings.end(),
                         [](const Rating& r) { return !r.value; })
                 ? 1
                 : 0;
  return sample.empty() ? kNaN : count / static_cast<double>(sample.size());
}

double if_known(const Columns& c, double value) { return c.has_expected ? value : kNaN; }

std::vector<double> measure_score(std::span<const Judgement> judgements,
                                  std::span<const uint32_t> sample) {
  const Columns c = columns_of(1, judgements, sample)[0];
  const RatingHonesty h = rating_honesty(judgements, sample);
  return {c.right / static_cast<double>(sample.size()),
          weighted_kappa(c.label, c.value, KappaWeights::quadratic),
          spearman(c.labels, c.values),
          kendall_tau(c.labels, c.values),
          mean_absolute_error(c.labels, c.values),
          if_known(c, spearman(c.labels, c.expected)),
          if_known(c, kendall_tau(c.labels, c.expected)),
          if_known(c, mean_absolute_error(c.labels, c.expected)),
          share_unparsable(judgements, sample),
          h.ece,
          h.nll,
          mean_tokens(judgements, sample)};
}

std::vector<double> measure_pass(std::span<const Judgement> judgements,
                                 std::span<const uint32_t> sample) {
  const Columns c = columns_of(1, judgements, sample)[0];
  const std::vector<uint8_t> label(c.label.begin(), c.label.end());
  const std::vector<uint8_t> value(c.value.begin(), c.value.end());
  const PassRates rates = pass_rates(label, value);
  double said = 0, right = 0, right_fails = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    said += value[i];
    right += value[i] != 0 && label[i] != 0 ? 1 : 0;
    right_fails += value[i] == 0 && label[i] == 0 ? 1 : 0;
  }
  const double fails = static_cast<double>(value.size()) - said;
  const double precision = said > 0 ? right / said : kNaN;
  const double f1 = precision + rates.tpr > 0 ? 2 * precision * rates.tpr / (precision + rates.tpr)
                                              : precision + rates.tpr;
  const RatingHonesty h = rating_honesty(judgements, sample);
  return {c.right / static_cast<double>(sample.size()),
          rates.tpr,
          rates.tnr,
          precision,
          fails > 0 ? right_fails / fails : kNaN,
          rates.tpr,
          f1,
          weighted_kappa(c.label, c.value, KappaWeights::none),
          said / static_cast<double>(sample.size()),
          share_unparsable(judgements, sample),
          h.ece,
          h.nll,
          mean_tokens(judgements, sample)};
}

// Of each row, the parts' mean by their weights.
std::vector<double> totals(const std::vector<RatedPart>& parts, const std::vector<Columns>& columns,
                           std::vector<double> Columns::*of) {
  std::vector<double> out, row(parts.size());
  for (size_t i = 0; i < columns[0].label.size(); ++i) {
    for (size_t k = 0; k < parts.size(); ++k) row[k] = (columns[k].*of)[i];
    out.push_back(weighted_total(parts, row));
  }
  return out;
}

std::vector<double> measure_criteria(const std::vector<RatedPart>& parts,
                                     std::span<const Judgement> judgements,
                                     std::span<const uint32_t> sample) {
  const auto columns = columns_of(parts.size(), judgements, sample);
  const auto labels = totals(parts, columns, &Columns::labels);
  const auto values = totals(parts, columns, &Columns::values);
  const auto expected = totals(parts, columns, &Columns::expected);
  double right = 0;
  for (const uint32_t i : sample) right += is_right(judgements[i].ratings) ? 1 : 0;
  std::vector<double> kappas, rest;
  for (const Columns& c : columns) {
    kappas.push_back(weighted_kappa(c.label, c.value, KappaWeights::quadratic));
    for (const double value :
         {c.right / static_cast<double>(sample.size()), kappas.back(), spearman(c.labels, c.values),
          kendall_tau(c.labels, c.values), mean_absolute_error(c.labels, c.values),
          if_known(c, spearman(c.labels, c.expected)),
          if_known(c, kendall_tau(c.labels, c.expected)),
          if_known(c, mean_absolute_error(c.labels, c.expected))})
      rest.push_back(value);
  }
  const RatingHonesty h = rating_honesty(judgements, sample);
  std::vector<double> out = {right / static_cast<double>(sample.size()),
                             weighted_total(parts, kappas),
                             spearman(labels, values),
                             kendall_tau(labels, values),
                             mean_absolute_error(labels, values),
                             if_known(columns[0], spearman(labels, expected)),
                             if_known(columns[0], kendall_tau(labels, expected)),
                             if_known(columns[0], mean_absolute_error(labels, expected)),
                             share_unparsable(judgements, sample),
                             h.ece,
                             h.nll,
                             mean_tokens(judgements, sample)};
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

template <size_t N>
bool is_in(const std::array<const char*, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::vector<std::string> answer_metric_names(const JudgeForm& form) {
  if (form.kind == FormKind::score) return {kScore.begin(), kScore.end()};
  if (form.kind == FormKind::pass) return {kPass.begin(), kPass.end()};
  std::vector<std::string> names(kCriteria.begin(), kCriteria.end());
  for (const Criterion& c : form.criteria)
    for (const char* name : kOfCriterion) names.push_back(c.name + "." + name);
  return names;
}

bool is_answer_metric(std::string_view name) {
  if (is_in(kScore, name) || is_in(kPass, name) || is_in(kCriteria, name)) return true;
  const size_t dot = name.rfind('.');
  return dot != std::string_view::npos && dot > 0 && is_in(kOfCriterion, name.substr(dot + 1));
}

bool is_answer_share(std::string_view name) {
  constexpr std::array<const char*, 11> kShares = {"agreement", "accuracy",       "tpr",    "tnr",
                                                   "precision", "precision_fail", "recall", "f1",
                                                   "pass_rate", "unparsable",     "ece"};
  return is_in(kShares, name.substr(name.rfind('.') + 1));
}

std::vector<double> measure_answers(const JudgeForm& form, std::span<const Judgement> judgements,
                                    std::span<const uint32_t> sample) {
  if (form.kind == FormKind::score) return measure_score(judgements, sample);
  if (form.kind == FormKind::pass) return measure_pass(judgements, sample);
  return measure_criteria(rated_parts(form), judgements, sample);
}

std::vector<Interval> bootstrap_answers(const JudgeForm& form,
                                        std::span<const Judgement> judgements,
                                        const BootstrapOptions& options) {
  return bootstrap_numbers(judgements.size(), options, [&](std::span<const uint32_t> sample) {
    return measure_answers(form, judgements, sample);
  });
}

RatingHonesty rating_honesty(std::span<const Judgement> judgements,
                             std::span<const uint32_t> sample) {
  struct Bin {
    double confidence = 0, right = 0;
  };
  std::array<Bin, kReliabilityBins> bins;
  double count = 0, nll = 0, brier = 0;
  constexpr double kLeast = 1e-12;  // of a probability
  for (const uint32_t i : sample)
    for (const Rating& r : judgements[i].ratings) {
      if (r.probabilities.empty() || !r.value) continue;
      const double sure = r.probabilities.at(static_cast<size_t>(*r.value - r.low));
      const auto label = static_cast<size_t>(*r.label - r.low);
      const auto bin = static_cast<size_t>(
          std::clamp(std::ceil(sure * kReliabilityBins) - 1, 0.0, kReliabilityBins - 1.0));
      bins[bin].confidence += sure;
      bins[bin].right += r.value == r.label ? 1 : 0;
      ++count;
      nll -= std::log(std::max(r.probabilities.at(label), kLeast));
      for (size_t k = 0; k < r.probabilities.size(); ++k) {
        const double distance = r.probabilities[k] - (k == label ? 1 : 0);
        brier += distance * distance;
      }
    }
  if (count == 0) return {kNaN, kNaN, kNaN};
  double ece = 0;
  for (const Bin& bin : bins) ece += std::abs(bin.confidence - bin.right) / count;
  return {ece, nll / count, brier / count};
}

bool is_right(const Judgement& judgement) {
  return judgement.ratings.empty() ? judgement.verdict == judgement.label
                                   : is_right(judgement.ratings);
}

bool is_right(const std::vector<Rating>& ratings) {
  return std::all_of(ratings.begin(), ratings.end(),
                     [](const Rating& r) { return r.value && r.value == r.label; });
}

double share_right(std::span<const Judgement> judgements) {
  double right = 0;
  for (const Judgement& j : judgements) right += is_right(j.ratings) ? 1 : 0;
  return judgements.empty() ? kNaN : right / static_cast<double>(judgements.size());
}

std::vector<std::vector<int64_t>> rating_confusion(std::span<const Judgement> judgements,
                                                   size_t part) {
  std::vector<std::vector<int64_t>> counts;
  for (const Judgement& j : judgements) {
    const Rating& r = j.ratings.at(part);
    const size_t n = static_cast<size_t>(r.high - r.low) + 1;
    counts.resize(n, std::vector<int64_t>(n + 1));
    ++counts[static_cast<size_t>(*r.label - r.low)]
            [r.value ? static_cast<size_t>(*r.value - r.low) : n];
  }
  return counts;
}

AnswerTest compare_answers(const JudgeForm& form, std::span<const Judgement> first,
                           std::span<const Judgement> second, const BootstrapOptions& options) {
  if (first.size() != second.size())
    fail("two judges are compared on the same answers, but one judged {} and the other {}",
         first.size(), second.size());
  AnswerTest test;
  for (size_t i = 0; i < first.size(); ++i) {
    if (labels_of(first[i].ratings) != labels_of(second[i].ratings))
      fail("two judges are compared on the same answers, but the labels of answer {} differ",
           i + 1);
    const bool one = is_right(first[i].ratings), other = is_right(second[i].ratings);
    test.only_first += one && !other;
    test.only_second += other && !one;
  }
  test.mcnemar_p = mcnemar_exact(test.only_first, test.only_second);
  test.difference = bootstrap_numbers(first.size(), options, [&](std::span<const uint32_t> sample) {
    auto values = measure_answers(form, second, sample);
    const auto of_first = measure_answers(form, first, sample);
    for (size_t m = 0; m < values.size(); ++m) values[m] -= of_first[m];
    return values;
  });
  return test;
}

}  // namespace gavel
