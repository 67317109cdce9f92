// Small integers packed into words as MLX packs them: a little-endian stream of bits.
#pragma once

#include <cstdint>
#include <cstring>

namespace gavel {

// 32 five-bit values: 8 values in 5 bytes, 20 bytes in all.
inline void pack_five_bits(const uint8_t* values, uint8_t* to) {
  for (int g = 0; g < 4; ++g) {
    uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits |= uint64_t{values[8 * g + i]} << (5 * i);
    std::memcpy(to + 5 * g, &bits, 5);
  }
}

}  // namespace gavel
