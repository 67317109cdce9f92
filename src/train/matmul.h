// How exactly a run multiplies with frozen weights: --matmul.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/transformer.h"

namespace gavel {

enum class Matmul : uint8_t {
  usual,  // as the activations are: float32 on a CPU, bfloat16 on a card
  int16,  // the CPU's kernels: inputs rounded to 16 bits
  fp8,    // a card of compute capability 9.0: both sides rounded to 8-bit floating point
};
constexpr std::string_view kMatmulNames[] = {"usual", "int16", "fp8"};
inline std::string_view to_string(Matmul matmul) { return kMatmulNames[static_cast<int>(matmul)]; }

// The model as a run with `matmul` uses it. Throws Error where its device has no such products.
Model with_matmul(Model model, Matmul matmul);

}  // namespace gavel
