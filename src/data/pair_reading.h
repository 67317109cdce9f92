// One record of preference data, of a known form, made pairs.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/judge_prompt.h"
#include "data/labels.h"
#include "data/pair_forms.h"

namespace gavel {

struct RawOptions {
  const PairForm* form = nullptr;           // null: found by the fields
  std::vector<std::string> field_mappings;  // "question=prompt"
  std::vector<std::string> label_meanings;  // "1=A"
  size_t max_record_bytes = size_t{16} << 20;
  size_t max_text_bytes = size_t{256} << 10;  // of a question, an answer, a reason, a reference
  double max_score = 10;                      // judgelm: of its scale; it begins at 0
  bool split_votes_tie = false;  // annotators without a majority: a tie, instead of dropped
  bool neighbours_only = false;  // ranked answers: pairs of those next to each other, not all
  // optional: pairs without a label are pairs too; ignored: whatever the label is.
  enum class Labels : uint8_t { needed, optional, ignored } labels = Labels::needed;
  // Records of single answers are rows of their own, of this form of one answer, and are not joined
  // to pairs.
  std::optional<JudgeForm> answers;
  bool equal_answers = false;  // pairs of the same answers keep their label, and are no fault
  uint64_t seed = 0;           // of the order in which a better and a worse answer stand
  std::filesystem::path standard_input;  // the file that is called so, being kept of it
};

// What reports and errors call an input.
std::string shown_name(const std::filesystem::path& path, const RawOptions& options);

// What became of one row: a pair, or the kind of fault ("missing field") and its particulars.
struct RawRow {
  std::optional<JudgePair> pair;  // or a single answer
  std::string fault, detail;
  int64_t line = 0;
};

// The rows of one kind of fault.
struct FaultReport {
  int64_t count = 0;
  std::vector<std::pair<std::string, std::string>> places;  // "file:line", detail; the first 50
  void add(const std::string& place, const std::string& detail) {
    if (++count <= 50) places.emplace_back(place, detail);
  }
};

// A form as it is read from one file: with the fields that the user named.
struct FormFields {
  const PairForm* form = nullptr;
  std::map<std::string, std::vector<std::string>> paths;  // by our names; the first there counts
  std::vector<std::pair<std::string, std::vector<std::string>>> meta;
  LabelMeanings meanings;
};

// The pairs of some answers to one question, records of forms of Outcome::single: all pairs, or
// those of neighbours in score. With scores the greater one wins and the order is drawn; else the
// order is that of the records and there is no label. `question` is the record of the question,
// where it is in another file than the answers, else null. Where one record has a score and another
// none, there is a fault and no pair.
struct SingleAnswer {
  const nlohmann::ordered_json* record = nullptr;
  const FormFields* form = nullptr;
  std::string source;  // "file:line"
};
std::vector<RawRow> pairs_of_answers(std::span<const SingleAnswer> answers,
                                     const SingleAnswer* question, const RawOptions& options);

// What records of one question have in common: a hash of its text and rubric, or of its id where
// the record has no question. Nothing where there is neither, or it cannot be read.
std::optional<uint64_t> question_key(const SingleAnswer& answer, const RawOptions& options);

// The rows of a record: one, or several where it holds several answers. `line` is left 0.
std::vector<RawRow> pairs_of(const nlohmann::ordered_json& record, const FormFields& form,
                             const RawOptions& options);

}  // namespace gavel
