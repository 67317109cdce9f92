// Judging pairs with a model: pairs in, verdicts out, in batches.
//
// Where the template's form is `rank`, each answer is scored alone (judge/rank.h); of forms of one
// answer the rows have one, and numbers for it come out (judge/rate.h). Else there are two ways.
// `reason`: the model writes its reasoning, and the verdict is read out of the text; its
// probabilities are those of the verdict's token against the other labels' at that place.
// `verdict`: the labels are scored directly after the template's lead ("**Verdict:**"), and the
// most probable one is the verdict; nothing is written.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/judge_prompt.h"
#include "generate/engine.h"
#include "judge/metrics.h"
#include "judge/probability_map.h"
#include "judge/verdict.h"

namespace gavel {

enum class JudgeMode : uint8_t { reason, verdict };

struct JudgeOptions {
  JudgeMode mode = JudgeMode::reason;
  bool second_order = true;  // judge with the answers exchanged, too
  bool both_orders = false;  // the verdict is that of both orders; otherwise of the first alone
  ProbabilityMap map;        // calibration of the probabilities
  int max_tokens = 512;      // of a written response
};

// Tokens most likely at a step among which the labels are looked for: what `write` returns.
constexpr int kJudgeTopTokens = 32;

struct Written {
  std::vector<int> tokens;  // without the end-of-sequence token
  std::vector<TokenLogprobs> logprobs;
  double seconds = 0;  // from the sequence's start to its last token
};

// What a judge runs on. Functions, so that a test can answer in a model's place.
struct JudgeModel {
  TextEncoder encoder;
  JudgeTemplate prompt = JudgeTemplate::standard();
  int64_t max_prompt_tokens = 0;  // longer prompts are not judged
  // Greedy responses to the prompts, in their order. `go_on` is asked after each token of prompt i.
  using GoOn = std::function<bool(size_t i, int token)>;
  std::function<std::vector<Written>(std::vector<std::vector<int>> prompts, int max_tokens,
                                     const GoOn& go_on)>
      write;
  // Log-probabilities of continuations, as score() gives them.
  std::function<std::vector<std::vector<double>>(std::span<const ScoreRequest>)> score;
};

// A judge of a model, and an adapter where `lora` is not null; both must outlive it.
JudgeModel make_judge_model(const Model& model, const ModelLora* lora, TextEncoder encoder,
                            JudgeTemplate prompt, std::vector<int> eos_token_ids,
                            int max_batch = 16);

// One order of a pair. Verdict and probabilities name the pair's own answers, in either order.
struct OrderResult {
  std::string prompt;  // as the model saw it
  std::string text;    // what it wrote; in mode `verdict` the lead and the label
  Verdict verdict = Verdict::none;
  std::optional<Probabilities> probabilities;
  int64_t tokens = 0;
  double seconds = 0;
  std::string problem;  // why there is no verdict, where the model was not asked
};

struct JudgedPair {
  OrderResult first;
  std::optional<OrderResult> second;
  Verdict verdict = Verdict::none;
  std::optional<Probabilities> probabilities;   // behind `verdict`, calibrated
  std::optional<std::array<double, 2>> scores;  // of A and B: form rank
  // Of forms of one answer, a part each, at the calibration temperature; there is no verdict then.
  std::vector<Rating> ratings;
};

// The options as the template's form has them. Of the form rank nothing is written, and the verdict
// is the same in both orders. Throws UsageError for a mode that was asked for and is not there.
JudgeOptions options_for(const JudgeForm& form, JudgeOptions options, bool mode_asked);

PairSize size_of(const JudgePair& pair);

// Judges all pairs; results in their order.
std::vector<JudgedPair> judge_pairs(const JudgeModel& model, std::span<const JudgePair> pairs,
                                    const JudgeOptions& options);

// The probability of the verdict; nothing where it is not known. Of one answer, that of its score
// or word.
std::optional<double> confidence(const JudgedPair& judged);

}  // namespace gavel
