#include "ops/cpu/product.h"

#include "base/threads.h"
#include "ops/cpu/scratch.h"

namespace gavel::kernels {

void for_pieces(int64_t rows, int64_t columns, const std::function<void(const Piece&)>& work) {
  if (rows <= 0 || columns <= 0) return;
  constexpr int64_t kMaxRows = 512;  // a piece's sums stay in the second-level cache
  constexpr int64_t kMinRows = 48;   // packing a panel is worth while for that many
  const int64_t panel = simd().panel;
  const int64_t strips = (rows + 3) / 4, panels = (columns + panel - 1) / panel;
  int64_t blocks = (rows + kMaxRows - 1) / kMaxRows;
  while (panels * blocks < 4 * num_threads() && rows / (blocks + 1) >= kMinRows) ++blocks;
  parallel_for_dynamic(panels * blocks, 1, [&](int64_t begin, int64_t end) {
    static thread_local Scratch<float> sums;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t column = item % panels * panel, block = item / panels;
      const int64_t row = strips * block / blocks * 4;
      const int64_t count = std::min(rows, strips * (block + 1) / blocks * 4) - row;
      const int64_t size = (count + 3) / 4 * 4 * panel;
      const Piece piece{column, std::min(panel, columns - column), row, count, sums.get(size)};
      std::fill_n(piece.acc, size, 0.0f);
      work(piece);
    }
  });
}

namespace {

// piece.acc += a b for a panel b with rows b_row apart.
void multiply_panel(const Piece& piece, const float* a, int64_t a_row, int64_t a_step,
                    int64_t depth, const float* b, int64_t b_row) {
  const Simd& s = simd();
  const auto tile = piece.columns * 2 <= s.panel ? s.tile_f32_half : s.tile_f32;
  for_tiles(piece.rows, [&](int64_t first, int count) {
    tile(count, a + first * a_row, a_row, a_step, b, b_row, depth, piece.acc + first * s.panel);
  });
}

void store_piece(const Piece& p, float* c, int64_t columns) {
  simd().store_tile(p.acc, p.rows, p.columns, nullptr, nullptr, c + p.row * columns + p.column,
                    columns);
}

}  // namespace

void multiply_f32(const Piece& piece, const float* a, int64_t a_row, int64_t a_step, int64_t depth,
                  const PackF32& pack) {
  static thread_local Scratch<float> panels;
  const int64_t width = simd().panel;
  float* panel = panels.get(std::min(depth, kPanelDepth) * width);
  for (int64_t d0 = 0; d0 < depth; d0 += kPanelDepth) {
    const int64_t d1 = std::min(depth, d0 + kPanelDepth);
    pack(piece.column, piece.columns, d0, d1, panel);
    multiply_panel(piece, a + d0 * a_step, a_row, a_step, d1 - d0, panel, width);
  }
}

void product_f32(const float* a, int64_t a_row, int64_t a_step, int64_t rows, int64_t columns,
                 int64_t depth, const PackF32& pack, float* c) {
  constexpr int64_t kMaxDepth = 4096;  // of one panel for all pieces: it is to stay in a cache
  const int64_t width = simd().panel;
  if (columns > width || depth > kMaxDepth)
    return for_pieces(rows, columns, [&](const Piece& p) {
      multiply_f32(p, a + p.row * a_row, a_row, a_step, depth, pack);
      store_piece(p, c, columns);
    });
  static thread_local Scratch<float> panels;
  float* panel = panels.get(depth * width);
  constexpr int64_t kGrain = 64;
  parallel_for(depth, kGrain, [&](int64_t begin, int64_t end) {
    pack(0, columns, begin, end, panel + begin * width);
  });
  for_pieces(rows, columns, [&](const Piece& p) {
    multiply_panel(p, a + p.row * a_row, a_row, a_step, depth, panel, width);
    store_piece(p, c, columns);
  });
}

void product_f32(const float* a, int64_t a_row, int64_t a_step, int64_t rows, int64_t columns,
                 int64_t depth, const float* b, float* c) {
  const PackF32 pack = pack_rows(b, columns);  // of the last columns, where they are no whole panel
  for_pieces(rows, columns, [&](const Piece& p) {
    const float* from = a + p.row * a_row;
    if (p.columns == simd().panel)
      multiply_panel(p, from, a_row, a_step, depth, b + p.column, columns);
    else
      multiply_f32(p, from, a_row, a_step, depth, pack);
    store_piece(p, c, columns);
  });
}

void product_deep_f32(const float* a, int64_t rows, int64_t columns, int64_t depth,
                      const PackF32& pack, bool accumulate, float* y) {
  const Simd& s = simd();
  const int64_t panels = (columns + s.panel - 1) / s.panel, size = rows * s.panel;
  parallel_for(panels, 1, [&](int64_t begin, int64_t end) {
    static thread_local Scratch<float> sums, packed;
    float* acc = sums.get((end - begin) * size);
    float* panel = packed.get(kPanelDepth * s.panel);
    std::fill_n(acc, (end - begin) * size, 0.0f);
    const auto width = [&](int64_t p) { return std::min<int64_t>(s.panel, columns - p * s.panel); };
    for (int64_t d0 = 0; d0 < depth; d0 += kPanelDepth) {
      const int64_t d1 = std::min(depth, d0 + kPanelDepth);
      for (int64_t p = begin; p < end; ++p) {
        pack(p * s.panel, width(p), d0, d1, panel);
        for_tiles(rows, [&](int64_t first, int count) {
          s.tile_f32(count, a + first * depth + d0, depth, 1, panel, s.panel, d1 - d0,
                     acc + (p - begin) * size + first * s.panel);
        });
      }
    }
    for (int64_t p = begin; p < end; ++p) {
      float* to = y + p * s.panel;
      s.store_tile(acc + (p - begin) * size, rows, width(p), nullptr, accumulate ? to : nullptr, to,
                   columns);
    }
  });
}

PackF32 pack_rows(const float* b, int64_t columns, float factor) {
  return [=](int64_t column, int64_t count, int64_t d0, int64_t d1, float* out) {
    const int64_t panel = simd().panel;
    for (int64_t d = d0; d < d1; ++d, out += panel) {
      for (int64_t j = 0; j < count; ++j) out[j] = factor * b[d * columns + column + j];
      std::fill(out + count, out + panel, 0.0f);
    }
  };
}

PackF32 pack_transposed(const float* b, int64_t depth) {
  return [=](int64_t column, int64_t count, int64_t d0, int64_t d1, float* out) {
    simd().transpose(b + column * depth + d0, depth, count, d1 - d0, out);
  };
}

}  // namespace gavel::kernels
