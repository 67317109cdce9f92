// Pieces of a product with a quantized weight in 16- or 8-bit integers.
//
// A quantized weight is w = s (q - m) + c, m the middle of q's range and c = b + m s. Activations
// are rounded to 16 bits relative to the largest of each 32 in a row; then the products with q - m
// are exact in 32-bit integers within a block of 32, and blocks are summed in f32. The part of c is
// f32 throughout. Relative error of one product: about 2e-5 forward, 5e-5 backward. Over the 30
// layers of SmolLM2 that becomes 3e-4 in the logits and up to 1.5e-3 in a gradient, so
// training's products are f32 unless asked otherwise. With 8 bits it is about 6e-3 a product.
#pragma once

#include "ops/cpu/product.h"
#include "ops/cpu/weight_rows.h"

namespace gavel::kernels {

enum class Arithmetic : uint8_t { f32, int16, int8 };

// How the products with this weight are done: in integers of at most the precision's bits wherever
// the weight and the processor allow it.
Arithmetic arithmetic(const WeightView& w, Precision precision);

// Rows quantized by blocks of 32, in strips of 4 rows as Simd::tile_i16 or tile_i8 reads them.
struct QuantizedRows {
  int64_t blocks = 0;  // of a row
  const int16_t* values = nullptr;
  const int8_t* bytes = nullptr;  // instead of values
  const float* scales = nullptr;
  const float* sums = nullptr;  // null: not wanted
  const int32_t* centers = nullptr;
};

// Runs with all threads into memory of the calling thread that stands until its next call.
QuantizedRows quantize_for_forward(const float* x, int64_t rows, int64_t k);
QuantizedRows quantize_to_bytes(const float* x, int64_t rows, const WeightView& w);
QuantizedRows quantize_for_backward(const float* dy, int64_t rows, int64_t n);

// piece.acc += x w^T for the piece's rows and columns (of n).
void multiply_forward(const Piece& piece, const QuantizedRows& x, const WeightView& w);
// piece.acc += dy s (q - m) for the piece's rows and columns (of k); the part of c comes from
// offset_product below.
void multiply_backward(const Piece& piece, const QuantizedRows& dy, const WeightView& w);
// out[rows, k / group_size] = dy c
void offset_product(const float* dy, int64_t rows, const WeightView& w, float* out);
// acc[i][j] += z[i][group of column j]
void add_offsets(const Piece& piece, const float* z, const WeightView& w);

}  // namespace gavel::kernels
