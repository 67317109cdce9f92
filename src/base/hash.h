// A hash of many bytes that come piece by piece, eight at a time: to tell contents apart, not
// against who wants two to be alike.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/random.h"

namespace gavel {

class StreamHash {
 public:
  void add(std::span<const char> bytes) {
    length_ += bytes.size();
    while (!bytes.empty()) {
      if (held_ == 0 && bytes.size() >= sizeof(uint64_t)) {
        const size_t words = bytes.size() / sizeof(uint64_t);
        for (size_t i = 0; i < words; ++i) {
          uint64_t word = 0;
          std::memcpy(&word, bytes.data() + i * sizeof word, sizeof word);
          mix(word);
        }
        bytes = bytes.subspan(words * sizeof(uint64_t));
        continue;
      }
      part_ |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[0])) << (8 * held_);
      bytes = bytes.subspan(1);
      if (++held_ < static_cast<int>(sizeof part_)) continue;
      mix(part_);
      part_ = 0;
      held_ = 0;
    }
  }
  // A piece of a known length, so that ("ab", "c") is not ("a", "bc").
  void add_field(std::string_view text) {
    const uint64_t size = text.size();
    add({reinterpret_cast<const char*>(&size), sizeof size});
    add(text);
  }
  // 128 bits of all that was added.
  std::array<uint64_t, 2> value() const {
    StreamHash end = *this;
    if (held_ > 0) end.mix(part_);
    end.mix(length_);
    return {Random::mix(end.a_), Random::mix(end.b_)};
  }

 private:
  void mix(uint64_t word) {
    a_ = (a_ ^ word) * 0x9E3779B97F4A7C15ULL;
    a_ ^= a_ >> 32;
    b_ = (b_ + word) * 0xD1B54A32D192ED03ULL;
    b_ ^= b_ >> 29;
  }

  uint64_t a_ = 0x243F6A8885A308D3ULL, b_ = 0x13198A2E03707344ULL, part_ = 0, length_ = 0;
  int held_ = 0;  // bytes of part_
};

}  // namespace gavel
