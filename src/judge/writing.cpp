#include "judge/writing.h"

#include <algorithm>
#include <cmath>

#include "text/thought.h"

namespace gavel {
namespace {

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

using IsComplete = std::function<bool(std::string_view)>;

// Ends a response once its verdict is complete, but never inside a thought: what follows is not
// needed.
class StopAfterVerdict {
 public:
  StopAfterVerdict(const JudgeModel& model, std::vector<bool> thinking,
                   const IsComplete& is_complete)
      : tokenizer_(model.encoder.tokenizer),
        lead_(model.prompt.verdict_lead()),
        thinking_(std::move(thinking)),
        is_complete_(is_complete) {
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
    return !is_complete_(std::string_view(text).substr(lead));
  }

 private:
  const Tokenizer& tokenizer_;
  const std::string& lead_;
  std::vector<bool> thinking_;
  const IsComplete& is_complete_;
  std::vector<std::string> texts_;
};

}  // namespace

AnswerTokens answer_tokens(const TextEncoder& encoder, const std::vector<Message>& messages,
                           std::span<const std::string> answers) {
  AnswerTokens result;
  size_t least = SIZE_MAX;
  for (const std::string& answer : answers) {
    result.candidates.push_back(encode_answer(encoder, messages, answer));
    least = std::min(least, result.candidates.back().size());
  }
  auto& c = result.candidates;
  size_t shared = 0;
  const auto same = [&] {
    return std::all_of(c.begin(), c.end(),
                       [&](const auto& tokens) { return tokens[shared] == c[0][shared]; });
  };
  while (shared + 1 < least && same()) ++shared;
  const auto end = static_cast<std::ptrdiff_t>(shared);
  result.shared.assign(c[0].begin(), c[0].begin() + end);
  for (auto& tokens : c) tokens.erase(tokens.begin(), tokens.begin() + end);
  return result;
}

std::vector<double> softmax(std::span<const double> logprobs) {
  const double top = *std::max_element(logprobs.begin(), logprobs.end());
  std::vector<double> p;
  double sum = 0;
  for (const double x : logprobs) sum += p.emplace_back(std::exp(x - top));
  for (double& x : p) x /= sum;
  return p;
}

std::vector<WrittenText> write_judgements(const JudgeModel& model,
                                          std::vector<std::vector<int>> prompts, int max_tokens,
                                          const IsComplete& is_complete) {
  const Tokenizer& tokenizer = model.encoder.tokenizer;
  std::vector<bool> thinking;
  for (const auto& prompt : prompts) thinking.push_back(begins_thought(tokenizer, prompt));
  StopAfterVerdict stop(model, thinking, is_complete);
  auto responses = model.write(std::move(prompts), max_tokens,
                               [&](size_t i, int token) { return stop(i, token); });
  std::vector<WrittenText> texts;
  for (size_t i = 0; i < responses.size(); ++i) {
    WrittenText& out = texts.emplace_back();
    out.written = std::move(responses[i]);
    out.thinking = thinking[i];
    for (const int token : out.written.tokens) {
      out.bytes += bytes_of(tokenizer, token);
      out.ends.push_back(out.bytes.size());
    }
    out.text = tokenizer.decode(out.written.tokens, true);
  }
  return texts;
}

std::optional<std::vector<double>> logprobs_at(const Tokenizer& tokenizer,
                                               const WrittenText& written, size_t begin,
                                               std::span<const std::string> labels, size_t chosen) {
  const auto& ends = written.ends;
  const auto at =
      static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), begin) - ends.begin());
  if (at >= written.written.logprobs.size()) return std::nullopt;
  const TokenLogprobs& here = written.written.logprobs[at];
  if (here.top.empty()) return std::nullopt;
  const size_t token_begin = at == 0 ? 0 : ends[at - 1];
  const std::string before = written.bytes.substr(token_begin, begin - token_begin);
  std::vector<int> ids;
  std::vector<double> logprobs;
  for (size_t k = 0; k < labels.size(); ++k) {
    const auto tokens = tokenizer.encode_within(before + labels[k]);
    if (tokens.empty()) return std::nullopt;
    ids.push_back(k == chosen ? written.written.tokens[at] : tokens[0]);
    const auto it = std::find_if(here.top.begin(), here.top.end(),
                                 [&](const auto& t) { return t.first == ids[k]; });
    logprobs.push_back(it != here.top.end() ? it->second : here.top.back().second);
    if (k == chosen) logprobs.back() = here.chosen;
  }
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) return std::nullopt;
  return logprobs;
}

}  // namespace gavel
