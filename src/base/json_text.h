// Writing a text as JSON. Without other parts of gavel, for the library that reads Arrow's files.
#pragma once

#include <string>
#include <string_view>

namespace gavel {

// Appends a text as JSON; its bytes are UTF-8.
inline void append_json_text(std::string_view text, std::string& out) {
  out += '"';
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    constexpr char kHex[] = "0123456789abcdef";
    constexpr std::string_view kNamed = "\b\f\n\r\t\"\\", kLetters = "bfnrt\"\\";
    if (const size_t named = kNamed.find(static_cast<char>(c)); named != std::string_view::npos)
      (out += '\\') += kLetters[named];
    else
      ((out += "\\u00") += kHex[c >> 4]) += kHex[c & 15];
  }
  out.append(text, plain);
  out += '"';
}

}  // namespace gavel
