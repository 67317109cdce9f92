// Pairs to be judged: in any form of data/pair_forms.h and any layout that RecordReader knows; as
// `gavel prepare` writes them or plain:
//   {"question": "...", "answer_a": "...", "answer_b": "...", "label": "A",
//    "reference": "...", "reason": "...", "category": "...", "id": "..."}
// Only the first three are needed where no label is. Where the template judges one answer (`form`),
// rows of one answer, as data/rated_answers.cpp reads them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/judge_prompt.h"
#include "data/raw_pairs.h"

namespace gavel {

struct PairOrProblem {
  std::optional<JudgePair> pair;
  std::string problem;  // with file and line, where there is no pair
  std::string kind;     // of the problem, as RawRow has it
};

// The pairs of a file, or of standard input, as they come.
class PairFile {
 public:
  PairFile(const std::filesystem::path& path, bool needs_label, const JudgeForm& form = {},
           bool equal_answers = false);
  PairFile(TextSource source, bool needs_label, const JudgeForm& form = {});
  // Those of up to `count` records, the ones that are there soonest; none at the end. Throws Error
  // where the file is damaged, or of no known form.
  std::vector<PairOrProblem> next(size_t count);
  // Whether it is of the form in which `gavel prepare` writes rows; known after the first next().
  bool is_plain() const {
    return &reader_.form() == &plain_pairs() || &reader_.form() == &plain_answers();
  }

 private:
  PairReader reader_;
};

// A whole file. Throws Error naming file and line, and where there is no pair in it. Of published
// data what has no answer that won (no label, no majority, the same answer twice) and what is not
// text alone is left out, with a warning that counts it; with `equal_answers` the same answer twice
// is a pair like others.
std::vector<JudgePair> read_pairs(const std::filesystem::path& path, bool needs_label,
                                  const JudgeForm& form = {}, bool equal_answers = false);

// What some rows hold and the template has no place for, as a sentence; "" where there is nothing.
std::string unread_fields(const JudgeTemplate& prompt, std::span<const JudgePair> rows);

// A hash of everything in the pairs that a judgement depends on.
uint64_t pairs_fingerprint(const std::vector<JudgePair>& pairs);

}  // namespace gavel
