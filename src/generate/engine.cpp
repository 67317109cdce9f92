#include "generate/engine.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/threads.h"
#include "generate/prefix_cache.h"
#include "generate/shared_prefixes.h"

namespace gavel {
namespace {

bool is_eos(const Sequence& s, int token) {
  const auto& ids = s.options.eos_token_ids;
  return std::find(ids.begin(), ids.end(), token) != ids.end();
}

TokenLogprobs logprobs_of(std::span<const float> logits, int chosen, int top) {
  const auto count = std::min<size_t>(static_cast<size_t>(top), logits.size());
  std::vector<int> ids;  // the most likely so far, by falling logit
  const auto likelier = [&](int x, int y) {
    return logits[static_cast<size_t>(x)] > logits[static_cast<size_t>(y)];
  };
  for (int id = 0; count > 0 && id < static_cast<int>(logits.size()); ++id) {
    if (ids.size() == count) {
      if (!likelier(id, ids.back())) continue;
      ids.pop_back();
    }
    ids.insert(std::upper_bound(ids.begin(), ids.end(), id, likelier), id);
  }
  ids.push_back(chosen);
  const auto values = log_probabilities(logits, ids);
  TokenLogprobs result{.chosen = values.back(), .top = {}};
  for (size_t i = 0; i + 1 < ids.size(); ++i) result.top.emplace_back(ids[i], values[i]);
  return result;
}

struct Choice {
  int token = 0;  // -1: none is allowed
  std::optional<TokenLogprobs> logprobs;
};

// Leaves the tokens that the grammar allows. False where there is none.
bool constrain(Sequence& s, std::span<float> logits) {
  std::vector<bool> allowed;
  s.matcher->mask(*s.options.vocabulary, allowed);
  allowed.resize(logits.size());
  for (const int id : s.options.eos_token_ids)
    if (id >= 0 && static_cast<size_t>(id) < allowed.size())
      allowed[static_cast<size_t>(id)] = s.matcher->may_end();
  bool any = false;
  for (size_t i = 0; i < logits.size(); ++i) {
    any |= allowed[i];
    if (!allowed[i]) logits[i] = -std::numeric_limits<float>::infinity();
  }
  return any;
}

// Chooses the sequence's next token from its logits, which may change.
Choice choose(Sequence& s, std::span<float> logits) {
  std::vector<int> recent;
  std::vector<float> before;
  std::span<const float> own = logits;  // the model's, before penalties
  const bool penalties = has_penalties(s.options.sampling);
  if (penalties) {
    recent = s.prompt;
    recent.insert(recent.end(), s.tokens.begin(), s.tokens.end());
  }
  if ((penalties || s.matcher) && s.options.top_logprobs >= 0) {
    before.assign(logits.begin(), logits.end());
    own = before;
  }
  if (s.matcher && !constrain(s, logits)) return {.token = -1, .logprobs = {}};
  Choice choice{.token = s.sampler->next(logits, recent, s.tokens.size()), .logprobs = {}};
  if (s.options.top_logprobs >= 0)
    choice.logprobs = logprobs_of(own, choice.token, s.options.top_logprobs);
  return choice;
}

void accept(Sequence& s, Choice& choice) {
  if (choice.token < 0) {  // at the end, or the vocabulary has no token for what must come
    s.finish = s.matcher->may_end() ? FinishReason::stop : FinishReason::length;
    return;
  }
  if (is_eos(s, choice.token)) {
    s.finish = FinishReason::stop;
    return;
  }
  if (s.matcher)
    for (const char byte : s.options.vocabulary->bytes(choice.token))
      s.matcher->advance(static_cast<uint8_t>(byte));
  s.tokens.push_back(choice.token);
  if (choice.logprobs) s.logprobs.push_back(std::move(*choice.logprobs));
  if (s.on_token && !s.on_token(choice.token)) {
    if (s.finish == FinishReason::none) s.finish = FinishReason::stop;
  } else if (s.matcher && s.matcher->complete()) {
    s.finish = FinishReason::stop;
  } else if (static_cast<int>(s.tokens.size()) >= s.options.max_tokens) {
    s.finish = FinishReason::length;
  }
}

}  // namespace

Engine::Engine(const Model& model, int64_t prefill_tokens, PrefixCache* prefixes)
    : model_(model), prefill_tokens_(prefill_tokens), prefixes_(prefixes) {}

void Engine::add(std::span<const SequencePtr> sequences, const ModelLora* lora) {
  std::vector<const std::vector<int>*> prompts;
  for (const auto& s : sequences) {
    if (s->prompt.empty()) fail("there is nothing to generate from: the prompt has no tokens");
    for (const int id : s->prompt)
      if (id < 0 || id >= model_.config.vocab_size)
        fail("token {} is outside the vocabulary of {}", id, model_.config.vocab_size);
    check(s->options.sampling);
    prompts.push_back(&s->prompt);
  }
  std::vector<Prefix> prefixes(sequences.size());
  if (sequences.size() > 1 || prefixes_ != nullptr)
    prefixes = share_prefixes(model_, lora, prompts, prefixes_);
  for (size_t i = 0; i < sequences.size(); ++i) {
    auto& s = *sequences[i];
    s.reused = prefixes[i].rows;
    s.cache = make_cache(model_, std::move(prefixes[i]));
    s.sampler.emplace(s.options.sampling);
    if (s.options.grammar) s.matcher.emplace(s.options.grammar);
    s.lora = lora;
    if (s.options.max_tokens < 1)
      s.finish = FinishReason::length;
    else
      sequences_.push_back(sequences[i]);
  }
}

bool Engine::step() {
  std::erase_if(sequences_, [](const SequencePtr& s) { return s->finish != FinishReason::none; });
  if (sequences_.empty()) return false;
  const ModelLora* lora = sequences_.front()->lora;
  std::vector<CachedInput> inputs;
  std::vector<Sequence*> sampled, read;  // that get a token; whose prompt is read with this step
  int64_t budget = prefill_tokens_;
  for (const auto& s : sequences_) {
    if (s->lora != lora) continue;
    const auto done = static_cast<size_t>(s->cache->length());
    if (done >= s->prompt.size()) {
      inputs.push_back({s->cache, std::span(s->tokens).last(1), CachedInput::Want::last});
      sampled.push_back(s.get());
      continue;
    }
    if (budget <= 0) continue;
    const size_t left = s->prompt.size() - done;
    const size_t piece = std::min(left, static_cast<size_t>(budget));
    budget -= static_cast<int64_t>(piece);
    const bool whole = piece == left;
    inputs.push_back({s->cache, std::span(s->prompt).subspan(done, piece),
                      whole ? CachedInput::Want::last : CachedInput::Want::none});
    if (!whole) continue;
    sampled.push_back(s.get());
    read.push_back(s.get());
  }
  auto all = cached_forward(model_, lora, inputs);
  const auto vocab = static_cast<size_t>(model_.config.vocab_size);
  std::vector<Choice> choices(sampled.size());
  float* logits = sampled.empty() ? nullptr : all.data<float>();
  parallel_for(std::ssize(sampled), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      choices[i] = choose(*sampled[i], std::span(logits + i * vocab, vocab));
  });
  for (size_t i = 0; i < sampled.size(); ++i) accept(*sampled[i], choices[i]);
  if (prefixes_ != nullptr)
    for (Sequence* s : read) prefixes_->keep(model_, lora, s->prompt, s->cache);
  // The other adapters' sequences have their turn next.
  std::stable_partition(sequences_.begin(), sequences_.end(),
                        [&](const SequencePtr& s) { return s->lora != lora; });
  for (const auto& s : sequences_)
    if (s->finish != FinishReason::none) s->cache.reset();
  return true;
}

std::vector<SequencePtr> generate(const Model& model, const ModelLora* lora,
                                  std::vector<std::vector<int>> prompts,
                                  const GenerateOptions& options, int max_batch) {
  std::vector<SequencePtr> all;
  for (auto& prompt : prompts) {
    auto s = std::make_shared<Sequence>();
    s->prompt = std::move(prompt);
    s->options = options;
    all.push_back(std::move(s));
  }
  Engine engine(model);
  size_t next = 0;
  const auto batch = static_cast<size_t>(std::max(max_batch, 1));
  while (next < all.size() || engine.active() > 0) {
    // New ones come in together, so that the prefixes they share are seen.
    if (next < all.size() && engine.active() <= batch / 2) {
      const size_t count = std::min(batch - engine.active(), all.size() - next);
      engine.add(std::span(all).subspan(next, count), lora);
      next += count;
    }
    engine.step();
  }
  return all;
}

namespace {

// The scores of the requests of one batch.
void score_batch(const Model& model, const ModelLora* lora, std::span<const ScoreRequest> requests,
                 PrefixCache* prefixes, std::vector<std::vector<double>>& results) {
  std::vector<const std::vector<int>*> prompts;
  for (const auto& r : requests) {
    if (r.prompt.empty()) fail("there is nothing to score: a prompt has no tokens");
    prompts.push_back(&r.prompt);
  }
  const auto shared = share_prefixes(model, lora, prompts, prefixes);
  std::vector<CachedInput> inputs;
  for (size_t i = 0; i < requests.size(); ++i) {
    auto cache = make_cache(model, shared[i]);
    const auto have = static_cast<size_t>(cache->length());
    inputs.push_back({cache, std::span(requests[i].prompt).subspan(have)});
  }
  const auto vocab = static_cast<size_t>(model.config.vocab_size);
  const auto first = cached_forward(model, lora, inputs);
  if (prefixes != nullptr)
    for (size_t i = 0; i < requests.size(); ++i)
      prefixes->keep(model, lora, requests[i].prompt, inputs[i].cache);
  size_t longest = 0;
  const size_t base = results.size();
  for (size_t i = 0; i < requests.size(); ++i) {
    std::vector<int> first_tokens;
    for (const auto& c : requests[i].candidates) {
      if (c.empty()) fail("a candidate to score has no tokens");
      first_tokens.push_back(c[0]);
    }
    results.push_back(
        log_probabilities(std::span(first.data<float>() + i * vocab, vocab), first_tokens));
    longest = std::max(longest, requests[i].candidates.size());
  }
  // The rest of longer candidates, the n-th candidate of every request at a time.
  for (size_t n = 0; n < longest; ++n) {
    std::vector<CachedInput> more;
    std::vector<size_t> whose;
    for (size_t i = 0; i < requests.size(); ++i) {
      if (n >= requests[i].candidates.size() || requests[i].candidates[n].size() < 2) continue;
      const auto& c = requests[i].candidates[n];
      more.push_back({inputs[i].cache, std::span(c).first(c.size() - 1), CachedInput::Want::all});
      whose.push_back(i);
    }
    if (more.empty()) continue;
    const auto rest = cached_forward(model, lora, more);
    size_t row = 0;
    for (const size_t i : whose) {
      const auto& c = requests[i].candidates[n];
      for (size_t t = 1; t < c.size(); ++t, ++row)
        results[base + i][n] +=
            log_probabilities(std::span(rest.data<float>() + row * vocab, vocab), {&c[t], 1})[0];
      inputs[i].cache->truncate(static_cast<int64_t>(requests[i].prompt.size()));
    }
  }
}

}  // namespace

std::vector<std::vector<double>> score(const Model& model, const ModelLora* lora,
                                       std::span<const ScoreRequest> requests, int max_batch,
                                       PrefixCache* prefixes) {
  constexpr size_t kMaxTokens = 4096;  // of a packed batch, to bound memory
  std::vector<std::vector<double>> results;
  size_t begin = 0;
  while (begin < requests.size()) {
    size_t end = begin, tokens = 0;
    while (end < requests.size() && end - begin < static_cast<size_t>(std::max(max_batch, 1)) &&
           (end == begin || tokens + requests[end].prompt.size() <= kMaxTokens))
      tokens += requests[end++].prompt.size();
    score_batch(model, lora, requests.subspan(begin, end - begin), prefixes, results);
    begin = end;
  }
  return results;
}

}  // namespace gavel
