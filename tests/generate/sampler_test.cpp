// Penalties on tokens that were generated before.
#include "generate/sampler.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace gavel {
namespace {

// The logit less presence * [count > 0] and frequency * count, as OpenAI's reference defines it.
TEST(Sampler, PenaltiesOfPresenceAndFrequencyCountGeneratedTokensOnly) {
  const std::vector<int> tokens = {0, 0, 3, 1, 2, 1, 1};  // the first three are the prompt
  std::vector<float> logits = {1.0f, 2.0f, 3.0f, 4.0f};
  Sampler sampler({.presence_penalty = 0.5f, .frequency_penalty = 0.25f});
  EXPECT_EQ(sampler.next(logits, tokens, 4), 3);
  EXPECT_EQ(logits, (std::vector<float>{1.0f, 0.75f, 2.25f, 4.0f}));
  logits = {1.0f, 2.0f, 3.0f, 4.0f};
  Sampler negative({.presence_penalty = -2.0f, .frequency_penalty = -1.0f});
  EXPECT_EQ(negative.next(logits, tokens, 4), 1);
  EXPECT_EQ(logits, (std::vector<float>{1.0f, 7.0f, 6.0f, 4.0f}));
  EXPECT_THROW(check({.presence_penalty = 2.5f}), Error);
  EXPECT_THROW(check({.frequency_penalty = -2.5f}), Error);
}

}  // namespace
}  // namespace gavel
