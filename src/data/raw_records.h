// Cutting a data file into its records: JSONL lines, the elements of a JSON list, JSON objects that
// run over several lines, or CSV rows. Read once from front to back in constant memory, packed or
// not (data/text_source.h); a record that is broken does not stop the ones after it. Every reader
// of records (training data, prepare, eval, judge) stands on this one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "data/text_source.h"

namespace gavel {

// What is wrong with a record: the kind is what reports count ("bad JSON", "missing field").
struct RecordFault {
  std::string kind, detail;
};

struct RawRecord {
  int64_t line = 0;                  // where the record starts, from 1
  std::string_view text;             // valid until the next call of RecordReader::next
  std::optional<RecordFault> fault;  // why there is no record here, where there is none
};

enum class FileLayout : uint8_t { jsonl, json_list, json_objects, csv };

class RecordReader {
 public:
  // The layout follows from the name's end (.csv, .tsv) and else from the first characters; the
  // separator of CSV (comma, semicolon, tab, bar) from its header. Records longer than
  // max_record_bytes become faults. Throws Error where the file cannot be read or is empty, as
  // TextSource does, and for a header that names a column twice.
  RecordReader(const std::filesystem::path& path, size_t max_record_bytes);
  // Standard input and the like: never CSV.
  RecordReader(TextSource source, size_t max_record_bytes);

  // Up to `count` records, those that are there soonest; none at the end. Throws Error where the
  // file turns out to be damaged.
  std::vector<RawRecord> next(size_t count);

  // A record's fields. Throws RecordFault for one that has none: its own fault, invalid UTF-8, bad
  // JSON, no object. NaN, as Python writes it, is null.
  nlohmann::ordered_json object(const RawRecord& record) const;

  FileLayout layout() const { return layout_; }
  const std::vector<std::string>& csv_header() const { return header_; }
  // Columns that are called as one of `names` but for capitals, blanks and hyphens get that name.
  // Throws Error where two would.
  void match_header(const std::set<std::string>& names);

  int64_t bytes_total() const { return source_.bytes_total(); }  // of the file as it lies there
  int64_t bytes_done() const { return source_.bytes_done(); }

 private:
  enum class Cut : uint8_t { record, more, too_long, end };  // more: of the text is needed first

  // Where a JSON value ends, by its brackets and strings alone; goes on where it stopped.
  struct ValueScan {
    size_t at = 0;  // from the value's begin
    int64_t depth = 0;
    bool in_string = false, escaped = false;
    bool find_end(std::string_view text);  // then it is `at`
  };

  bool fill();
  void drop(size_t end);
  void skip_line_ends();
  bool skip_blank();
  std::string_view rest() const { return std::string_view(buffer_).substr(at_); }
  void find_layout();
  bool runs_over_lines();
  void read_header();
  Cut cut(RawRecord& record);
  Cut cut_line(RawRecord& record);
  Cut cut_value(RawRecord& record);
  Cut cut_element(RawRecord& record);
  Cut cut_row(RawRecord& record);
  std::vector<std::string> csv_values(std::string_view row) const;
  void skip_long();

  TextSource source_;
  size_t max_record_bytes_;
  std::string buffer_;
  size_t at_ = 0, piece_ = 0;
  bool ended_ = false;  // the buffer holds the file's last bytes
  int64_t line_ = 1;
  FileLayout layout_ = FileLayout::jsonl;
  ValueScan scan_;
  bool list_open_ = false;
  std::vector<std::string> header_;
  char separator_ = ',';
};

}  // namespace gavel
