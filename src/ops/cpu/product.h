// Matrix products by panels: the loops over columns, rows and depth that all of them share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

#include "ops/cpu/simd.h"

namespace gavel::kernels {

// Terms of the reduction that a packed panel holds at most.
constexpr int64_t kPanelDepth = 1024;

// Columns [column, column + columns) (at most a panel) of rows [row, row + rows) of a product,
// summed up in acc [rows][panel] before they are stored.
struct Piece {
  int64_t column, columns;
  int64_t row, rows;  // row is a multiple of 4, and acc has rows up to one
  float* acc;
};

// Cuts a [rows, columns] result into pieces and runs `work` on them with all threads.
void for_pieces(int64_t rows, int64_t columns, const std::function<void(const Piece&)>& work);

// Calls f(first, count) for tiles of about equal size that cover the rows.
template <typename F>
void for_tiles(int64_t rows, F&& f) {
  const int64_t tiles = (rows + simd().tile_rows - 1) / simd().tile_rows;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t first = rows * i / tiles;
    f(first, static_cast<int>(rows * (i + 1) / tiles - first));
  }
}

// A right-hand matrix [depth, columns] of floats: writes rows [d0, d1) of columns
// [column, column + count) as out[d - d0][panel]; columns past `count` are to be zero.
using PackF32 =
    std::function<void(int64_t column, int64_t count, int64_t d0, int64_t d1, float* out)>;

// piece.acc += a[rows, depth] * b for the piece's rows; `a` points at its first row.
void multiply_f32(const Piece& piece, const float* a, int64_t a_row, int64_t a_step, int64_t depth,
                  const PackF32& pack);

// c[rows, columns] = a b, with all threads. a[i, d] is a[i * a_row + d * a_step].
void product_f32(const float* a, int64_t a_row, int64_t a_step, int64_t rows, int64_t columns,
                 int64_t depth, const PackF32& pack, float* c);
// The same for a few rows and a row-major b[depth, columns], which is read in place.
void product_f32(const float* a, int64_t a_row, int64_t a_step, int64_t rows, int64_t columns,
                 int64_t depth, const float* b, float* c);

// The same for a depth so large that a block of it is best taken through all columns at once:
// y[i * columns + j] = sum (+ y where accumulate). a [rows, depth], rows a few hundred at most.
void product_deep_f32(const float* a, int64_t rows, int64_t columns, int64_t depth,
                      const PackF32& pack, bool accumulate, float* y);

// PackF32 of a row-major matrix b[depth, columns] (times factor), and of the transpose of one.
PackF32 pack_rows(const float* b, int64_t columns, float factor = 1.0f);
PackF32 pack_transposed(const float* b, int64_t depth);

}  // namespace gavel::kernels
