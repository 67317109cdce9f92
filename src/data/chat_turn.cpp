#include "data/chat_turn.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/blanks.h"
#include "base/error.h"
#include "text/thought.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

std::string text_at(const Json& message, const char* key) {
  const auto it = message.find(key);
  return it != message.end() && it->is_string() ? it->get<std::string>() : "";
}

// An answer's content: its thought and what it says after it.
struct Content {
  std::string thought, said;
};

// A text cut where its last thought ends, without the tags; all of it is said where there is none.
Content cut_thought(std::string_view text) {
  const ThoughtEnd end = last_thought_end(text);
  if (end.tags == nullptr) return {"", std::string(text)};
  std::string_view thought = trim_left(text.substr(0, end.at));
  if (thought.starts_with(end.tags->open)) thought.remove_prefix(end.tags->open.size());
  return {std::string(thought), std::string(text.substr(end.at + end.tags->close.size()))};
}

Content content_of(const Json& answer) {
  Content out = cut_thought(text_at(answer, "content"));
  if (std::string own = text_at(answer, "reasoning_content"); !own.empty())
    out.thought = std::move(own);
  return out;
}

// What a generation prompt says of a thought, and the prompt before that.
struct Thought {
  enum { none, opened, closed } kind = none;
  std::string_view base;
  const ThoughtTags* tags = nullptr;
};

Thought thought_at_end(std::string_view prompt) {
  const std::string_view text = trim_right(prompt);
  for (const ThoughtTags& tags : thought_tags()) {
    if (text.ends_with(tags.open))
      return {Thought::opened, text.substr(0, text.size() - tags.open.size()), &tags};
    if (!text.ends_with(tags.close)) continue;
    std::string_view rest = text.substr(0, text.size() - tags.close.size());
    const std::string_view inner = trim_right(rest);
    if (inner.ends_with(tags.open)) rest = inner.substr(0, inner.size() - tags.open.size());
    return {Thought::closed, rest, &tags};
  }
  return {Thought::none, prompt};
}

// What `whole` has after the messages that `prompt` ends with. Where it does not begin with all of
// the prompt, the prompt from its last message on is looked for, just before the answer's words.
std::optional<std::string> after(std::string_view prompt, std::string_view whole,
                                 const Json& before, const std::string& said) {
  if (whole.starts_with(prompt)) return std::string(whole.substr(prompt.size()));
  const std::string content = text_at(before, "content");
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

// Goes on with a thought that is open at the prompt's end, closes it, and says what follows it.
std::string with_thought(std::string_view prompt, const ThoughtTags& tags, const Content& content) {
  std::string out = kBlanks.find(prompt.back()) == std::string_view::npos ? "\n" : "";
  out.append(trimmed(content.thought)).append("\n").append(tags.close);
  if (trim_left(content.said) == content.said) out += "\n\n";
  return out.append(content.said);
}

}  // namespace

std::optional<AnswerTurn> answer_turn(std::string_view prompt, std::string_view whole,
                                      const Json& before, const Json& answer) {
  if (whole.starts_with(prompt)) return AnswerTurn{std::string(whole.substr(prompt.size())), true};
  const Thought end = thought_at_end(prompt);
  const Content content = content_of(answer);
  auto text = after(end.base, whole, before, text_at(answer, "content"));
  if (!text) text = after(end.base, whole, before, content.said);
  if (!text) return std::nullopt;
  if (end.kind == Thought::none) return AnswerTurn{*text};
  // Most templates leave the thought out of a whole conversation; this one may have kept it.
  const bool kept = last_thought_end(*text).tags != nullptr;
  Content turn = cut_thought(*text);
  if (end.kind == Thought::opened) {
    if (!kept) turn.thought = content.thought;
    return AnswerTurn{with_thought(prompt, *end.tags, turn)};
  }
  if (!trim_left(content.thought).empty())
    fail(
        "the answer has a thought, and the chat template's prompt closes the thought before the "
        "model writes: take what is up to \"{}\" out of the answer",
        end.tags->close);
  return AnswerTurn{std::string(kept ? trim_left(turn.said) : *text)};
}

}  // namespace gavel
