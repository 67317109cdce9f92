#include "data/csv.h"

#include "base/error.h"

namespace gavel {

size_t end_of_csv_row(std::string_view text, char separator) {
  bool quoted = false, field_start = true;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted) {
      if (text[i] != '"') continue;
      if (i + 1 < text.size() && text[i + 1] == '"')
        ++i;
      else
        quoted = false;
      continue;
    }
    if (text[i] == '\n') return i;
    quoted = field_start && text[i] == '"';
    field_start = text[i] == separator;
  }
  return quoted ? std::string_view::npos : text.size();
}

std::vector<std::string> split_csv_row(std::string_view row, char separator, size_t most) {
  std::vector<std::string> fields(1);
  for (size_t i = 0; i < row.size() && fields.size() <= most;) {
    if (row[i] == '"' && fields.back().empty()) {
      for (++i;; ++i) {
        if (i >= row.size()) fail("a quote is not closed");
        if (row[i] == '"' && i + 1 < row.size() && row[i + 1] == '"')
          ++i;
        else if (row[i] == '"')
          break;
        fields.back() += row[i];
      }
      ++i;
    } else if (row[i] == separator) {
      fields.emplace_back();
      ++i;
    } else {
      fields.back() += row[i++];
    }
  }
  return fields;
}

}  // namespace gavel
