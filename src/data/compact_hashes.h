// Tables of 64-bit hashes that cost little more memory than the hashes themselves, also while they
// grow: many small ones, each by itself, filled to four fifths at most.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace gavel {

// Pairs that were seen, each with a label from 0 to 2: 10 to 13 bytes a pair. Two pairs are the
// same where 62 bits of their hashes are.
class SeenPairs {
 public:
  // The label that the pair was first added with; nothing where it is new, and is then added.
  std::optional<int> add(uint64_t hash, int label);

 private:
  struct Part {
    std::vector<uint64_t> slots;  // the hash, its two low bits the label + 1; 0 is free
    size_t used = 0;
  };
  static void grow(Part& part);

  std::array<Part, 64> parts_;
};

// Different hashes, numbered from 0 in the order in which they come: 13 to 15 bytes each.
class NumberedHashes {
 public:
  std::optional<uint32_t> find(uint64_t hash) const;
  // Its number; a new one where it is not there.
  uint32_t add(uint64_t hash);
  uint64_t operator[](uint32_t number) const { return hashes_[number]; }
  size_t size() const { return hashes_.size(); }

 private:
  struct Part {
    std::vector<uint32_t> slots;  // a number + 1; 0 is free
    size_t used = 0;
  };
  // Where the hash is, or the free slot where it belongs. The part has a free slot.
  size_t slot_of(const Part& part, uint64_t hash) const;
  void grow(Part& part);

  std::array<Part, 64> parts_;
  std::deque<uint64_t> hashes_;  // grows without being copied
};

}  // namespace gavel
