// Many sequences through one model at a time: prompts are read and tokens generated in packed
// batches, and a prompt prefix that several sequences share is computed once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "generate/json_grammar.h"
#include "generate/sampler.h"
#include "generate/shared_prefixes.h"
#include "model/transformer.h"
#include "ops/kv_cache.h"

namespace gavel {

struct GenerateOptions {
  int max_tokens = 256;
  SamplingOptions sampling;
  std::vector<int> eos_token_ids;
  std::shared_ptr<const JsonGrammar> grammar;  // null: any text; else `vocabulary` is needed, too
  std::shared_ptr<const TokenTrie> vocabulary;
  int top_logprobs = -1;  // -1: none are computed; n: of the chosen token and the n most likely
};

struct TokenLogprobs {
  double chosen = 0.0;                      // natural log
  std::vector<std::pair<int, double>> top;  // most likely first
};

enum class FinishReason : uint8_t { none, stop, length, cancelled };

// One sequence on its way through the engine.
struct Sequence {
  std::vector<int> prompt;
  GenerateOptions options;
  // Called for each new token; false ends the sequence (a stop string was found, the client left).
  std::function<bool(int token)> on_token;

  // Results, filled as it goes.
  std::vector<int> tokens;  // generated, without the end-of-sequence token
  std::vector<TokenLogprobs> logprobs;
  FinishReason finish = FinishReason::none;
  int64_t reused = 0;  // tokens of the prompt that were not computed for this sequence alone

  // The engine's own.
  std::shared_ptr<KvCache> cache;
  std::optional<Sampler> sampler;
  std::optional<JsonMatcher> matcher;
  const ModelLora* lora = nullptr;
};
using SequencePtr = std::shared_ptr<Sequence>;

class PrefixCache;

class Engine {
 public:
  // The model, and the cache of prompts read before where one is given, must outlive the engine.
  // Prompts are read in pieces of at most prefill_tokens (0: as many as suit the device).
  explicit Engine(const Model& model, int64_t prefill_tokens = 0, PrefixCache* prefixes = nullptr);

  // Adds sequences; those that share `lora` (null: the base model) run in one batch. Prefixes that
  // the new sequences share (of 16 tokens and more) are computed once.
  void add(std::span<const SequencePtr> sequences, const ModelLora* lora);

  // One forward pass for the sequences of one adapter: reads a piece of the waiting prompts and one
  // token of each running sequence. False where there is nothing to do.
  // A sequence whose `finish` was set from outside, between steps, is dropped.
  bool step();

  size_t active() const { return sequences_.size(); }

 private:
  const Model& model_;
  int64_t prefill_tokens_;
  PrefixCache* prefixes_;
  std::vector<SequencePtr> sequences_;
  // Prefixes that sequences stand on and that are still to be computed, parents first.
  struct Planned {
    const ModelLora* lora;
    PlannedPrefix prefix;
  };
  std::vector<Planned> planned_;
};

// Generates for all prompts, batched; results in their order.
std::vector<SequencePtr> generate(const Model& model, const ModelLora* lora,
                                  std::vector<std::vector<int>> prompts,
                                  const GenerateOptions& options, int max_batch = 16);

// The log-probabilities of a text's own tokens, each behind those before it, with the `top` most
// likely ones in its place; of the first, behind nothing, `chosen` is NaN. Beginnings that
// `prefixes` holds do not help, since their logits are gone; it keeps this text's.
std::vector<TokenLogprobs> read_logprobs(const Model& model, const ModelLora* lora,
                                         const std::vector<int>& tokens, int top,
                                         PrefixCache* prefixes = nullptr);

// For each prompt, the log-probabilities (natural log) of each of its candidate continuations,
// token by token and summed. The prompt, and prefixes that prompts share, are computed once.
struct ScoreRequest {
  std::vector<int> prompt;
  std::vector<std::vector<int>> candidates;  // each at least one token
};
std::vector<std::vector<double>> score(const Model& model, const ModelLora* lora,
                                       std::span<const ScoreRequest> requests, int max_batch = 16,
                                       PrefixCache* prefixes = nullptr);

}  // namespace gavel
