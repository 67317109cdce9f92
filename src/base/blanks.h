// White space around a text: blanks, tabs and ends of lines.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

namespace gavel {

inline constexpr std::string_view kBlanks = " \t\r\n";

inline std::string_view trim_left(std::string_view text) {
  return text.substr(std::min(text.size(), text.find_first_not_of(kBlanks)));
}

inline std::string_view trim_right(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);  // npos + 1: nothing is left
}

inline std::string_view trimmed(std::string_view text) { return trim_left(trim_right(text)); }

// What stands between separators, empty pieces too: one more than there are separators.
inline std::vector<std::string_view> trimmed_pieces(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    pieces.push_back(trimmed(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return pieces;
}

}  // namespace gavel
