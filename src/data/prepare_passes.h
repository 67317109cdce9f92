// The two passes of prepare(), and what they share. For prepare.cpp, prepare_plan.cpp,
// prepare_write.cpp and prepare_samples.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "data/prepare.h"

namespace gavel {

inline constexpr std::array<const char*, 3> kSplitNames = {"train", "valid", "test"};

// What the first pass decides of a row; the second pass writes it so.
struct RowPlan {
  uint32_t question = 0;  // its number
  uint32_t input : 20 = 0;
  uint32_t label : 7 = 0;  // its class
  uint32_t keep : 1 = 0;
  uint32_t exchange : 1 = 0;  // for position balance
  uint32_t split : 2 = 0;
};
static_assert(sizeof(RowPlan) == 8, "there is one for each row");

struct Preparation {
  const PrepareOptions& options;
  const TextEncoder* encoder;
  const std::function<bool()>& stop;
  JudgeTemplate prompt;
  PrepareReport report;
  std::deque<RowPlan> plans;  // of all rows of all inputs, in order; grows without being copied
};

// Calls visit(reader, rows, index of the first of them over all inputs, place of the input) for
// some rows at a time, in order.
template <typename Visit>
void for_each_row(const Preparation& p, const char* label, Visit visit) {
  constexpr size_t kChunk = 1024;
  int64_t total = 0, before = 0, index = 0;
  for (const auto& input : p.options.inputs)
    total += static_cast<int64_t>(std::filesystem::file_size(input));
  Progress progress(label, total >> 10, "KiB");
  for (uint32_t input = 0; input < p.options.inputs.size(); ++input) {
    PairReader reader(p.options.inputs[input], p.options.raw);
    for (;;) {
      if (p.stop && p.stop()) fail("interrupted: nothing was written");
      std::vector<RawRow> rows = reader.next(kChunk);
      if (p.options.max_rows >= 0 && index + static_cast<int64_t>(rows.size()) > p.options.max_rows)
        rows.resize(static_cast<size_t>(std::max<int64_t>(0, p.options.max_rows - index)));
      if (rows.empty()) break;
      visit(reader, rows, index, input);
      index += static_cast<int64_t>(rows.size());
      progress.update((before + reader.bytes_done()) >> 10);
    }
    before += reader.bytes_total();
  }
  progress.finish();
}

// What --mix and the report call an input: as the options name it, else the file's name without its
// endings.
std::string input_name(const PrepareOptions& options, size_t input);

// The first pass: reads all rows and fills in `plans`.
void plan_rows(Preparation& p);

// Parts of it (prepare_balance.cpp). In each split, leaves out rows at random until the inputs have
// their shares; none comes twice.
void mix_inputs(Preparation& p);
// Exchanges the answers of a random half of what one side wins too often, in each split.
void balance_positions(Preparation& p);
// Leaves out pairs of the more frequent labels of train, at random.
void balance_classes(Preparation& p);

// The second pass: writes the split files, and the template.
void write_splits(Preparation& p);

// Then: what the split files are in tokens. Training finds these tokens in the cache.
void count_tokens(Preparation& p);

// The pair as it is written: exchanged and without its reference where that was decided.
JudgePair planned_pair(const Preparation& p, const JudgePair& raw, const RowPlan& plan,
                       int64_t index, bool swap);

// Examples to show: those of the lowest hash, so a random choice that the seed fixes.
class SampleChoice {
 public:
  explicit SampleChoice(const Preparation& p) : p_(p) {}
  void consider(const JudgePair& raw, const RowPlan& plan, int64_t index,
                const std::filesystem::path& path);
  std::vector<Sample> samples();  // ends the choice

 private:
  struct Candidate {
    uint64_t rank;
    JudgePair pair;
    std::string source;
    uint8_t split;
  };
  std::vector<SampleToken> token_pieces(const Example& example) const;

  const Preparation& p_;
  std::vector<Candidate> candidates_;  // a heap by rank, the highest in front
};

}  // namespace gavel
