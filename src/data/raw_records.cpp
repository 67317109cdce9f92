#include "data/raw_records.h"

#include <algorithm>

#include "base/error.h"
#include "data/jsonl.h"

namespace gavel {
namespace {

constexpr size_t kReleaseEvery = size_t{8} << 20;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The end of the JSON value that starts at `begin` (one past its last character), by its brackets
// and strings alone; npos where the text ends before it does.
size_t end_of_value(std::string_view text, size_t begin) {
  int64_t depth = 0;
  bool in_string = false;
  for (size_t i = begin; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (depth == 0) return i;  // the end of the enclosing array
      if (--depth == 0) return i + 1;
    }
    if (c == ',' && depth == 0) return i;
  }
  return std::string_view::npos;
}

// The end of the CSV row that starts at `begin` (its line end, or the text's), where a quote counts
// at a field's start only; npos where it is not closed within `limit` bytes.
size_t end_of_row(std::string_view text, size_t begin, char separator, size_t limit) {
  bool quoted = false, field_start = true;
  for (size_t i = begin; i < text.size(); ++i) {
    if (quoted) {
      if (i - begin > limit) return std::string_view::npos;
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

}  // namespace

std::vector<std::string> split_csv_row(std::string_view row, char separator) {
  std::vector<std::string> fields(1);
  for (size_t i = 0; i < row.size();) {
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

RecordReader::RecordReader(const std::filesystem::path& path, size_t max_record_bytes)
    : file_(path), max_record_bytes_(max_record_bytes) {
  text_ = {reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size()};
  if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  const std::string extension = path.extension().string();
  if (extension == ".csv" || extension == ".tsv") {
    layout_ = FileLayout::csv;
    separator_ = extension == ".tsv" ? '\t' : ',';
    RawRecord header;
    if (!next_row(header)) fail("{} is empty", path.string());
    if (!header.error.empty()) fail("{}: {}", file_line(path, header.line), header.error);
    header_ = split_csv_row(header.text, separator_);
    return;
  }
  skip_blank();
  if (at_ == text_.size()) fail("{} is empty", path.string());
  if (text_[at_] == '[') {
    layout_ = FileLayout::json_array;
    ++at_;
  }
}

void RecordReader::skip_blank() {
  for (; at_ < text_.size() && is_blank(text_[at_]); ++at_) line_ += text_[at_] == '\n' ? 1 : 0;
}

bool RecordReader::next_line(RawRecord& record) {
  skip_blank();
  if (at_ == text_.size()) return false;
  const size_t end = std::min(text_.find('\n', at_), text_.size());
  record.line = line_;
  record.text = text_.substr(at_, end - at_);
  at_ = end;  // the line end is skipped, and counted, as a blank
  return true;
}

bool RecordReader::next_element(RawRecord& record) {
  for (;;) {
    skip_blank();
    if (at_ < text_.size() && text_[at_] == ',') {
      ++at_;
      continue;
    }
    break;
  }
  if (at_ == text_.size()) return false;
  record.line = line_;
  if (text_[at_] == ']' || text_[at_] == '}') {
    const bool closes = text_[at_] == ']';
    ++at_;
    const size_t rest = at_;
    skip_blank();
    if (closes && at_ == text_.size()) return false;
    at_ = rest;
    record.error = "bad JSON: the list ends here, but the file goes on";
    return true;
  }
  size_t end = end_of_value(text_, at_);
  if (end == std::string_view::npos) {
    record.error = "bad JSON: the file ends in the middle of this record";
    end = text_.size();
  } else {
    record.text = text_.substr(at_, end - at_);
  }
  line_ += std::count(text_.begin() + static_cast<ptrdiff_t>(at_),
                      text_.begin() + static_cast<ptrdiff_t>(end), '\n');
  at_ = end;
  return true;
}

bool RecordReader::next_row(RawRecord& record) {
  while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r'))
    line_ += text_[at_++] == '\n' ? 1 : 0;
  if (at_ == text_.size()) return false;
  record.line = line_;
  const size_t line_end = std::min(text_.find('\n', at_), text_.size());
  size_t end = end_of_row(text_, at_, separator_, max_record_bytes_);
  if (end != std::string_view::npos) {
    record.text = text_.substr(at_, end - at_);
    if (record.text.ends_with('\r')) record.text.remove_suffix(1);
  }
  // A quote that was opened and never closed runs to the end, or to the next one: then this line
  // alone is given up.
  if (end == std::string_view::npos ||
      (end > line_end && !header_.empty() &&
       split_csv_row(record.text, separator_).size() != header_.size())) {
    record.error = "bad CSV: a quote is not closed";
    record.text = {};
    end = line_end;
  }
  line_ += std::count(text_.begin() + static_cast<ptrdiff_t>(at_),
                      text_.begin() + static_cast<ptrdiff_t>(end), '\n');
  at_ = end;
  return true;
}

std::vector<RawRecord> RecordReader::next(size_t count) {
  if (at_ - released_ > kReleaseEvery) {
    file_.release(released_, at_ - released_);
    released_ = at_;
  }
  std::vector<RawRecord> records;
  const size_t begin = at_;
  while (records.size() < count && at_ - begin < kReleaseEvery) {
    RawRecord record;
    const bool more = layout_ == FileLayout::csv          ? next_row(record)
                      : layout_ == FileLayout::json_array ? next_element(record)
                                                          : next_line(record);
    if (!more) break;
    if (record.error.empty() && record.text.size() > max_record_bytes_) {
      record.error = fmt::format("the record has {} bytes, more than the {} that are read",
                                 record.text.size(), max_record_bytes_);
      record.text = {};
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace gavel
