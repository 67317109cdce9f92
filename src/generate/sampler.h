// Choosing the next token from logits.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/random.h"
#include "ops/largest_logits.h"

namespace gavel {

struct SamplingOptions {
  float temperature = 0.0f;         // 0: the most likely token
  float top_p = 1.0f;               // nucleus: the smallest set of tokens with this probability
  int top_k = 0;                    // 0: off
  float min_p = 0.0f;               // least probability relative to the most likely token
  float repetition_penalty = 1.0f;  // Keskar et al. 2019; 1: off
  int repetition_context = 20;      // tokens looked back at
  float presence_penalty = 0.0f;    // OpenAI's: taken from the logit of each token generated so far
  float frequency_penalty = 0.0f;   // OpenAI's: the same, once for each time it was
  uint64_t seed = 0;
};

// Whether the tokens so far change the logits.
bool has_penalties(const SamplingOptions& options);

// Throws Error where a value is out of its range.
void check(const SamplingOptions& options);

class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) {}
  // Chooses a token; `logits` [vocab_size] may be changed. `recent` are the tokens so far, of which
  // the last `generated` are no prompt's; needed where there are penalties.
  int next(std::span<float> logits, std::span<const int> recent, size_t generated = 0);
  // The same of the most likely tokens alone, by their place among them, without penalties; nothing
  // where others may be chosen, too.
  std::optional<size_t> next(const LargestLogits& largest);

 private:
  // An index, as likely as its weight.
  size_t draw(const std::vector<double>& weights);
  SamplingOptions options_;
  Random random_;
};

// Natural logarithms of softmax(logits) at these ids.
std::vector<double> log_probabilities(std::span<const float> logits, std::span<const int> ids);

}  // namespace gavel
