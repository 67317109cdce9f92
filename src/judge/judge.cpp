#include "judge/judge.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "judge/rank.h"
#include "text/thought.h"

namespace gavel {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Probabilities softmax(const std::array<double, 3>& logprobs) {
  const double top = *std::max_element(logprobs.begin(), logprobs.end());
  Probabilities p;
  double sum = 0;
  for (size_t k = 0; k < 3; ++k) sum += p[k] = std::exp(logprobs[k] - top);
  for (double& x : p) x /= sum;
  return p;
}

Probabilities exchanged(Probabilities p) {
  std::swap(p[0], p[1]);
  return p;
}

// The three labels as continuations of the prompt of `messages`: what their tokens share (`lead`,
// and what the chat template has before an answer) goes to the prompt, the rest to the candidates.
struct LabelTokens {
  std::vector<int> shared;
  std::vector<std::vector<int>> candidates;
};

LabelTokens label_tokens(const TextEncoder& encoder, const std::vector<Message>& messages,
                         const std::string& lead) {
  LabelTokens result;
  for (Verdict d : kVerdicts)
    result.candidates.push_back(
        encode_answer(encoder, messages, lead + " " + std::string(to_string(d))));
  auto& c = result.candidates;
  size_t shared = 0;
  while (shared + 1 < std::min({c[0].size(), c[1].size(), c[2].size()}) &&
         c[0][shared] == c[1][shared] && c[0][shared] == c[2][shared])
    ++shared;
  result.shared.assign(c[0].begin(), c[0].begin() + static_cast<std::ptrdiff_t>(shared));
  for (auto& tokens : c)
    tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(shared));
  return result;
}

// One prompt to be judged: which order of which pair.
struct Task {
  size_t pair = 0;
  bool exchanged = false;
  std::vector<Message> messages;
  std::vector<int> prompt;  // the messages' tokens
  OrderResult result;
};

// The bytes of a token that a judge wrote; of special tokens only those that begin or end a
// thought.
std::string bytes_of(const Tokenizer& tokenizer, int token) {
  std::string bytes = tokenizer.token_bytes(token);
  return tokenizer.is_special(token) && !is_thought_tag(bytes) ? "" : bytes;
}

// Whether a prompt ends inside a thought.
bool begins_thought(const Tokenizer& tokenizer, std::span<const int> prompt) {
  constexpr size_t kTagTokens = 16;  // more than a tag and the white space after it may have
  return !open_thought(tokenizer.decode(prompt.last(std::min(prompt.size(), kTagTokens)))).empty();
}

// Probabilities of the labels at the token that decided: its own, and those of the tokens that the
// other labels would have had in its place. A label that is not among the most likely tokens gets
// the least of them, which is more than it has. `ends`: where each token ends in `bytes`.
std::optional<Probabilities> probabilities_at(const Tokenizer& tokenizer, const Written& written,
                                              const std::string& bytes,
                                              const std::vector<size_t>& ends,
                                              const ParsedVerdict& parsed) {
  const size_t label_begin = *parsed.label_begin;
  const size_t at =
      static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), label_begin) - ends.begin());
  if (at >= written.logprobs.size()) return std::nullopt;
  const TokenLogprobs& here = written.logprobs[at];
  if (here.top.empty()) return std::nullopt;
  const size_t token_begin = at == 0 ? 0 : ends[at - 1];
  const std::string before = bytes.substr(token_begin, label_begin - token_begin);
  std::array<int, 3> ids{};
  std::array<double, 3> logprobs{};
  for (size_t k = 0; k < 3; ++k) {
    const auto tokens = tokenizer.encode_within(before + parsed.labels[k]);
    if (tokens.empty()) return std::nullopt;
    ids[k] = kVerdicts[k] == parsed.verdict ? written.tokens[at] : tokens[0];
    const auto it = std::find_if(here.top.begin(), here.top.end(),
                                 [&](const auto& t) { return t.first == ids[k]; });
    logprobs[k] = it != here.top.end() ? it->second : here.top.back().second;
    if (kVerdicts[k] == parsed.verdict) logprobs[k] = here.chosen;
  }
  if (ids[0] == ids[1] || ids[0] == ids[2] || ids[1] == ids[2]) return std::nullopt;
  return softmax(logprobs);
}

// Ends a response once its verdict's line is complete, but never inside a thought: what follows is
// not needed.
class StopAfterVerdict {
 public:
  StopAfterVerdict(const Tokenizer& tokenizer, const std::string& lead, std::vector<bool> thinking)
      : tokenizer_(tokenizer), lead_(lead), thinking_(std::move(thinking)) {
    texts_.resize(thinking_.size());
  }

  // Whether response i goes on after this token.
  bool operator()(size_t i, int token) {
    std::string& text = texts_[i];
    const std::string bytes = bytes_of(tokenizer_, token);
    text += bytes;
    if (lead_.empty() || bytes.find('\n') == std::string::npos) return true;
    const auto answer = after_thought(text, thinking_[i]);
    const size_t lead = text.rfind(lead_);
    if (!answer || lead == std::string::npos || lead < *answer) return true;
    const size_t label = text.find_first_not_of(" \t\r\n", lead + lead_.size());
    if (label == std::string::npos || text.find('\n', label) == std::string::npos) return true;
    return parse_verdict(std::string_view(text).substr(lead)).verdict == Verdict::none;
  }

 private:
  const Tokenizer& tokenizer_;
  const std::string& lead_;
  std::vector<bool> thinking_;
  std::vector<std::string> texts_;
};

void write_reasons(const JudgeModel& model, std::vector<Task*>& tasks,
                   const JudgeOptions& options) {
  const Tokenizer& tokenizer = model.encoder.tokenizer;
  std::vector<std::vector<int>> prompts;
  std::vector<bool> thinking;
  for (const Task* task : tasks) {
    prompts.push_back(task->prompt);
    thinking.push_back(begins_thought(tokenizer, task->prompt));
  }
  StopAfterVerdict stop(tokenizer, model.prompt.verdict_lead(), thinking);
  const auto responses = model.write(std::move(prompts), options.max_tokens,
                                     [&](size_t i, int token) { return stop(i, token); });
  for (size_t i = 0; i < tasks.size(); ++i) {
    const Written& written = responses[i];
    OrderResult& result = tasks[i]->result;
    std::string bytes;
    std::vector<size_t> ends;
    for (const int token : written.tokens) {
      bytes += bytes_of(tokenizer, token);
      ends.push_back(bytes.size());
    }
    const ParsedVerdict parsed = parse_verdict(bytes, thinking[i]);
    result.text = tokenizer.decode(written.tokens, true);
    result.verdict = parsed.verdict;
    result.tokens = static_cast<int64_t>(written.tokens.size());
    result.seconds = written.seconds;
    if (parsed.label_begin)
      result.probabilities = probabilities_at(tokenizer, written, bytes, ends, parsed);
  }
}

void score_verdicts(const JudgeModel& model, std::vector<Task*>& tasks) {
  const std::string& lead = model.prompt.verdict_lead();
  const LabelTokens labels = label_tokens(model.encoder, tasks.front()->messages, lead);
  std::vector<ScoreRequest> requests;
  for (const Task* task : tasks) {
    ScoreRequest request{task->prompt, labels.candidates};
    request.prompt.insert(request.prompt.end(), labels.shared.begin(), labels.shared.end());
    requests.push_back(std::move(request));
  }
  const auto start = Clock::now();
  const auto scores = model.score(requests);
  const double seconds = seconds_since(start);
  for (size_t i = 0; i < tasks.size(); ++i) {
    OrderResult& result = tasks[i]->result;
    if (scores[i].size() != 3 || !std::isfinite(scores[i][0] + scores[i][1] + scores[i][2])) {
      result.problem = "the model's probabilities of the labels are not finite";
      continue;
    }
    result.probabilities = softmax({scores[i][0], scores[i][1], scores[i][2]});
    result.verdict = most_probable(*result.probabilities);
    result.text = lead + " " + std::string(to_string(result.verdict));
    result.seconds = seconds;  // all came back together
  }
}

std::vector<Task> make_tasks(const JudgeModel& model, std::span<const JudgePair> pairs,
                             const JudgeOptions& options) {
  std::vector<Task> tasks;
  for (size_t i = 0; i < pairs.size(); ++i)
    for (int order = 0; order < (options.second_order || options.both_orders ? 2 : 1); ++order) {
      Task task;
      task.pair = i;
      task.exchanged = order == 1;
      const JudgePair& pair = pairs[i];
      task.messages = model.prompt.to_messages(task.exchanged ? swapped(pair) : pair);
      task.prompt = encode_chat(model.encoder, task.messages, true);
      task.result.prompt = model.encoder.tokenizer.decode(task.prompt);
      const auto length = static_cast<int64_t>(task.prompt.size());
      if (model.max_prompt_tokens > 0 && length > model.max_prompt_tokens)
        task.result.problem = fmt::format("the prompt has {} tokens, the model takes {}", length,
                                          model.max_prompt_tokens);
      tasks.push_back(std::move(task));
    }
  return tasks;
}

}  // namespace

JudgeOptions options_for(const JudgeForm& form, JudgeOptions options, bool mode_asked) {
  if (!form.of_pairs())
    throw UsageError(fmt::format("the template judges one answer (form {}), and these are pairs",
                                 to_string(form.kind)));
  if (form.kind != FormKind::rank) return options;
  if (mode_asked && options.mode == JudgeMode::reason)
    throw UsageError(
        "the template's form is rank, which scores each answer and writes no reason: leave out "
        "--mode reason");
  options.mode = JudgeMode::verdict;
  options.both_orders = false;
  return options;
}

std::optional<double> confidence(const JudgedPair& judged) {
  if (!judged.probabilities || judged.verdict == Verdict::none) return std::nullopt;
  return (*judged.probabilities)[static_cast<size_t>(judged.verdict)];
}

std::vector<JudgedPair> judge_pairs(const JudgeModel& model, std::span<const JudgePair> pairs,
                                    const JudgeOptions& options) {
  if (model.prompt.form().kind == FormKind::rank) return rank_pairs(model, pairs, options);
  std::vector<Task> tasks = make_tasks(model, pairs, options);
  std::vector<Task*> asked;
  for (Task& task : tasks)
    if (task.result.problem.empty()) asked.push_back(&task);
  if (!asked.empty()) {
    if (options.mode == JudgeMode::reason)
      write_reasons(model, asked, options);
    else
      score_verdicts(model, asked);
  }
  std::vector<JudgedPair> judged(pairs.size());
  for (Task& task : tasks) {
    JudgedPair& pair = judged[task.pair];
    if (task.exchanged) {
      task.result.verdict = swapped(task.result.verdict);
      if (task.result.probabilities)
        task.result.probabilities = exchanged(*task.result.probabilities);
      pair.second = std::move(task.result);
    } else {
      pair.first = std::move(task.result);
    }
  }
  for (JudgedPair& pair : judged) {
    pair.verdict = pair.first.verdict;
    pair.probabilities = pair.first.probabilities;
    if (options.both_orders && pair.second) {
      pair.verdict = combine(pair.first.verdict, pair.second->verdict, pair.first.probabilities,
                             pair.second->probabilities);
      if (pair.first.probabilities && pair.second->probabilities)
        pair.probabilities = mean(*pair.first.probabilities, *pair.second->probabilities);
      else
        pair.probabilities.reset();
    }
    if (pair.probabilities)
      pair.probabilities = scale_by_temperature(*pair.probabilities, options.temperature);
  }
  return judged;
}

JudgeModel make_judge_model(const Model& model, const ModelLora* lora, TextEncoder encoder,
                            JudgeTemplate prompt, std::vector<int> eos_token_ids, int max_batch) {
  JudgeModel judge{std::move(encoder), std::move(prompt), model.config.max_position_embeddings};
  judge.score = [&model, lora, max_batch](std::span<const ScoreRequest> requests) {
    return score(model, lora, requests, max_batch);
  };
  judge.write = [&model, lora, max_batch, eos = std::move(eos_token_ids)](
                    std::vector<std::vector<int>> prompts, int max_tokens,
                    const JudgeModel::GoOn& go_on) {
    GenerateOptions options;
    options.max_tokens = max_tokens;
    options.eos_token_ids = eos;
    options.top_logprobs = kJudgeTopTokens;
    struct Times {
      Clock::time_point start, end;
    };
    std::vector<SequencePtr> all;
    std::vector<Times> times(prompts.size());
    for (size_t i = 0; i < prompts.size(); ++i) {
      auto s = std::make_shared<Sequence>();
      s->prompt = std::move(prompts[i]);
      s->options = options;
      s->on_token = [&, i](int token) {
        times[i].end = Clock::now();
        return go_on(i, token);
      };
      all.push_back(std::move(s));
    }
    Engine engine(model);
    const auto batch = static_cast<size_t>(std::max(max_batch, 2));
    for (size_t next = 0; next < all.size() || engine.active() > 0;) {
      // New ones come in together, so that the prefixes they share are seen.
      if (next < all.size() && engine.active() <= batch / 2) {
        const size_t count = std::min(batch - engine.active(), all.size() - next);
        for (size_t i = next; i < next + count; ++i) times[i].start = times[i].end = Clock::now();
        engine.add(std::span(all).subspan(next, count), lora);
        next += count;
      }
      engine.step();
    }
    std::vector<Written> written(all.size());
    for (size_t i = 0; i < all.size(); ++i)
      written[i] = {std::move(all[i]->tokens), std::move(all[i]->logprobs),
                    std::chrono::duration<double>(times[i].end - times[i].start).count()};
    return written;
  };
  return judge;
}

}  // namespace gavel
