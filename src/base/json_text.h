// Writing a text as JSON. Without other parts of gavel, for the library that reads Arrow's files.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace gavel {

// Where the first byte from `at` on is that JSON escapes: a control character, '"' or '\\'; eight
// bytes at a time.
inline size_t next_escaped(std::string_view text, size_t at) {
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x80 * kOnes;
  // The high bit of a byte that is zero, and perhaps of one above it.
  const auto zeros = [](uint64_t word) { return (word - kOnes) & ~word & kHigh; };
  for (; text.size() - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    const uint64_t control = (word - 0x20 * kOnes) & ~word & kHigh;
    if ((control | zeros(word ^ '"' * kOnes) | zeros(word ^ '\\' * kOnes)) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) >= 0x20 && text[at] != '"' &&
         text[at] != '\\')
    ++at;
  return at;
}

// Appends a text as JSON; its bytes are UTF-8.
inline void append_json_text(std::string_view text, std::string& out) {
  out += '"';
  for (size_t plain = 0;;) {
    const size_t at = next_escaped(text, plain);
    out.append(text, plain, at - plain);
    if (at == text.size()) break;
    const auto c = static_cast<unsigned char>(text[at]);
    constexpr char kHex[] = "0123456789abcdef";
    constexpr std::string_view kNamed = "\b\f\n\r\t\"\\", kLetters = "bfnrt\"\\";
    if (const size_t named = kNamed.find(static_cast<char>(c)); named != std::string_view::npos)
      (out += '\\') += kLetters[named];
    else
      ((out += "\\u00") += kHex[c >> 4]) += kHex[c & 15];
    plain = at + 1;
  }
  out += '"';
}

}  // namespace gavel
