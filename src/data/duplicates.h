// The same pair twice, and questions that are nearly the same.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/judge_prompt.h"

namespace gavel {

// Of a question's text, without blanks around it.
uint64_t question_hash(std::string_view question, uint64_t seed);

// The same for a pair in either order.
uint64_t pair_hash(const JudgePair& pair, uint64_t question);

// A label that does not depend on the order of the answers, to find contradicting duplicates.
int order_free_label(const JudgePair& pair);

// MinHash (Broder 1997) of the text's shingles of three words, case and punctuation left out: 64
// functions, of each the lowest 8 bits. The share of equal places estimates the Jaccard index.
using Sketch = std::array<uint8_t, 64>;
Sketch sketch_of(std::string_view text);

// Whether two texts share 70% of their shingles, as far as the sketches tell.
bool nearly_equal(const Sketch& a, const Sketch& b);

// Questions, and which of them are nearly the same.
class QuestionGroups {
 public:
  bool contains(uint64_t question) const { return index_.contains(question); }
  // Nothing where it is there already.
  void add(uint64_t question, const Sketch& sketch);
  // The least question of each question's group. Groups are whole: like to like, over any number of
  // steps.
  std::unordered_map<uint64_t, uint64_t> groups() const;
  size_t size() const { return sketches_.size(); }

 private:
  std::unordered_map<uint64_t, uint32_t> index_;
  std::vector<uint64_t> questions_;
  std::vector<Sketch> sketches_;
};

}  // namespace gavel
