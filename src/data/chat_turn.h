// The answer of a conversation as inference meets it. generate, judge and serve render the messages
// before it with a generation prompt, and the model goes on from there. Many chat templates render
// the whole conversation otherwise (DeepSeek R1's opens a thought in the one and leaves it out of
// the other, Mistral's drops the system message), and training on that teaches what is never asked.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace gavel {

struct AnswerTurn {
  std::string text;      // what the model is to write after the prompt, to the end of its turn
  bool follows = false;  // the whole conversation is the prompt and then this text
};

// prompt: the messages before the last one, rendered with a generation prompt. whole: all messages,
// rendered without one. before, answer: the last two messages, the answer the assistant's.
//
// Where the whole conversation does not begin with the prompt, the answer's turn is what it has
// after the end of the prompt (from the message before the answer on). A thought that the prompt
// opens (it ends with "<think>", or another tag of text/thought.h) is continued with the answer's
// own, which is its content up to "</think>" or its reasoning_content, or is closed at once.
// Nothing where the prompt's end is not found. Throws Error where the prompt closes the thought and
// the answer has one.
std::optional<AnswerTurn> answer_turn(std::string_view prompt, std::string_view whole,
                                      const nlohmann::ordered_json& before,
                                      const nlohmann::ordered_json& answer);

}  // namespace gavel
