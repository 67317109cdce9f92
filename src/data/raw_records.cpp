#include "data/raw_records.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/jsonl.h"

namespace gavel {
namespace {

constexpr size_t kFirstPiece = size_t{64} << 10, kLargestPiece = size_t{4} << 20;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

RecordReader::RecordReader(TextSource source, size_t max_record_bytes)
    : source_(std::move(source)), max_record_bytes_(max_record_bytes) {
  find_layout();  // a pipe may be empty
}

RecordReader::RecordReader(const std::filesystem::path& path, size_t max_record_bytes)
    : source_(path), max_record_bytes_(max_record_bytes) {
  const std::string extension = std::filesystem::path(source_.unpacked_name()).extension().string();
  if (extension != ".csv" && extension != ".tsv") {
    find_layout();
    if (at_ == buffer_.size() && !list_open_)
      fail("{} is empty: there are no records in it", source_.name());
    return;
  }
  layout_ = FileLayout::csv;
  separator_ = extension == ".tsv" ? '\t' : ',';
  read_header();
}

// More text behind what is not used yet; false where there is none. Ends the life of all records.
bool RecordReader::fill() {
  if (ended_) return false;
  buffer_.erase(0, at_);
  at_ = 0;
  const size_t had = buffer_.size();
  piece_ = std::clamp(2 * piece_, kFirstPiece, kLargestPiece);
  buffer_.resize(had + std::max(piece_, had));  // twice as much each time, so that rescans are few
  const size_t n = source_.read(buffer_.data() + had, buffer_.size() - had);
  buffer_.resize(had + n);
  ended_ = n == 0;
  return !ended_;
}

// Goes on to `end` of the buffer, counting lines.
void RecordReader::drop(size_t end) {
  line_ += std::count(buffer_.begin() + static_cast<ptrdiff_t>(at_),
                      buffer_.begin() + static_cast<ptrdiff_t>(end), '\n');
  at_ = end;
}

void RecordReader::skip_line_ends() {
  for (; at_ < buffer_.size() && (buffer_[at_] == '\n' || buffer_[at_] == '\r'); ++at_)
    line_ += buffer_[at_] == '\n';
}

// False where the buffer has nothing but blanks.
bool RecordReader::skip_blank() {
  for (; at_ < buffer_.size() && is_blank(buffer_[at_]); ++at_) line_ += buffer_[at_] == '\n';
  return at_ < buffer_.size();
}

bool RecordReader::ValueScan::find_end(std::string_view text) {
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      in_string = escaped || c != '"';
      escaped = !escaped && c == '\\';
      continue;
    }
    in_string = c == '"';
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (depth == 0) return true;  // the end of the enclosing list
      if (--depth == 0) {
        ++at;
        return true;
      }
    }
    if (c == ',' && depth == 0) return true;
  }
  return false;
}

void RecordReader::find_layout() {
  while (!skip_blank())
    if (!fill()) return;
  if (buffer_[at_] == '[') {
    layout_ = FileLayout::json_list;
    list_open_ = true;
    ++at_;
  } else if (buffer_[at_] == '{' && runs_over_lines()) {
    layout_ = FileLayout::json_objects;
  }
}

// Whether the first object goes on behind its line. A line of JSONL that is broken does not: it
// ends within a string, or another object follows it.
bool RecordReader::runs_over_lines() {
  size_t end = 0;
  while ((end = rest().find('\n')) == std::string_view::npos)
    if (rest().size() > max_record_bytes_ || !fill()) return false;
  ValueScan scan;
  if (scan.find_end(rest().substr(0, end)) || scan.in_string) return false;
  size_t next = 0;
  while ((next = rest().find_first_not_of(" \t\r\n", end)) == std::string_view::npos)
    if (rest().size() > max_record_bytes_ || !fill()) return true;
  return rest()[next] != '{';
}

RecordReader::Cut RecordReader::cut_line(RawRecord& record) {
  size_t end = rest().find('\n');
  if (end == std::string_view::npos) {
    if (!ended_) return rest().size() > max_record_bytes_ ? Cut::too_long : Cut::more;
    end = rest().size();
  }
  record.text = rest().substr(0, end);
  at_ += end;  // the line end is skipped, and counted, as a blank
  return Cut::record;
}

RecordReader::Cut RecordReader::cut_value(RawRecord& record) {
  if (!scan_.find_end(rest())) {
    if (!ended_) return rest().size() > max_record_bytes_ ? Cut::too_long : Cut::more;
    record.fault = {"bad JSON", "the file ends in the middle of this record"};
    list_open_ = false;
    drop(buffer_.size());
  } else {
    record.text = rest().substr(0, scan_.at);
    drop(at_ + scan_.at);
  }
  scan_ = {};
  return Cut::record;
}

RecordReader::Cut RecordReader::cut_element(RawRecord& record) {
  if (!list_open_) {  // it ended before; for a broken record's bracket, so it may end again
    list_open_ = true;
    record.fault = {"bad JSON", "the list ends before this, but the file goes on"};
    return Cut::record;
  }
  while (buffer_[at_] == ',' || buffer_[at_] == ']') {
    const bool ends = buffer_[at_++] == ']';
    if (ends) list_open_ = false;
    if (!skip_blank()) return Cut::more;
    if (ends) return cut_element(record);
  }
  record.line = line_;
  if (buffer_[at_] != '}') return cut_value(record);
  ++at_;
  record.fault = {"bad JSON", "a bracket closes nothing here"};
  return Cut::record;
}

RecordReader::Cut RecordReader::cut(RawRecord& record) {
  if (layout_ == FileLayout::csv) return cut_row(record);
  if (!skip_blank()) {
    if (!ended_) return Cut::more;
    if (!list_open_) return Cut::end;
    list_open_ = false;
    record.line = line_;
    record.fault = {"bad JSON", "the list is not closed: the file is cut off"};
    return Cut::record;
  }
  record.line = line_;
  if (layout_ == FileLayout::json_list) return cut_element(record);
  // Objects alone: a comma or a closing bracket would be a value of no length.
  return layout_ == FileLayout::json_objects && buffer_[at_] == '{' ? cut_value(record)
                                                                    : cut_line(record);
}

// Goes behind a record that is too long to be kept, a piece at a time.
void RecordReader::skip_long() {
  const bool value =
      layout_ == FileLayout::json_list || (layout_ == FileLayout::json_objects && rest()[0] == '{');
  for (;;) {
    if (value) {
      if (scan_.find_end(rest())) return drop(at_ + std::exchange(scan_, {}).at);
      scan_.at = 0;
    } else if (const size_t end = rest().find('\n'); end != std::string_view::npos) {
      return drop(at_ + end);
    }
    drop(buffer_.size());
    if (!fill()) break;
  }
  scan_ = {};
  list_open_ = false;
}

std::vector<RawRecord> RecordReader::next(size_t count) {
  std::vector<RawRecord> records;
  while (records.size() < count) {
    RawRecord record;
    const Cut result = cut(record);
    if (result == Cut::end) break;
    const std::string too_long =
        fmt::format("the record has more than the {} bytes that are read", max_record_bytes_);
    if (result != Cut::record) {
      if (!records.empty()) break;  // their texts lie in the buffer
      if (result == Cut::more) {
        fill();
        continue;
      }
      skip_long();
      record.fault = {"record too long", too_long};
    } else if (record.text.size() > max_record_bytes_) {
      record.fault = {"record too long", too_long};
      record.text = {};
    }
    records.push_back(std::move(record));
  }
  return records;
}

nlohmann::ordered_json RecordReader::object(const RawRecord& record) const {
  if (record.fault) throw RecordFault(*record.fault);
  const auto check_utf8 = [&] {
    if (const auto at = invalid_utf8_at(record.text))
      throw RecordFault{"invalid UTF-8", fmt::format("byte {} is 0x{:02X}", *at,
                                                     static_cast<unsigned char>(record.text[*at]))};
  };
  nlohmann::ordered_json fields = nlohmann::ordered_json::object();
  if (layout_ == FileLayout::csv) {
    check_utf8();
    const auto values = csv_values(record.text);
    if (values.size() != header_.size())
      throw RecordFault{
          "bad CSV",
          fmt::format("the row has {} fields and the header {}",
                      values.size() > header_.size() ? "more" : std::to_string(values.size()),
                      header_.size())};
    for (size_t i = 0; i < header_.size(); ++i)
      if (!header_[i].empty()) fields[header_[i]] = values[i];
    return fields;
  }
  try {
    fields = parse_record(record.text);
  } catch (const Error& e) {
    check_utf8();
    const std::string_view what = e.what();
    throw RecordFault{"bad JSON",
                      std::string(what.starts_with("bad JSON: ") ? what.substr(10) : what)};
  }
  if (!fields.is_object())
    throw RecordFault{"wrong type",
                      fmt::format("a record must be a JSON object and is {}", fields.type_name())};
  return fields;
}

}  // namespace gavel
