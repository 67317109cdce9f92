#include "text/markup.h"

#include "text/unicode.h"

namespace gavel::markup {

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t i = 0; i < text.size();) {
    const auto [length, kind] = unicode::sequence_at(text, i);
    const char c = text[i];
    const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t';
    if (kind != unicode::Sequence::valid || control || c == '\x7f') {
      out += "\xEF\xBF\xBD";
      ++i;
      continue;
    }
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out.append(text.substr(i, length));
    i += length;
  }
  return out;
}

}  // namespace gavel::markup
