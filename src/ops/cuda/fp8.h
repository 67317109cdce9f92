// Frozen products in 8-bit floating point (e4m3 with a float32 scale a row), by cuBLASLt on cards
// of compute capability 9.0. A product's relative error is 2 to 3% where bfloat16's is 0.2%.
#pragma once

#include "ops/tensors.h"

namespace gavel::cuda {

// A matrix [rows, k], value = scales[row] * e4m3.
struct Fp8Rows {
  mx::array values;  // uint8 [rows, k]
  mx::array scales;  // float32 [rows]
};

// What the kernels take as a weight: quantized, its sides multiples of 64 up to 32,768.
bool fits_fp8(const Weight& weight);
// Of a weight that fits, evaluated.
Fp8Scales fp8_scales(const Weight& weight);
// True for a weight with such scales, and rows not so few that cuBLAS has no such product of them.
bool in_fp8(const Weight& weight, int rows);

// x [rows, k], bfloat16, k a multiple of 8 up to 32,768; or the same of silu(gate) * up.
Fp8Rows fp8_rows(const mx::array& x);
Fp8Rows fp8_swiglu(const mx::array& gate, const mx::array& up);
// The weight [n, k], or its transpose [k, n], which has one scale for all.
Fp8Rows fp8_weight(const Weight& weight);
Fp8Rows fp8_weight_transposed(const Weight& weight);

// x[m, k] w[n, k]^T (+ add[m, n]), bfloat16, rounded once. It takes over the memory of `add`, which
// must have been made for it alone. Not differentiable.
mx::array fp8_product(const Fp8Rows& x, const Fp8Rows& w, const std::optional<mx::array>& add);

}  // namespace gavel::cuda
