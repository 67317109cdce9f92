#include "data/compact_hashes.h"

#include <algorithm>

#include "base/error.h"

namespace gavel {
namespace {

// The part of a hash (its high six bits), and where in its part it would like to be.
size_t part_of(uint64_t hash) { return hash >> 58; }
size_t place_of(uint64_t hash, size_t slots) {
  return static_cast<size_t>(((hash >> 26 & 0xFFFFFFFF) * static_cast<uint64_t>(slots)) >> 32);
}

size_t next(size_t slot, size_t slots) { return slot + 1 == slots ? 0 : slot + 1; }

bool is_full(size_t used, size_t slots) { return 5 * (used + 1) > 4 * slots; }

size_t grown(size_t slots) { return std::max<size_t>(16, slots + slots / 4); }

}  // namespace

std::optional<int> SeenPairs::add(uint64_t hash, int label) {
  Part& part = parts_[part_of(hash)];
  if (is_full(part.used, part.slots.size())) grow(part);
  const uint64_t key = hash & ~uint64_t{3};
  size_t slot = place_of(hash, part.slots.size());
  for (; part.slots[slot] != 0; slot = next(slot, part.slots.size()))
    if ((part.slots[slot] & ~uint64_t{3}) == key) return static_cast<int>(part.slots[slot] & 3) - 1;
  part.slots[slot] = key | static_cast<uint64_t>(label + 1);
  ++part.used;
  return std::nullopt;
}

void SeenPairs::grow(Part& part) {
  std::vector<uint64_t> slots(grown(part.slots.size()));
  for (const uint64_t entry : part.slots) {
    if (entry == 0) continue;
    size_t slot = place_of(entry, slots.size());
    while (slots[slot] != 0) slot = next(slot, slots.size());
    slots[slot] = entry;
  }
  part.slots = std::move(slots);
}

size_t NumberedHashes::slot_of(const Part& part, uint64_t hash) const {
  size_t slot = place_of(hash, part.slots.size());
  while (part.slots[slot] != 0 && hashes_[part.slots[slot] - 1] != hash)
    slot = next(slot, part.slots.size());
  return slot;
}

std::optional<uint32_t> NumberedHashes::find(uint64_t hash) const {
  const Part& part = parts_[part_of(hash)];
  if (part.slots.empty()) return std::nullopt;
  const uint32_t entry = part.slots[slot_of(part, hash)];
  return entry == 0 ? std::nullopt : std::optional(entry - 1);
}

uint32_t NumberedHashes::add(uint64_t hash) {
  Part& part = parts_[part_of(hash)];
  if (is_full(part.used, part.slots.size())) grow(part);
  uint32_t& entry = part.slots[slot_of(part, hash)];
  if (entry == 0) {
    if (hashes_.size() >= 0xFFFFFFFE) fail("there are more than four thousand million questions");
    hashes_.push_back(hash);
    entry = static_cast<uint32_t>(hashes_.size());
    ++part.used;
  }
  return entry - 1;
}

void NumberedHashes::grow(Part& part) {
  std::vector<uint32_t> slots(grown(part.slots.size()));
  for (const uint32_t entry : part.slots) {
    if (entry == 0) continue;
    size_t slot = place_of(hashes_[entry - 1], slots.size());
    while (slots[slot] != 0) slot = next(slot, slots.size());
    slots[slot] = entry;
  }
  part.slots = std::move(slots);
}

}  // namespace gavel
