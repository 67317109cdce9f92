#include "judge/rating.h"

#include <algorithm>
#include <cmath>

namespace gavel {

std::vector<RatedPart> rated_parts(const JudgeForm& form) {
  if (form.kind == FormKind::pass) return {{"pass", 0, {form.words[1], form.words[0]}, 1, false}};
  std::vector<RatedPart> parts;
  for (const Criterion& c : form.criteria) {
    RatedPart& part = parts.emplace_back(RatedPart{c.name, c.scale.low, {}, c.weight, true});
    for (int value = c.scale.low; value <= c.scale.high; ++value)
      part.texts.push_back(std::to_string(value));
  }
  return parts;
}

double Rating::expected() const {
  if (probabilities.empty()) return value ? *value : std::nan("");
  double sum = 0;
  for (size_t k = 0; k < probabilities.size(); ++k)
    sum += probabilities[k] * (low + static_cast<double>(k));
  return sum;
}

int Rating::value_or_farthest() const {
  if (value) return *value;
  return *label - low > high - *label ? low : high;
}

std::string describe_ratings(const std::vector<RatedPart>& parts,
                             const std::vector<std::optional<int>>& values) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i >= values.size() || !values[i]) return "none";
    if (parts.size() > 1) out += (i == 0 ? "" : ", ") + parts[i].name + " ";
    out += parts[i].text_of(*values[i]);
  }
  return out;
}

std::vector<std::optional<int>> values_of(const std::vector<Rating>& ratings) {
  std::vector<std::optional<int>> values;
  for (const Rating& r : ratings) values.push_back(r.value);
  return values;
}

std::vector<std::optional<int>> labels_of(const std::vector<Rating>& ratings) {
  std::vector<std::optional<int>> labels;
  for (const Rating& r : ratings) labels.push_back(r.label);
  return labels;
}

std::optional<double> confidence_of(const std::vector<Rating>& ratings) {
  std::optional<double> least;
  for (const Rating& r : ratings) {
    if (!r.value || r.probabilities.empty()) return std::nullopt;
    const double p = r.probabilities.at(static_cast<size_t>(*r.value - r.low));
    least = std::min(least.value_or(p), p);
  }
  return least;
}

double weighted_total(const std::vector<RatedPart>& parts, const std::vector<double>& values) {
  double sum = 0, weights = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].weight == 0) continue;
    sum += parts[i].weight * values.at(i);
    weights += parts[i].weight;
  }
  return sum / weights;
}

}  // namespace gavel
