// Messages as a model's tokens: chat templates, and what of the text is not the model's to read as
// control tokens.
//
// The text of a judged pair (question, answers, reference, reason) is data: what looks like a
// special token in it is encoded as ordinary tokens, wherever a judge's prompt is made or learned
// from, while the chat template's and the judging template's own stay special. Plain chats are
// encoded as transformers and mlx_lm encode them, special tokens and all.
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "text/text_encoder.h"

namespace gavel {

// A record of judge data: it carries answer_a and answer_b, or question, answer and what was said
// of it (score, scores or pass).
bool is_judge_record(const nlohmann::ordered_json& record);

// The messages of a record (a JSON array of {role, content, ...}; content that is a list of text
// parts is joined) as encode_chat takes them. In judge data the pair's own fields are found in the
// contents and are literal there: where that makes a difference the contents are those of
// Tokenizer::mark_literal, and `marked` is set. Throws Error where messages are none, or a part is
// not text.
nlohmann::ordered_json checked_chat(const TextEncoder& encoder,
                                    const nlohmann::ordered_json& messages,
                                    const nlohmann::ordered_json& record, bool& marked);

// The ids of the chat template's text, as transformers' and mlx_lm's apply_chat_template(
// tokenize=True) give them, but for literal text. Where the template has no place for a system
// message, its text goes into the first turn of the user's. Throws Error where there is no
// template, and what the template raises.
std::vector<int> encode_chat(const TextEncoder& encoder, const nlohmann::ordered_json& messages,
                             const nlohmann::ordered_json& tools, bool add_generation_prompt,
                             bool marked);
std::vector<int> encode_chat(const TextEncoder& encoder, const std::vector<Message>& messages,
                             bool add_generation_prompt);

// A conversation whose last message is the assistant's: the tokens that encode_chat gives the
// messages before it with a generation prompt, and then those of the answer's turn, to its end (see
// data/chat_turn.h).
struct EncodedTurn {
  std::vector<int> prompt, answer;
  bool follows = false;  // the chat template renders the whole conversation as just this
};

// Nothing where the chat template does not tell where the answer begins.
std::optional<EncodedTurn> encode_turn(const TextEncoder& encoder,
                                       const nlohmann::ordered_json& messages,
                                       const nlohmann::ordered_json& tools, bool marked);

// The tokens that a model writes after encode_chat(messages, true) to say `answer`, up to its last
// character: with what the chat template has before an answer (a thought that the prompt opened is
// closed), or the bare answer's, after the end of such a thought, where the template does not tell.
std::vector<int> encode_answer(const TextEncoder& encoder, std::vector<Message> messages,
                               const std::string& answer);

// Two texts as answers to the messages: the prompt's tokens with those that both answers begin
// with, and of each the first in which they differ, which is what their odds are read at. Throws
// Error where one text's tokens begin the other's.
struct EncodedChoice {
  std::vector<int> tokens;
  std::array<int, 2> choice{};
};
EncodedChoice encode_choice(const TextEncoder& encoder, const nlohmann::ordered_json& messages,
                            const std::array<std::string, 2>& texts, bool marked);
EncodedChoice encode_choice(const TextEncoder& encoder, const std::vector<Message>& messages,
                            const std::array<std::string, 2>& texts);

}  // namespace gavel
