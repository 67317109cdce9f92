// A GGUF tensor's blocks as MLX arrays.
//
// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K and Q5_K are affine groups of 32 already and become MLX's
// packed form without loss; so do IQ4_NL and IQ4_XS, whose table of values takes 8 bits. The other
// K-quants are dequantized to f16. F32, F16 and BF16 are used where they lie in the mapped file.
#pragma once

#include <memory>

#include "model/gguf.h"
#include "model/weights.h"

namespace gavel {

// A matrix [rows, cols]. deinterleave_head_dim: 0, or the head size where the rows are a llama
// family's q or k projection: GGUF stores their rotary pairs side by side, Hugging Face's layout
// half a head apart, and the rows (whatever they are packed in) are put in the latter order.
// The mapped pages are released as they are converted. Throws Error where it is not a matrix.
Weight read_gguf_matrix(const std::shared_ptr<const GgufFile>& file, const GgufTensor& tensor,
                        int deinterleave_head_dim);

// A vector, in f32, f16 or bf16. Throws Error for other shapes and types.
mlx::core::array read_gguf_vector(const std::shared_ptr<const GgufFile>& file,
                                  const GgufTensor& tensor, int deinterleave_head_dim);

// Values of one row of blocks (any supported type) as floats: ggml's own formulas in float.
void dequantize_gguf_row(GgmlType type, const std::byte* blocks, int64_t count, float* out);

// Scale and minimum (6 bits each) of sub-block `sub` of a Q4_K or Q5_K block, from its 12 bytes.
inline void k_scale_min(const uint8_t* packed, int sub, int& scale, int& minimum) {
  if (sub < 4) {
    scale = packed[sub] & 63;
    minimum = packed[sub + 4] & 63;
  } else {
    scale = (packed[sub + 4] & 15) | (packed[sub - 4] >> 6) << 4;
    minimum = (packed[sub + 4] >> 4) | (packed[sub] >> 6) << 4;
  }
}

// The values of IQ4_NL and IQ4_XS.
inline constexpr int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

// The scale, -32 to 31, of group `sub` of an IQ4_XS block: upper bits in two bytes, lower in four.
inline int iq4_xs_scale(const uint8_t* block, int sub) {
  const int low = (block[4 + sub / 2] >> (4 * (sub % 2))) & 15;
  const int high = (block[2 + sub / 4] >> (2 * (sub % 4))) & 3;
  return (low | high << 4) - 32;
}

// Row of Hugging Face's order at which GGUF's row `row` belongs.
inline int64_t deinterleaved_row(int64_t row, int64_t head_dim) {
  if (head_dim == 0) return row;
  const int64_t within = row % head_dim;
  return row - within + (within % 2) * (head_dim / 2) + within / 2;
}

}  // namespace gavel
