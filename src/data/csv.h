// Rows of CSV within a text.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace gavel {

// The end of the CSV row that `text` begins with (its line end, or the text's), where a quote
// counts at a field's start only; npos where it is not closed.
size_t end_of_csv_row(std::string_view text, char separator);

// The fields of one CSV row (RFC 4180: quotes around, doubled within), up to one more than `most`.
// Throws Error for a quote that is not closed.
std::vector<std::string> split_csv_row(std::string_view row, char separator,
                                       size_t most = std::numeric_limits<size_t>::max());

}  // namespace gavel
