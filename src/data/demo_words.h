// Small work on words that making the demonstration's answers and checking its reasons share.
// Internal to the demo_* files.
#pragma once

#include <algorithm>
#include <cctype>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/demo_topics.h"

namespace gavel::demo {

inline constexpr std::string_view kNumbers[] = {"zero", "one",  "two", "three",
                                                "four", "five", "six"};

using Words = std::vector<std::string>;

inline std::string replaced(std::string_view pattern, std::string_view what,
                            std::string_view with) {
  std::string out(pattern);
  for (size_t at = 0; (at = out.find(what, at)) != std::string::npos; at += with.size())
    out.replace(at, what.size(), with);
  return out;
}

inline std::string filled(std::string_view pattern, const Fact& fact) {
  return replaced(replaced(pattern, "{k}", fact.key), "{v}", fact.value);
}

inline char upper(char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); }
inline char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

inline std::string capitalized(std::string_view text) {
  std::string out(text);
  if (!out.empty()) out[0] = upper(out[0]);
  return out;
}

inline std::string in_capitals(std::string text) {
  for (char& c : text) c = upper(c);
  return text;
}

inline Words split_words(std::string_view text) {
  Words words;
  for (size_t i = 0; i < text.size();) {
    const size_t end = std::min(text.find(' ', i), text.size());
    if (end > i) words.emplace_back(text.substr(i, end - i));
    i = end + 1;
  }
  return words;
}

inline std::string join(std::span<const std::string> words, std::string_view separator = " ") {
  std::string out;
  for (const auto& w : words) {
    if (!out.empty()) out += separator;
    out += w;
  }
  return out;
}

inline std::string in_small_letters(std::string text) {
  for (char& c : text) c = lower(c);
  return text;
}

// "airport" of "an airport".
inline std::string_view without_article(std::string_view text) {
  for (const std::string_view article : {"a ", "an ", "the "})
    if (text.starts_with(article)) return text.substr(article.size());
  return text;
}

// The topic's sentence, and with `extra` the second one too.
inline std::string topic_text(const Topic& topic, bool extra) {
  std::string text = capitalized(topic.name) + " " + std::string(topic.text) + ".";
  if (extra) text += " " + std::string(topic.extra);
  return text;
}

}  // namespace gavel::demo
