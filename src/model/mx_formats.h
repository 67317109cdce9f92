// MLX's floating-point quantization: values of 4 or 8 bits with one 8-bit scale a group and no
// bias.
//
//   mode   values           scale                groups
//   mxfp4  E2M1: 0 ... 6    E8M0: power of two   32
//   mxfp8  E4M3: 0 ... 448  E8M0                 32
//   nvfp4  E2M1             E4M3                 16
//
// Twice an E2M1 value is a whole number from -12 to 12, so mxfp4 becomes affine groups of 32 with 5
// bits and bf16 scales, without loss (6 bits a weight). The others become bf16, which holds their
// values exactly (from 2^-133 up).
#pragma once

#include <string>

#include "model/config.h"
#include "model/weights.h"

namespace gavel {

// packed: U32 [rows, words]; scales: U8 [rows, groups], both evaluated and row-contiguous, their
// shapes checked against `q`, whose mode is one of the above. `name` is what errors call it.
Weight read_mx_weight(const mlx::core::array& packed, const mlx::core::array& scales,
                      const Quantization& q, const std::string& name);

}  // namespace gavel
