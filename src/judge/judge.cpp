#include "judge/judge.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "judge/rank.h"
#include "judge/rate.h"
#include "judge/writing.h"
#include "text/unicode.h"

namespace gavel {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of three log-probabilities.
Probabilities shares_of(std::span<const double> logprobs) {
  const std::vector<double> p = softmax(logprobs);
  return {p[0], p[1], p[2]};
}

Probabilities exchanged(Probabilities p) {
  std::swap(p[0], p[1]);
  return p;
}

// One prompt to be judged: which order of which pair.
struct Task {
  size_t pair = 0;
  bool exchanged = false;
  std::vector<Message> messages;
  std::vector<int> prompt;  // the messages' tokens
  OrderResult result;
};

std::vector<std::vector<int>> prompts_of(const std::vector<Task*>& tasks) {
  std::vector<std::vector<int>> prompts;
  for (const Task* task : tasks) prompts.push_back(task->prompt);
  return prompts;
}

void write_reasons(const JudgeModel& model, std::vector<Task*>& tasks,
                   const JudgeOptions& options) {
  const auto texts = write_judgements(
      model, prompts_of(tasks), options.max_tokens,
      [](std::string_view text) { return parse_verdict(text).verdict != Verdict::none; });
  for (size_t i = 0; i < tasks.size(); ++i) {
    const WrittenText& written = texts[i];
    OrderResult& result = tasks[i]->result;
    const ParsedVerdict parsed = parse_verdict(written.bytes, written.thinking);
    result.text = written.text;
    result.verdict = parsed.verdict;
    result.tokens = written.count();
    result.seconds = written.written.seconds;
    if (!parsed.label_begin) continue;
    const auto logprobs = logprobs_at(model.encoder.tokenizer, written, *parsed.label_begin,
                                      parsed.labels, static_cast<size_t>(parsed.verdict));
    if (logprobs) result.probabilities = shares_of(*logprobs);
  }
}

void score_verdicts(const JudgeModel& model, std::vector<Task*>& tasks) {
  const std::string& lead = model.prompt.verdict_lead();
  std::vector<std::string> answers;
  for (const Verdict d : kVerdicts) answers.push_back(lead + " " + std::string(to_string(d)));
  const AnswerTokens labels = answer_tokens(model.encoder, tasks.front()->messages, answers);
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
    result.probabilities = shares_of(scores[i]);
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
  if (form.kind == FormKind::pair) return options;
  if (!form.of_pairs()) {
    if (options.both_orders)
      throw UsageError(
          fmt::format("both orders: the template's form is {}, and one answer has no orders",
                      to_string(form.kind)));
    options.second_order = false;
    return options;
  }
  if (mode_asked && options.mode == JudgeMode::reason)
    throw UsageError(
        "the template's form is rank, which scores each answer and writes no reason: leave out "
        "--mode reason");
  options.mode = JudgeMode::verdict;
  options.both_orders = false;
  return options;
}

std::optional<double> confidence(const JudgedPair& judged) {
  if (!judged.ratings.empty()) return confidence_of(judged.ratings);
  if (!judged.probabilities || judged.verdict == Verdict::none) return std::nullopt;
  return (*judged.probabilities)[static_cast<size_t>(judged.verdict)];
}

std::vector<JudgedPair> judge_pairs(const JudgeModel& model, std::span<const JudgePair> pairs,
                                    const JudgeOptions& options) {
  if (model.prompt.form().kind == FormKind::rank) return rank_pairs(model, pairs, options);
  if (!model.prompt.form().of_pairs()) return rate_answers(model, pairs, options);
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
  for (size_t i = 0; i < judged.size(); ++i) {
    JudgedPair& pair = judged[i];
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
      pair.probabilities = mapped(*pair.probabilities, options.map, size_of(pairs[i]));
  }
  return judged;
}

PairSize size_of(const JudgePair& pair) {
  const auto characters = [](const std::string& text) {
    return static_cast<int64_t>(unicode::count(text));
  };
  return {characters(pair.question), characters(pair.answer_a), characters(pair.answer_b)};
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
