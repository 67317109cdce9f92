// The same pair twice, and questions that are nearly the same.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "data/compact_hashes.h"
#include "data/judge_prompt.h"

namespace gavel {

// Of a question's text, without blanks around it.
uint64_t question_hash(std::string_view question, uint64_t seed);

// What a row is told from others by; the same for a pair in either order.
struct RowKey {
  uint64_t texts = 0;
  uint64_t labelled = 0;  // of a single answer: the label too
  int label = 0;          // of a pair; it does not depend on the order of the answers either
  bool single = false;
};
RowKey key_of(const JudgePair& row, uint64_t question);

// What came before of a row: nothing, the same, or the same with another label.
enum class Before : uint8_t { nothing, same, contradiction };
// The rows that were seen: 10 to 13 bytes a pair, twice that a single answer.
class SeenRows {
 public:
  Before add(const RowKey& row);

 private:
  SeenPairs rows_, labelled_;
};

// MinHash (Broder 1997) of the text's shingles of three words, case and punctuation left out: 64
// functions, of each the lowest 8 bits. The share of equal places estimates the Jaccard index.
using Sketch = std::array<uint8_t, 64>;
Sketch sketch_of(std::string_view text);

// Whether two texts share 70% of their shingles, as far as the sketches tell.
bool nearly_equal(const Sketch& a, const Sketch& b);

// Questions, numbered in the order in which they come, and which of them are nearly the same.
class QuestionGroups {
 public:
  // By hashes of questions.
  std::optional<uint32_t> find(uint64_t question) const { return hashes_.find(question); }
  // Its number; the sketch is kept where it is new.
  uint32_t add(uint64_t question, const Sketch& sketch);
  uint64_t hash(uint32_t number) const { return hashes_[number]; }
  size_t size() const { return hashes_.size(); }
  // Of each question's group the one with the least hash. Groups are whole: like to like, over any
  // number of steps.
  std::vector<uint32_t> groups() const;
  // Sketches are most of what there is in memory; without them there are no groups.
  void drop_sketches() { sketches_ = {}; }

 private:
  NumberedHashes hashes_;
  std::deque<Sketch> sketches_;  // grows without being copied
};

}  // namespace gavel
