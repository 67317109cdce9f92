// Conversations as preference data writes them: lists of messages (OpenAI's or ShareGPT's names),
// Anthropic's one text with "\n\nHuman:" and "\n\nAssistant:", plain texts; and two of them made a
// question and two answers.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gavel {

struct Turn {
  std::string role, text;  // role: system, user or assistant
  bool operator==(const Turn&) const = default;
};
using Conversation = std::vector<Turn>;

// Whether the text is a dialogue as Anthropic's sets have it.
bool is_dialogue(std::string_view text);

// The turns of a value; a plain text is one turn of `role`. `json_in_text`: a text may be a list
// written as JSON. Throws RecordFault, naming `field`, for a value that holds no text, or something
// besides text (an image).
Conversation conversation_of(const nlohmann::ordered_json& value, const std::string& role,
                             bool json_in_text, const std::string& field);

// One text: a single turn as it is, several with "User: ", "Assistant: ", "System: " before them.
std::string as_text(Conversation turns);

struct TwoAnswers {
  std::string question, answer_a, answer_b;
};
// `a` and `b` are answers to `question`, or whole conversations, whose common beginning is the
// question then. `exchanges` > 0 leaves out what comes after so many turns of the user's.
TwoAnswers compare(const Conversation& question, Conversation a, Conversation b, int64_t exchanges);

}  // namespace gavel
