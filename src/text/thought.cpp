#include "text/thought.h"

#include <algorithm>

#include "base/blanks.h"

namespace gavel {
namespace {

constexpr ThoughtTags kTags[] = {
    {"<think>", "</think>"},        // DeepSeek-R1, Qwen3, QwQ
    {"<thinking>", "</thinking>"},  // as prompts ask for it
    {"<thought>", "</thought>"},
    {"[THINK]", "[/THINK]"},  // Magistral
    {"<|begin_of_thought|>", "<|end_of_thought|>"},
    {"<seed:think>", "</seed:think>"},
    {"\u25c1think\u25b7", "\u25c1/think\u25b7"},  // Kimi
    {"<|START_THINKING|>", "<|END_THINKING|>"},   // Command
    {"<|channel|>analysis", "<|channel|>final<|message|>"},
};

// A thought begins at the start of a line; elsewhere the tag is being spoken of.
bool begins_line(std::string_view text, size_t at) {
  while (at > 0 && (text[at - 1] == ' ' || text[at - 1] == '\t' || text[at - 1] == '\r')) --at;
  return at == 0 || text[at - 1] == '\n';
}

}  // namespace

std::span<const ThoughtTags> thought_tags() { return kTags; }

ThoughtEnd last_thought_end(std::string_view text) {
  ThoughtEnd end;
  for (const ThoughtTags& tags : kTags)
    if (const size_t at = text.rfind(tags.close);
        at != std::string_view::npos && (end.tags == nullptr || at > end.at))
      end = {at, &tags};
  return end;
}

std::optional<size_t> after_thought(std::string_view text, bool thinking) {
  const ThoughtEnd end = last_thought_end(text);
  const size_t begin = end.tags == nullptr ? 0 : end.at + end.tags->close.size();
  if (begin == 0 && thinking) return std::nullopt;
  const std::string_view rest = text.substr(begin);
  for (const ThoughtTags& tags : kTags)
    for (size_t at = rest.find(tags.open); at != std::string_view::npos;
         at = rest.find(tags.open, at + 1))
      if (begins_line(rest, at)) return std::nullopt;
  return begin;
}

std::string_view open_thought(std::string_view prompt) {
  const std::string_view text = trim_right(prompt);
  for (const ThoughtTags& tags : kTags)
    if (text.ends_with(tags.open)) return tags.close;
  return {};
}

bool is_thought_tag(std::string_view text) {
  return std::any_of(std::begin(kTags), std::end(kTags),
                     [&](const ThoughtTags& t) { return text == t.open || text == t.close; });
}

}  // namespace gavel
