// Preference data as it comes, in any of the forms of pair_forms.h and any layout that RecordReader
// knows, each row made a JudgePair or a reason why it is none.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "data/pair_reading.h"
#include "data/raw_records.h"

namespace gavel {

class PairReader {
 public:
  // Throws Error where the file cannot be read, or its fields are of no known form; UsageError
  // where the form needs something of the user that is not there.
  PairReader(const std::filesystem::path& path, const RawOptions& options);

  // The rows of up to `count` records in the file's order, read in parallel; none at the end.
  std::vector<RawRow> next(size_t count);

  const PairForm& form() const { return *form_.form; }
  const std::filesystem::path& path() const { return path_; }
  int64_t bytes_total() const { return reader_.bytes_total(); }  // of the file as it lies there
  int64_t bytes_done() const { return reader_.bytes_done(); }

 private:
  const PairForm& detect_form() const;
  void set_fields();

  std::filesystem::path path_;
  RawOptions options_;
  RecordReader reader_;
  FormFields form_;
  std::set<std::string> columns_;  // names that a CSV header may spell otherwise
};

}  // namespace gavel
