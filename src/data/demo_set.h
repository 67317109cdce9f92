// The demonstration's own judging set: questions with a better and a worse answer, where the label
// is true by construction, and a short reason before the verdict.
//
// What a 135M-parameter model needs to learn it in about 110,000 tokens, measured on
// SmolLM2-135M-Instruct with 200 held-out pairs in both orders: both orders of a pair in one batch,
// batches of 4, 240 steps, 10 of them warm-up, then a cosine to 0, and LoRA of rank 8 on
//   all linear layers, scale 2, learning rate 1e-3     88-91% agreement, 77-85% consistency (5
//   runs) all linear layers, scale 20, learning rate 2e-4    92%, 87% q_proj and v_proj, scale 20,
//   learning rate 1e-3    90%, 84%; at 5e-4 86%, 78%
// when it writes its reasoning (the base model is at chance), of 480 pairs. 160 steps give 85%, 300
// to 360 steps 91-94%. 640 pairs in 320 steps, as the demo has them, give 92.5% and 85.8%, and 84%
// of the reasons are true. Single orders, or reasons that discuss both answers before they name the
// better one, stay far below.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/judge_prompt.h"

namespace gavel {

struct DemoSet {
  std::vector<JudgePair> train, valid, test;
};

struct DemoCounts {
  int64_t train = 640, valid = 64, test = 120;
};

// Pairs of many forms (JudgePair::category names the form), in random order: wrong facts and sums,
// instructions not followed, off topic, cut off, repeated, jumbled, rude, empty, refused, ...
// No question, and no subject of a question, is in two splits. In each split, labels are balanced
// within every form. The same seed gives the same set on every machine. Throws Error for counts
// that the built-in material cannot fill without repeating a pair.
DemoSet make_demo_set(uint64_t seed, const DemoCounts& counts = {});

// `count` pairs of all splits together.
std::vector<JudgePair> make_demo_pairs(uint64_t seed, int64_t count);

// Names of the forms, in the order of the table.
std::vector<std::string_view> demo_forms();

}  // namespace gavel
