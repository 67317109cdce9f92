#include "judge/rate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"
#include "judge/answer_verdict.h"
#include "judge/writing.h"

namespace gavel {
namespace {

// One row that is asked about.
struct Row {
  std::vector<Message> messages;
  std::vector<int> prompt;
  std::string said;  // in mode `verdict`: the labels so far, behind the lead
};

void set_labels(const JudgePair& row, const std::vector<RatedPart>& parts, JudgedPair& judged) {
  for (const RatedPart& part : parts) {
    Rating rating{part.low, part.high(), {}, {}, {}};
    if (!part.numbers && row.pass) rating.label = *row.pass ? 1 : 0;
    for (const auto& [name, value] : row.scores)
      if (part.numbers && name == part.name) rating.label = static_cast<int>(std::lround(value));
    judged.ratings.push_back(std::move(rating));
  }
}

void write_reasons(const JudgeModel& model, const std::vector<RatedPart>& parts,
                   std::span<const Row> rows, const JudgeOptions& options,
                   std::span<JudgedPair* const> judged) {
  const std::string& lead = model.prompt.verdict_lead();
  std::vector<std::vector<int>> prompts;
  for (const Row& row : rows) prompts.push_back(row.prompt);
  const auto texts = write_judgements(
      model, std::move(prompts), options.max_tokens,
      [&](std::string_view text) { return parse_ratings(text, parts, lead).complete(); });
  for (size_t i = 0; i < rows.size(); ++i) {
    const WrittenText& written = texts[i];
    JudgedPair& out = *judged[i];
    out.first.text = written.text;
    out.first.tokens = written.count();
    out.first.seconds = written.written.seconds;
    const ParsedRatings parsed = parse_ratings(written.bytes, parts, lead, written.thinking);
    for (size_t k = 0; k < parts.size(); ++k) {
      Rating& rating = out.ratings[k];
      rating.value = parsed.values[k];
      if (!rating.value) continue;
      const auto logprobs =
          logprobs_at(model.encoder.tokenizer, written, parsed.begins[k], parts[k].texts,
                      static_cast<size_t>(*rating.value - parts[k].low));
      if (logprobs) rating.probabilities = mapped(softmax(*logprobs), options.map);
    }
  }
}

// One part of all rows. The values' tokens depend on what stands before them alone.
void score_part(const JudgeModel& model, const RatedPart& part, size_t place, bool named,
                std::span<Row> rows, const JudgeOptions& options,
                std::span<JudgedPair* const> judged) {
  std::map<std::string, AnswerTokens> tokens;
  std::vector<ScoreRequest> requests;
  std::vector<const AnswerTokens*> asked;
  for (Row& row : rows) {
    if (named) row.said += fmt::format("{}{}: ", row.said.empty() ? "" : "\n", part.name);
    const auto [it, fresh] = tokens.try_emplace(row.said);
    if (fresh) {
      std::vector<std::string> answers;
      for (const std::string& text : part.texts)
        answers.push_back(model.prompt.verdict_text(row.said + text));
      it->second = answer_tokens(model.encoder, rows[0].messages, answers);
    }
    asked.push_back(&it->second);
    ScoreRequest request{row.prompt, it->second.candidates};
    request.prompt.insert(request.prompt.end(), it->second.shared.begin(), it->second.shared.end());
    requests.push_back(std::move(request));
  }
  const auto scores = model.score(requests);
  for (size_t i = 0; i < rows.size(); ++i) {
    JudgedPair& out = *judged[i];
    const bool finite =
        scores[i].size() == part.texts.size() &&
        std::all_of(scores[i].begin(), scores[i].end(), [](double s) { return std::isfinite(s); });
    if (!finite) {
      out.first.problem = "the model's probabilities of the values are not finite";
      continue;
    }
    Rating& rating = out.ratings[place];
    auto p = candidate_probabilities(asked[i]->candidates, scores[i]);
    // A map may say that the most probable value is rather wrong; it is said all the same.
    rating.value = part.low + static_cast<int>(std::max_element(p.begin(), p.end()) - p.begin());
    rating.probabilities = mapped(std::move(p), options.map);
    rows[i].said += part.text_of(*rating.value);
    out.first.text = model.prompt.verdict_text(rows[i].said);
  }
}

void score_values(const JudgeModel& model, const std::vector<RatedPart>& parts,
                  std::vector<Row>& rows, const JudgeOptions& options,
                  std::span<JudgedPair* const> judged) {
  const auto start = std::chrono::steady_clock::now();
  const bool named = model.prompt.form().kind == FormKind::criteria;
  for (size_t k = 0; k < parts.size(); ++k)
    score_part(model, parts[k], k, named, rows, options, judged);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (JudgedPair* out : judged) out->first.seconds = seconds;  // all came back together
}

}  // namespace

std::vector<double> candidate_probabilities(std::span<const std::vector<int>> candidates,
                                            std::span<const double> logprobs) {
  std::vector<size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return candidates[a].size() > candidates[b].size(); });
  std::vector<double> p(logprobs.size());
  const double top = *std::max_element(logprobs.begin(), logprobs.end());
  double sum = 0;
  for (size_t n = 0; n < order.size(); ++n) {
    const auto& mine = candidates[order[n]];
    double mass = std::exp(logprobs[order[n]] - top);
    for (size_t m = 0; m < n; ++m) {
      const auto& other = candidates[order[m]];
      if (other.size() > mine.size() && std::equal(mine.begin(), mine.end(), other.begin()))
        mass -= p[order[m]];
    }
    sum += p[order[n]] = std::max(mass, 0.0);
  }
  for (double& x : p) x /= sum;
  return p;
}

std::vector<JudgedPair> rate_answers(const JudgeModel& model, std::span<const JudgePair> rows,
                                     const JudgeOptions& options) {
  const auto parts = rated_parts(model.prompt.form());
  std::vector<JudgedPair> judged(rows.size());
  std::vector<Row> asked;
  std::vector<JudgedPair*> of;
  for (size_t i = 0; i < rows.size(); ++i) {
    set_labels(rows[i], parts, judged[i]);
    Row row{model.prompt.to_messages(rows[i]), {}, {}};
    row.prompt = encode_chat(model.encoder, row.messages, true);
    OrderResult& result = judged[i].first;
    result.prompt = model.encoder.tokenizer.decode(row.prompt);
    const auto length = static_cast<int64_t>(row.prompt.size());
    if (model.max_prompt_tokens > 0 && length > model.max_prompt_tokens) {
      result.problem = fmt::format("the prompt has {} tokens, the model takes {}", length,
                                   model.max_prompt_tokens);
      continue;
    }
    asked.push_back(std::move(row));
    of.push_back(&judged[i]);
  }
  if (asked.empty()) return judged;
  if (options.mode == JudgeMode::reason)
    write_reasons(model, parts, asked, options, of);
  else
    score_values(model, parts, asked, options, of);
  return judged;
}

}  // namespace gavel
