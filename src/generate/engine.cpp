#include "generate/engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/threads.h"
#include "generate/prefix_cache.h"

namespace gavel {
namespace {

bool is_eos(const Sequence& s, int token) {
  const auto& ids = s.options.eos_token_ids;
  return std::find(ids.begin(), ids.end(), token) != ids.end();
}

// Whether the most likely tokens may be all that the choice needs, and how many of them.
int largest_needed(const Sequence& s) {
  if (has_penalties(s.options.sampling) || s.matcher) return 0;
  if (s.options.top_logprobs > kMostLargest) return 0;
  if (s.options.sampling.temperature > 0.0f) return kMostLargest;
  return std::max(1, s.options.top_logprobs);
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

// The same of the most likely tokens alone; nothing where they do not hold what is asked for.
std::optional<Choice> choose(Sequence& s, const LargestLogits& largest) {
  if (!largest.known || largest.tokens.empty()) return std::nullopt;
  const auto at = s.sampler->next(largest);
  if (!at) return std::nullopt;
  Choice choice{.token = largest.tokens[*at].first, .logprobs = {}};
  if (s.options.top_logprobs < 0) return choice;
  const auto logprob = [&](size_t i) {
    return double{largest.tokens[i].second} - double{largest.log_sum_exp};
  };
  choice.logprobs = TokenLogprobs{.chosen = logprob(*at), .top = {}};
  const auto count = std::min(largest.tokens.size(), static_cast<size_t>(s.options.top_logprobs));
  for (size_t i = 0; i < count; ++i)
    choice.logprobs->top.emplace_back(largest.tokens[i].first, logprob(i));
  return choice;
}

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

CachedInput input_of(const PlannedPrefix& p) {
  return {p.cache, p.tokens, CachedInput::Want::none, /*extended=*/true};
}

// The next token of each sampled sequence; row i of the logits is of the i-th.
std::vector<Choice> choose_all(std::span<Sequence* const> sampled, Logits& logits) {
  std::vector<Choice> choices(sampled.size());
  std::vector<size_t> whole;  // that need all of their logits
  int count = 0;
  if (logits.has_largest())
    for (const Sequence* s : sampled) count = std::max(count, largest_needed(*s));
  const auto largest = count > 0 ? logits.largest(count) : std::vector<LargestLogits>{};
  for (size_t i = 0; i < sampled.size(); ++i) {
    auto choice = count > 0 && largest_needed(*sampled[i]) > 0 ? choose(*sampled[i], largest[i])
                                                               : std::nullopt;
    if (choice)
      choices[i] = std::move(*choice);
    else
      whole.push_back(i);
  }
  std::vector<std::span<float>> rows;
  for (const size_t i : whole) rows.push_back(logits.row(i));
  parallel_for(std::ssize(whole), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      choices[whole[i]] = choose(*sampled[whole[i]], rows[i]);
  });
  return choices;
}

// A card has the more to do at once, the longer the piece.
int64_t suitable_prefill(const Model& model) { return model.card ? 4096 : 1024; }

}  // namespace

Engine::Engine(const Model& model, int64_t prefill_tokens, PrefixCache* prefixes)
    : model_(model),
      prefill_tokens_(prefill_tokens > 0 ? prefill_tokens : suitable_prefill(model)),
      prefixes_(prefixes) {}

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
  std::vector<PlannedPrefix> planned;
  if (sequences.size() > 1 || prefixes_ != nullptr)
    prefixes = share_prefixes(model_, lora, prompts, prefixes_, &planned);
  for (auto& p : planned) planned_.push_back({lora, std::move(p)});
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
  std::vector<PlannedPrefix> planned;  // must run before what stands on them
  for (auto& p : planned_)
    if (p.lora == lora) planned.push_back(std::move(p.prefix));
  std::erase_if(planned_, [&](const Planned& p) { return p.lora == lora; });
  for (const auto& p : planned) {
    // Those that are too many for one pass have passes of their own.
    if (budget <= 0) {
      cached_forward(model_, lora, inputs);
      inputs.clear();
      budget = prefill_tokens_;
    }
    inputs.push_back(input_of(p));
    budget -= std::ssize(p.tokens);
  }
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
  const auto logits = cached_forward(model_, lora, inputs);
  auto choices = choose_all(sampled, *logits);
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
  std::vector<PlannedPrefix> planned;
  const auto shared = share_prefixes(model, lora, prompts, prefixes, &planned);
  std::vector<CachedInput> inputs;
  for (const auto& p : planned) inputs.push_back(input_of(p));
  const size_t before = inputs.size();
  for (size_t i = 0; i < requests.size(); ++i) {
    auto cache = make_cache(model, shared[i]);
    const auto have = static_cast<size_t>(cache->length());
    inputs.push_back({cache, std::span(requests[i].prompt).subspan(have)});
  }
  const auto first = cached_forward(model, lora, inputs);
  inputs.erase(inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(before));
  if (prefixes != nullptr)
    for (size_t i = 0; i < requests.size(); ++i)
      prefixes->keep(model, lora, requests[i].prompt, inputs[i].cache);
  size_t longest = 0;
  const size_t base = results.size();
  std::vector<int32_t> rows, ids;
  for (size_t i = 0; i < requests.size(); ++i) {
    for (const auto& c : requests[i].candidates) {
      if (c.empty()) fail("a candidate to score has no tokens");
      rows.push_back(static_cast<int32_t>(i));
      ids.push_back(c[0]);
    }
    longest = std::max(longest, requests[i].candidates.size());
  }
  const auto scores = first->log_probabilities(rows, ids);
  auto next = scores.begin();
  for (const auto& r : requests) {
    results.emplace_back(next, next + std::ssize(r.candidates));
    next += std::ssize(r.candidates);
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
    rows.clear(), ids.clear();
    for (const size_t i : whose)
      for (size_t t = 1; t < requests[i].candidates[n].size(); ++t) {
        rows.push_back(static_cast<int32_t>(rows.size()));
        ids.push_back(requests[i].candidates[n][t]);
      }
    const auto of_rest = rest->log_probabilities(rows, ids);
    size_t row = 0;
    for (const size_t i : whose) {
      for (size_t t = 1; t < requests[i].candidates[n].size(); ++t)
        results[base + i][n] += of_rest[row++];
      inputs[i].cache->truncate(static_cast<int64_t>(requests[i].prompt.size()));
    }
  }
}

}  // namespace

std::vector<TokenLogprobs> read_logprobs(const Model& model, const ModelLora* lora,
                                         const std::vector<int>& tokens, int top,
                                         PrefixCache* prefixes) {
  constexpr size_t kPiece = 256;  // whose logits are held at a time
  std::vector<TokenLogprobs> result;
  if (tokens.empty()) return result;
  result.push_back({.chosen = std::nan(""), .top = {}});
  auto cache = make_cache(model);
  for (size_t begin = 0; begin < tokens.size(); begin += kPiece) {
    const size_t count = std::min(kPiece, tokens.size() - begin);
    const CachedInput input{cache, std::span(tokens).subspan(begin, count), CachedInput::Want::all};
    const auto logits = cached_forward(model, lora, std::span(&input, 1));
    for (size_t i = 0; i < count && begin + i + 1 < tokens.size(); ++i)
      result.push_back(logprobs_of(logits->row(i), tokens[begin + i + 1], top));
  }
  if (prefixes != nullptr) prefixes->keep(model, lora, tokens, cache);
  return result;
}

std::vector<std::vector<double>> score(const Model& model, const ModelLora* lora,
                                       std::span<const ScoreRequest> requests, int max_batch,
                                       PrefixCache* prefixes) {
  const size_t max_tokens = model.card ? 8192 : 4096;  // of a packed batch, to bound memory
  std::vector<std::vector<double>> results;
  size_t begin = 0;
  while (begin < requests.size()) {
    size_t end = begin, tokens = 0;
    while (end < requests.size() && end - begin < static_cast<size_t>(std::max(max_batch, 1)) &&
           (end == begin || tokens + requests[end].prompt.size() <= max_tokens))
      tokens += requests[end++].prompt.size();
    score_batch(model, lora, requests.subspan(begin, end - begin), prefixes, results);
    begin = end;
  }
  return results;
}

}  // namespace gavel
