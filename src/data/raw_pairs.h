// Preference data as it comes, in any of the forms of pair_forms.h and any layout that RecordReader
// knows, each row made a JudgePair or a reason why it is none.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "data/pair_reading.h"
#include "data/raw_records.h"

namespace gavel {

// Names that a CSV header may spell otherwise, for RecordReader::match_header.
std::set<std::string> columns_of(const RawOptions& options);

// The form of these records, by the first of them that can be read at all, or that of the options;
// and its fields as the options name them. `name` is what errors call the file. Throws Error where
// the fields are of no known form; UsageError where the form needs something of the user that is
// not there.
FormFields form_of_records(const std::vector<RawRecord>& records, const RecordReader& reader,
                           const RawOptions& options, const std::string& name);
// The same for a file, by its first 100 records.
FormFields form_of_file(const std::filesystem::path& path, const RawOptions& options);

class PairReader {
 public:
  // Throws Error where the file cannot be read, and as form_of_file; and for a form whose answers
  // have to be joined first.
  PairReader(const std::filesystem::path& path, const RawOptions& options);
  // Standard input and the like, whose form is that of the first record of a known one; records
  // before it are faults. `name` is what errors call it.
  PairReader(TextSource source, const std::string& name, const RawOptions& options);

  // The rows of up to `count` records in the file's order, read in parallel; none at the end.
  std::vector<RawRow> next(size_t count);
  // The same in two steps. The records are valid until the next call; the rows of one, at least
  // one, may be asked for by several threads.
  std::vector<RawRecord> next_records(size_t count);
  std::vector<RawRow> rows_of(const RawRecord& record) const;

  // Of a stream that has not given a record of a known form yet: plain pairs.
  const PairForm& form() const { return form_.form != nullptr ? *form_.form : plain_pairs(); }
  const std::filesystem::path& path() const { return path_; }
  int64_t bytes_total() const { return reader_.bytes_total(); }  // of the file as it lies there
  int64_t bytes_done() const { return reader_.bytes_done(); }

 private:
  void set_form(FormFields form);

  std::filesystem::path path_;
  RawOptions options_;
  RecordReader reader_;
  FormFields form_;          // null before a stream is first read
  bool form_found_ = false;  // of a stream that has not given one yet: as plain rows
};

// Calls visit with each question of a file of pairs, of single answers, or of questions; of those
// with several turns also with the first one alone. Throws Error for a row that cannot be read,
// since a benchmark of which a part is not read would not be kept out.
void for_each_question(const std::filesystem::path& path, const RawOptions& options,
                       const std::function<void(const std::string&)>& visit);

}  // namespace gavel
