// Preference data as it comes: JudgeLM-100K's JSONL, PandaLM's JSON, and plain pairs, in any layout
// that RecordReader knows, each row made a JudgePair or a reason why it is none.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/judge_prompt.h"
#include "data/labels.h"
#include "data/raw_records.h"

namespace gavel {

// judgelm: question_body, answer1_body, answer2_body, score [s1, s2], text (the review), reference.
// pandalm: instruction, input, response1, response2, annotator1.. (0 tie, 1 first, 2 second).
// pairs:   question, answer_a, answer_b, label (A, B, tie) or score_a and score_b (or scores),
//          reason, reference, id.
enum class RawFormat : uint8_t { automatic, judgelm, pandalm, pairs };

std::string_view to_string(RawFormat format);
std::optional<RawFormat> parse_raw_format(std::string_view name);

// Our names for the fields, and how each is called in the file:
// question, input, answer_a, answer_b, label, scores, score_a, score_b, votes (a prefix: annotator
// means annotator1, annotator2, ...), reason, reference, id, category.
using FieldNames = std::map<std::string, std::string>;
FieldNames field_names(RawFormat format);
// Changes `names` by "NAME=FIELD". Throws UsageError for a NAME that is not one of the above.
void map_field(FieldNames& names, const std::string& mapping);

struct RawOptions {
  RawFormat format = RawFormat::automatic;
  std::vector<std::string> field_mappings;  // "question=prompt"
  std::vector<std::string> label_meanings;  // "1=A"
  size_t max_record_bytes = size_t{16} << 20;
  size_t max_text_bytes = size_t{256} << 10;  // of a question, an answer, a reason, a reference
  double max_score = 10;                      // judgelm: of its scale; it begins at 0
  bool split_votes_tie = false;  // annotators without a majority: a tie, instead of dropped
};

// What became of one row: a pair, or the kind of fault ("missing field") and its particulars.
struct RawRow {
  std::optional<JudgePair> pair;
  std::string fault, detail;
  int64_t line = 0;
};

class PairReader {
 public:
  // Throws Error where the file cannot be read, or its fields are of no known format.
  PairReader(const std::filesystem::path& path, const RawOptions& options);

  // Up to `count` rows in the file's order, read in parallel; none at the end.
  std::vector<RawRow> next(size_t count);

  RawFormat format() const { return format_; }
  const std::filesystem::path& path() const { return path_; }
  int64_t bytes_total() const { return reader_.bytes_total(); }  // of the file as it lies there
  int64_t bytes_done() const { return reader_.bytes_done(); }

 private:
  RawFormat detect_format() const;

  std::filesystem::path path_;
  RawOptions options_;
  RecordReader reader_;
  RawFormat format_ = RawFormat::pairs;
  FieldNames names_;
  std::set<std::string> columns_;  // names that a CSV header may spell otherwise
  LabelMeanings meanings_;
};

// The names that the fields of any format have, for RecordReader::match_header.
const std::set<std::string>& known_fields();

}  // namespace gavel
