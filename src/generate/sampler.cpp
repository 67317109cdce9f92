#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "ops/kernels.h"

namespace gavel {

void check(const SamplingOptions& o) {
  if (!(o.temperature >= 0.0f)) fail("the temperature is {}; it must be at least 0", o.temperature);
  if (!(o.top_p > 0.0f && o.top_p <= 1.0f))
    fail("top-p is {}; it must be above 0 and at most 1", o.top_p);
  if (o.top_k < 0) fail("top-k is {}; it must be at least 0 (0: off)", o.top_k);
  if (!(o.min_p >= 0.0f && o.min_p <= 1.0f)) fail("min-p is {}; it must be from 0 to 1", o.min_p);
  if (!(o.repetition_penalty > 0.0f))
    fail("the repetition penalty is {}; it must be above 0", o.repetition_penalty);
  for (const float penalty : {o.presence_penalty, o.frequency_penalty})
    if (!(std::abs(penalty) <= 2.0f))
      fail("the presence or frequency penalty is {}; it must be from -2 to 2", penalty);
}

bool has_penalties(const SamplingOptions& o) {
  return o.repetition_penalty != 1.0f || o.presence_penalty != 0.0f || o.frequency_penalty != 0.0f;
}

int Sampler::next(std::span<float> logits, std::span<const int> recent, size_t generated) {
  if (options_.repetition_penalty != 1.0f) {
    const size_t context = static_cast<size_t>(std::max(options_.repetition_context, 0));
    auto window = recent.size() > context ? recent.subspan(recent.size() - context) : recent;
    std::vector<int> unique(window.begin(), window.end());
    std::sort(unique.begin(), unique.end());
    unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
    for (const int id : unique) {
      float& l = logits[static_cast<size_t>(id)];
      l = l < 0.0f ? l * options_.repetition_penalty : l / options_.repetition_penalty;
    }
  }
  if (options_.presence_penalty != 0.0f || options_.frequency_penalty != 0.0f) {
    const auto own = recent.last(std::min(generated, recent.size()));
    std::vector<int> sorted(own.begin(), own.end());
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0, end = 0; i < sorted.size(); i = end) {
      while (end < sorted.size() && sorted[end] == sorted[i]) ++end;
      logits[static_cast<size_t>(sorted[i])] -=
          options_.presence_penalty + options_.frequency_penalty * static_cast<float>(end - i);
    }
  }
  const auto best = std::max_element(logits.begin(), logits.end());
  if (options_.temperature == 0.0f) return static_cast<int>(best - logits.begin());

  // Candidates by falling logit; only as many are sorted as can be chosen.
  const float highest = *best;
  std::vector<int> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::erase_if(ids,
                [&](int i) { return std::isinf(logits[static_cast<size_t>(i)]); });  // excluded
  const auto falling = [&](int x, int y) {
    const float lx = logits[static_cast<size_t>(x)], ly = logits[static_cast<size_t>(y)];
    return lx != ly ? lx > ly : x < y;
  };
  // Probabilities of the whole vocabulary at temperature 1 decide top-p and min-p, as in mlx_lm.
  const double lse = kernels::log_sum_exp(logits.data(), std::ssize(logits));
  if (options_.min_p > 0.0f) {
    const float least = highest + std::log(options_.min_p);
    std::erase_if(ids, [&](int i) { return logits[static_cast<size_t>(i)] < least; });
  }
  if (options_.top_k > 0 && ids.size() > static_cast<size_t>(options_.top_k)) {
    std::nth_element(ids.begin(), ids.begin() + options_.top_k, ids.end(), falling);
    ids.resize(static_cast<size_t>(options_.top_k));
  }
  if (options_.top_p < 1.0f) {
    std::sort(ids.begin(), ids.end(), falling);
    double mass = 0.0;
    size_t kept = 0;
    while (kept < ids.size() && mass < double{options_.top_p})
      mass += std::exp(double{logits[static_cast<size_t>(ids[kept++])]} - lse);
    ids.resize(std::max<size_t>(kept, 1));
  }
  std::vector<double> weights;
  for (const int id : ids)
    weights.push_back(
        std::exp((double{logits[static_cast<size_t>(id)]} - highest) / options_.temperature));
  return ids[draw(weights)];
}

size_t Sampler::draw(const std::vector<double>& weights) {
  std::vector<double> cumulative;
  double sum = 0.0;
  for (const double weight : weights) cumulative.push_back(sum += weight);
  const double drawn = random_.uniform() * sum;
  const auto it = std::upper_bound(cumulative.begin(), cumulative.end(), drawn);
  return std::min<size_t>(static_cast<size_t>(it - cumulative.begin()), weights.size() - 1);
}

std::optional<size_t> Sampler::next(const LargestLogits& largest) {
  const auto& tokens = largest.tokens;
  if (options_.temperature == 0.0f) return 0;
  size_t count = 0;  // of those that may be chosen
  bool complete = false;
  double mass = 0.0;
  const float highest = tokens[0].second;
  const float least = options_.min_p > 0.0f ? highest + std::log(options_.min_p) : 0.0f;
  while (count < tokens.size() && !complete) {
    if (options_.min_p > 0.0f && tokens[count].second < least) {
      complete = true;
      break;
    }
    mass += std::exp(double{tokens[count++].second} - double{largest.log_sum_exp});
    complete = (options_.top_k > 0 && count == static_cast<size_t>(options_.top_k)) ||
               (options_.top_p < 1.0f && mass >= double{options_.top_p});
  }
  if (!complete) return std::nullopt;
  std::vector<double> weights;
  for (size_t i = 0; i < count; ++i)
    weights.push_back(std::exp((double{tokens[i].second} - highest) / options_.temperature));
  return draw(weights);
}

std::vector<double> log_probabilities(std::span<const float> logits, std::span<const int> ids) {
  const double lse = kernels::log_sum_exp(logits.data(), std::ssize(logits));
  std::vector<double> result;
  for (const int id : ids) result.push_back(double{logits[static_cast<size_t>(id)]} - lse);
  return result;
}

}  // namespace gavel
