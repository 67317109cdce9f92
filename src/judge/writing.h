// What a judge writes, and the log-probabilities of what it could have written. Internal to
// src/judge.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "judge/judge.h"

namespace gavel {

// Answers as continuations of the prompt of the messages: what all their tokens begin with (what
// the chat template has before an answer, too) goes to the prompt, the rest to the candidates. Each
// candidate keeps at least one token.
struct AnswerTokens {
  std::vector<int> shared;
  std::vector<std::vector<int>> candidates;
};
AnswerTokens answer_tokens(const TextEncoder& encoder, const std::vector<Message>& messages,
                           std::span<const std::string> answers);

// exp(x), normalized.
std::vector<double> softmax(std::span<const double> logprobs);

// A response: its bytes, with a thought's tags and without other special tokens.
struct WrittenText {
  Written written;
  std::string bytes;
  std::vector<size_t> ends;  // of each token in `bytes`
  bool thinking = false;     // the prompt ends inside a thought
  std::string text;          // as it is shown
  int64_t count() const { return static_cast<int64_t>(written.tokens.size()); }
};

// Greedy responses to the prompts. One ends, outside of a thought, with a line after which
// `is_complete` says of the text from the template's lead on that the verdict is there.
std::vector<WrittenText> write_judgements(
    const JudgeModel& model, std::vector<std::vector<int>> prompts, int max_tokens,
    const std::function<bool(std::string_view from_lead)>& is_complete);

// Log-probabilities of labels at the token in which the written one, `labels[chosen]`, begins (at
// this byte): its own, and those of the tokens that the others would have had in its place. A label
// that is not among the most likely tokens gets the least of them, which is more than it has.
// Nothing where two labels begin with one token.
std::optional<std::vector<double>> logprobs_at(const Tokenizer& tokenizer,
                                               const WrittenText& written, size_t begin,
                                               std::span<const std::string> labels, size_t chosen);

}  // namespace gavel
