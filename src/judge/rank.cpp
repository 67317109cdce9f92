#include "judge/rank.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "judge/logistic.h"
#include "judge/search.h"

namespace gavel {
namespace {

// One answer to be scored.
struct Answer {
  std::vector<int> tokens;
  std::array<int, 2> choice{};
  std::string prompt, problem;
  double score = 0;
};

Answer make_answer(const JudgeModel& model, const JudgePair& pair, Verdict which,
                   const std::array<std::string, 2>& texts) {
  EncodedChoice encoded =
      encode_choice(model.encoder, model.prompt.to_messages(answer_alone(pair, which)), texts);
  Answer answer{std::move(encoded.tokens), encoded.choice, {}, {}};
  answer.prompt = model.encoder.tokenizer.decode(answer.tokens);
  const auto length = static_cast<int64_t>(answer.tokens.size());
  if (model.max_prompt_tokens > 0 && length > model.max_prompt_tokens)
    answer.problem = fmt::format("the prompt of answer {} has {} tokens, the model takes {}",
                                 to_string(which), length, model.max_prompt_tokens);
  return answer;
}

void score_answers(const JudgeModel& model, std::vector<Answer>& answers) {
  std::vector<ScoreRequest> requests;
  std::vector<Answer*> asked;
  for (Answer& answer : answers) {
    if (!answer.problem.empty()) continue;
    asked.push_back(&answer);
    requests.push_back({answer.tokens, {{answer.choice[0]}, {answer.choice[1]}}});
  }
  if (asked.empty()) return;
  const auto scores = model.score(requests);
  for (size_t i = 0; i < asked.size(); ++i) {
    asked[i]->score = scores[i].size() == 2 ? scores[i][0] - scores[i][1] : std::nan("");
    if (!std::isfinite(asked[i]->score))
      asked[i]->problem = "the model's probabilities of the words are not finite";
  }
}

JudgedPair judged_pair(const JudgePair& pair, const Answer& a, const Answer& b, double seconds,
                       const JudgeOptions& options) {
  JudgedPair out;
  out.first.prompt = a.prompt;
  out.first.seconds = seconds;
  out.first.problem = a.problem.empty() ? b.problem : a.problem;
  if (out.first.problem.empty()) {
    out.scores = {a.score, b.score};
    out.first.text = fmt::format("Score of A: {:.3f}, of B: {:.3f}", a.score, b.score);
    const Probabilities p =
        rank_probabilities((a.score - b.score) / options.map.temperature, options.map.tie_band);
    out.first.verdict = most_probable(p);
    out.first.probabilities = with_confidence(p, options.map, size_of(pair));
  }
  out.verdict = out.first.verdict;
  out.probabilities = out.first.probabilities;
  if (options.second_order || options.both_orders) out.second = out.first;
  return out;
}

}  // namespace

Probabilities rank_probabilities(double difference, double tie_band) {
  const double a = sigmoid(difference - tie_band), b = sigmoid(-difference - tie_band);
  return {a, b, std::max(0.0, 1 - a - b)};
}

RankFit fit_ranks(std::span<const Judgement> judgements) {
  constexpr double kLeast = 1e-12;  // of a probability
  bool ties = false;
  for (const Judgement& j : judgements) ties |= j.label == Verdict::tie;
  const auto nll = [&](double log_t, double band) {
    double sum = 0;
    for (const Judgement& j : judgements) {
      if (!j.scores) continue;
      const double d = ((*j.scores)[0] - (*j.scores)[1]) / std::exp(log_t);
      sum -= std::log(std::max(rank_probabilities(d, band)[static_cast<size_t>(j.label)], kLeast));
    }
    return sum;
  };
  const auto best_band = [&](double log_t) {
    return ties ? golden_section(0, 10, [&](double band) { return nll(log_t, band); }) : 0.0;
  };
  const double log_t = golden_section(std::log(0.05), std::log(20.0),
                                      [&](double t) { return nll(t, best_band(t)); });
  return {std::exp(log_t), best_band(log_t)};
}

std::vector<JudgedPair> rank_pairs(const JudgeModel& model, std::span<const JudgePair> pairs,
                                   const JudgeOptions& options) {
  const auto texts = model.prompt.scored_texts();
  std::vector<Answer> answers;
  for (const JudgePair& pair : pairs)
    for (const Verdict which : {Verdict::a, Verdict::b})
      answers.push_back(make_answer(model, pair, which, texts));
  const auto start = std::chrono::steady_clock::now();
  score_answers(model, answers);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::vector<JudgedPair> judged;
  for (size_t i = 0; i < pairs.size(); ++i)
    judged.push_back(judged_pair(pairs[i], answers[2 * i], answers[2 * i + 1], seconds, options));
  return judged;
}

}  // namespace gavel
