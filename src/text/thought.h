// What a reasoning model thinks before it answers: "<think>...</think>" and the like.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace gavel {

struct ThoughtTags {
  std::string_view open, close;
};
// Those that are known.
std::span<const ThoughtTags> thought_tags();

// The last tag that ends a thought in `text`; no tags where there is none.
struct ThoughtEnd {
  size_t at = 0;  // where the tag begins
  const ThoughtTags* tags = nullptr;
};
ThoughtEnd last_thought_end(std::string_view text);

// Where the answer begins in `text`: behind the last tag that ends a thought, else at 0. Nothing
// where a thought is still open. `thinking`: the prompt has already begun a thought, as the chat
// templates of some reasoning models do.
std::optional<size_t> after_thought(std::string_view text, bool thinking = false);

// The tag that would end the thought that `prompt` ends with ("</think>"); empty where it ends with
// none.
std::string_view open_thought(std::string_view prompt);

// Whether a token's text begins or ends a thought.
bool is_thought_tag(std::string_view text);

}  // namespace gavel
