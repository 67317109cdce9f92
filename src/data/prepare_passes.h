// The two passes of prepare(), and what they share. For prepare.cpp, prepare_plan.cpp,
// prepare_write.cpp and prepare_samples.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
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
  uint32_t begins_record : 1 = 0;  // a record may have several rows
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

// Some records of an input, which one thread reads.
struct RecordPart {
  const PairReader* reader = nullptr;
  uint32_t input = 0;  // its place
  std::span<const RawRecord> records;
};

// Reads all records of all inputs, in parts. Pass has a type Part, a RecordPart with what is made
// of its records, and
//   bool begin(Part&)  in the file's order; false: no more is needed, neither this part
//   void read(Part&)   on any thread, several at a time
//   void take(Part&)   in the file's order, while the next parts are read; without the records
// Parts are used again and again, so that what they have allocated stays with them.
template <typename Pass>
void for_each_part(const Preparation& p, const char* label, Pass& pass) {
  constexpr size_t kRecords = 16, kParts = 16;
  int64_t total = 0, before = 0;
  for (const auto& input : p.options.inputs)
    total += static_cast<int64_t>(std::filesystem::file_size(input));
  Progress progress(label, total >> 10, "KiB");
  bool more = true;
  for (uint32_t input = 0; more && input < p.options.inputs.size(); ++input) {
    PairReader reader(p.options.inputs[input], p.options.raw);
    std::vector<typename Pass::Part> reading(kParts), done(kParts);
    size_t parts_done = 0;
    do {
      if (p.stop && p.stop()) fail("interrupted: nothing was written");
      const std::vector<RawRecord> records =
          more ? reader.next_records(kParts * kRecords) : std::vector<RawRecord>{};
      size_t parts = 0;
      for (size_t i = 0; more && i < records.size(); i += kRecords) {
        RecordPart& part = reading[parts];
        part = {&reader, input,
                std::span(records).subspan(i, std::min(kRecords, records.size() - i))};
        more = pass.begin(reading[parts]);
        parts += more ? 1 : 0;
      }
      parallel_for_dynamic(static_cast<int64_t>(parts) + 1, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          if (i > 0) pass.read(reading[static_cast<size_t>(i) - 1]);
          for (size_t k = 0; i == 0 && k < parts_done; ++k) pass.take(done[k]);
        }
      });
      std::swap(reading, done);
      parts_done = parts;
      progress.update((before + reader.bytes_done()) >> 10);
    } while (parts_done > 0);
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

// Examples to show: the rows of the lowest hash, so a random choice that the seed fixes.
class SampleChoice {
 public:
  explicit SampleChoice(const Preparation& p);  // chooses
  bool has(size_t index) const { return pairs_.contains(index); }
  // `source`: "file:line".
  void set(size_t index, JudgePair pair, std::string source);
  std::vector<Sample> samples() const;

 private:
  struct Chosen {
    uint64_t rank = 0;
    JudgePair pair;
    std::string source;
  };
  std::vector<SampleToken> token_pieces(const Example& example) const;

  const Preparation& p_;
  std::map<size_t, Chosen> pairs_;  // by the row's place
};

}  // namespace gavel
