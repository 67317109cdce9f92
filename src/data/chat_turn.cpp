#include "data/chat_turn.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/blanks.h"
#include "base/error.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kOpen = "<think>", kClose = "</think>";

std::string text_field(const Json& message, const char* key) {
  const auto it = message.find(key);
  return it != message.end() && it->is_string() ? it->get<std::string>() : "";
}

// An answer's content: its thought and what it says after it.
struct Content {
  std::string thought, said;
};

Content content_of(const Json& answer) {
  Content out{text_field(answer, "reasoning_content"), text_field(answer, "content")};
  const size_t close = out.said.rfind(kClose);
  if (close == std::string::npos) return out;
  std::string_view thought = trim_left(std::string_view(out.said).substr(0, close));
  if (thought.starts_with(kOpen)) thought.remove_prefix(kOpen.size());
  if (out.thought.empty()) out.thought = thought;
  out.said.erase(0, close + kClose.size());
  return out;
}

// What a generation prompt says of a thought, and the prompt before that.
struct Thought {
  enum { none, opened, closed } kind = none;
  std::string_view base;
};

Thought thought_at_end(std::string_view prompt) {
  std::string_view rest = trim_right(prompt);
  if (rest.ends_with(kOpen)) return {Thought::opened, rest.substr(0, rest.size() - kOpen.size())};
  if (!rest.ends_with(kClose)) return {Thought::none, prompt};
  rest.remove_suffix(kClose.size());
  const std::string_view inner = trim_right(rest);
  if (inner.ends_with(kOpen)) rest = inner.substr(0, inner.size() - kOpen.size());
  return {Thought::closed, rest};
}

// What `whole` has after the messages that `prompt` ends with. Where it does not begin with all of
// the prompt, the prompt from its last message on is looked for, just before the answer's words.
std::optional<std::string> after(std::string_view prompt, std::string_view whole,
                                 const Json& before, const std::string& said) {
  if (whole.starts_with(prompt)) return std::string(whole.substr(prompt.size()));
  const std::string content = text_field(before, "content");
  const std::string_view last = trimmed(content), words = trimmed(said);
  const size_t begin = last.empty() ? std::string_view::npos : prompt.rfind(last);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::string_view end = prompt.substr(begin);
  for (size_t at = whole.rfind(end); at != std::string_view::npos;
       at = at == 0 ? std::string_view::npos : whole.rfind(end, at - 1)) {
    const std::string_view rest = whole.substr(at + end.size());
    if (trim_left(rest).starts_with(words)) return std::string(rest);
  }
  return std::nullopt;
}

// Goes on with a thought that is open at the prompt's end, closes it, and says `text`.
std::string with_thought(std::string_view prompt, std::string_view thought, std::string_view text) {
  std::string out = kBlanks.find(prompt.back()) == std::string_view::npos ? "\n" : "";
  out.append(trimmed(thought)).append("\n").append(kClose);
  if (trim_left(text) == text) out += "\n\n";
  return out.append(text);
}

}  // namespace

std::optional<AnswerTurn> answer_turn(std::string_view prompt, std::string_view whole,
                                      const Json& before, const Json& answer) {
  if (whole.starts_with(prompt)) return AnswerTurn{std::string(whole.substr(prompt.size())), true};
  const Thought end = thought_at_end(prompt);
  const Content content = content_of(answer);
  auto text = after(end.base, whole, before, text_field(answer, "content"));
  if (!text) text = after(end.base, whole, before, content.said);
  if (!text) return std::nullopt;
  if (end.kind == Thought::none) return AnswerTurn{*text};
  // Most templates leave the thought out of a whole conversation; this one may have kept it.
  const size_t close = text->rfind(kClose);
  const bool kept = close != std::string::npos;
  if (end.kind == Thought::opened) {
    if (!kept) return AnswerTurn{with_thought(prompt, content.thought, *text)};
    std::string_view thought = trim_left(std::string_view(*text).substr(0, close));
    if (thought.starts_with(kOpen)) thought.remove_prefix(kOpen.size());
    return AnswerTurn{with_thought(prompt, thought, text->substr(close + kClose.size()))};
  }
  if (!trim_left(content.thought).empty())
    fail(
        "the answer has a thought, and the chat template's prompt closes the thought before the "
        "model writes: take what is up to \"</think>\" out of the answer");
  return AnswerTurn{std::string(kept ? trim_left(text->substr(close + kClose.size())) : *text)};
}

}  // namespace gavel
