// Pairs to be judged, in any layout that RecordReader knows, as `gavel prepare` writes them or
// plain:
//   {"question": "...", "answer_a": "...", "answer_b": "...", "label": "A",
//    "reference": "...", "reason": "...", "category": "...", "id": "..."}
// Only the first three are needed where no label is; other fields are left alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/judge_prompt.h"
#include "data/raw_records.h"

namespace gavel {

// One record. `where` is what errors call it. Throws Error: a missing field, one that is not text,
// a label that is none.
JudgePair to_pair(const nlohmann::ordered_json& record, const std::string& where, bool needs_label);

struct PairOrProblem {
  std::optional<JudgePair> pair;
  std::string problem;  // with file and line, where there is no pair
};

// The pairs of a file, or of standard input, as they come.
class PairFile {
 public:
  PairFile(const std::filesystem::path& path, bool needs_label);
  PairFile(TextSource source, bool needs_label);
  // Up to `count`, those that are there soonest; none at the end. Throws Error where the file is
  // damaged.
  std::vector<PairOrProblem> next(size_t count);

 private:
  RecordReader reader_;
  std::string name_;
  bool needs_label_;
};

// A whole file. Throws Error naming file and line, and where there is no pair in it.
std::vector<JudgePair> read_pairs(const std::filesystem::path& path, bool needs_label);

// A hash of everything in the pairs that a judgement depends on.
uint64_t pairs_fingerprint(const std::vector<JudgePair>& pairs);

}  // namespace gavel
