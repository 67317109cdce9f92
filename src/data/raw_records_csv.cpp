// Rows of CSV: the header, and cutting the file into rows.
#include <algorithm>

#include "base/error.h"
#include "data/csv.h"
#include "data/jsonl.h"
#include "data/raw_records.h"

namespace gavel {
namespace {

constexpr size_t kMaxHeader = size_t{1} << 20;

std::string_view without_return(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

void RecordReader::read_header() {
  const auto whole = [&] {
    skip_line_ends();
    return at_ < buffer_.size() && rest().find('\n') != std::string_view::npos &&
           end_of_csv_row(rest(), separator_) < rest().size();
  };
  while (!whole() && fill())
    if (rest().size() > kMaxHeader)
      fail("{}: the header has more than {} bytes: is this CSV?", source_.name(), kMaxHeader);
  if (at_ == buffer_.size()) fail("{} is empty: there are no records in it", source_.name());
  const size_t first_line = std::min(rest().find('\n'), rest().size());
  if (rest().starts_with("sep=") && without_return(rest().substr(0, first_line)).size() == 5) {
    drop(at_ + first_line);  // a spreadsheet's note of what the header shows
    return read_header();
  }
  size_t header_end = 0;
  bool open_quote = false;
  for (const char separator : std::string_view(separator_ == '\t' ? "\t,;|" : ",;\t|")) {
    const size_t end = end_of_csv_row(rest(), separator);
    open_quote = open_quote || end == std::string_view::npos;
    if (end == std::string_view::npos) continue;
    auto fields = split_csv_row(without_return(rest().substr(0, end)), separator);
    if (fields.size() <= header_.size()) continue;
    header_ = std::move(fields);
    separator_ = separator;
    header_end = end;
  }
  if (open_quote && header_.size() <= 1)
    fail("{}: bad CSV: a quote is not closed", file_line(source_.name(), line_));
  std::set<std::string> names;
  for (const std::string& name : header_)
    if (!name.empty() && !names.insert(name).second)
      fail("{}: the column \"{}\" is there twice", file_line(source_.name(), line_), name);
  drop(at_ + header_end);
}

void RecordReader::match_header(const std::set<std::string>& names) {
  const std::set<std::string> there(header_.begin(), header_.end());
  for (std::string& column : header_) {
    std::string plain;
    for (const char c : column) {
      if (c == ' ' || c == '-')
        plain += '_';
      else
        plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    while (plain.starts_with('_')) plain.erase(0, 1);
    while (plain.ends_with('_')) plain.pop_back();
    if (!names.contains(column) && names.contains(plain) && !there.contains(plain)) column = plain;
  }
  for (size_t i = 0; i < header_.size(); ++i)
    if (!header_[i].empty() &&
        std::find(header_.begin(), header_.begin() + static_cast<ptrdiff_t>(i), header_[i]) !=
            header_.begin() + static_cast<ptrdiff_t>(i))
      fail("{}: two columns are called \"{}\", but for case and blanks", source_.name(),
           header_[i]);
}

RecordReader::Cut RecordReader::cut_row(RawRecord& record) {
  // Rows of separators alone, as spreadsheets write below their data, are blank.
  const std::string blank{' ', '\t', '\r', separator_};
  size_t line_end = 0;
  for (;;) {
    skip_line_ends();
    if (at_ == buffer_.size()) return ended_ ? Cut::end : Cut::more;
    record.line = line_;
    line_end = rest().find('\n');
    if (line_end == std::string_view::npos) {
      if (!ended_) return rest().size() > max_record_bytes_ ? Cut::too_long : Cut::more;
      line_end = rest().size();
    }
    if (rest().substr(0, line_end).find_first_not_of(blank) != std::string_view::npos) break;
    drop(at_ + line_end);
  }
  size_t end = end_of_csv_row(rest(), separator_);
  if (end >= rest().size() && !ended_ && rest().size() - line_end <= max_record_bytes_)
    return Cut::more;
  if (end != std::string_view::npos) record.text = without_return(rest().substr(0, end));
  // A quote that was opened and never closed runs to the end, or to the next one: then this line
  // alone is given up.
  if (end == std::string_view::npos ||
      (end > line_end && csv_values(record.text).size() != header_.size())) {
    record.fault = {"bad CSV", "a quote is not closed"};
    record.text = {};
    end = line_end;
  }
  drop(at_ + end);
  return Cut::record;
}

std::vector<std::string> RecordReader::csv_values(std::string_view row) const {
  try {
    return split_csv_row(row, separator_, header_.size());
  } catch (const Error& e) {
    throw RecordFault{"bad CSV", e.what()};
  }
}

}  // namespace gavel
