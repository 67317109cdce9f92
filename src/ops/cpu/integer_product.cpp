#include <algorithm>

#include "base/threads.h"
#include "ops/cpu/linear.h"
#include "ops/cpu/scratch.h"
#include "ops/cpu/weight_panel.h"

namespace gavel::kernels {
namespace {

QuantizedRows quantize(const float* x, int64_t rows, int64_t n, bool forward) {
  static thread_local Scratch<int16_t> values;
  static thread_local Scratch<float> scales;
  const int64_t strips = (rows + 3) / 4, blocks = (n + kBlock - 1) / kBlock;
  int16_t* q = values.get(strips * blocks * kBlock * 4);
  float* scale = scales.get(2 * strips * blocks * 4);
  float* sums = forward ? scale + strips * blocks * 4 : nullptr;
  parallel_for(strips, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      simd().quantize_i16(x + i * 4 * n, static_cast<int>(std::min<int64_t>(4, rows - i * 4)), n,
                          forward, q + i * blocks * kBlock * 4, scale + i * blocks * 4,
                          sums ? sums + i * blocks * 4 : nullptr);
  });
  return {blocks, q, nullptr, scale, sums, nullptr};
}

// Calls f(first strip, strips) for tiles of about equal size that cover the rows.
template <typename F>
void for_strips(int64_t rows, F&& f) {
  const int64_t strips = (rows + 3) / 4, most = simd().max_strips;
  const int64_t tiles = (strips + most - 1) / most;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t first = strips * i / tiles;
    f(first, static_cast<int>(strips * (i + 1) / tiles - first));
  }
}

struct BackwardPanel {
  static constexpr int64_t kMaxDepth = 512;  // so that the products stay in the first-level cache
  Scratch<uint8_t> bytes;
  Scratch<int16_t> q, factors, products;
  Scratch<float> scale;

  // Columns [first, first + panel) of the rows [n0, n1) of w become the panel; `factors` are the
  // rows' scales in 16 bits, once for each row of a strip, relative to the largest of each 32 rows,
  // which goes to `scale`.
  void pack(const WeightView& w, int64_t first, int64_t n0, int64_t n1) {
    const Simd& s = simd();
    const int64_t rows = n1 - n0, blocks = (rows + kBlock - 1) / kBlock;
    float value[4 * kMaxDepth], unit[4 * kMaxDepth / kBlock];
    load_scalars(w, w.scales, n0, first / w.group_size, true, rows, value);
    for (int row = 1; row < 4; ++row) std::copy_n(value, rows, value + row * rows);
    s.quantize_i16(value, 4, rows, false, factors.get(blocks * kBlock * 4), unit, nullptr);
    float* scales = scale.get(blocks * s.panel);
    // multiply_i16 divides by 2^15.
    for (int64_t b = 0; b < blocks; ++b)
      std::fill_n(scales + b * s.panel, s.panel, unit[b * 4] * 32768.0f);
    int16_t* packed = q.get(blocks * kBlock * s.panel);
    std::fill(packed + rows / 2 * 2 * s.panel, packed + blocks * kBlock * s.panel, int16_t{0});
    if (w.bits == 4 || w.bits == 8) {
      s.pack_backward(packed_row(w, n0) + first * w.bits / 8, w.k * w.bits / 8, w.bits, rows,
                      middle(w), packed);
      return;
    }
    uint8_t* unpacked = bytes.get(rows * s.panel);
    for (int64_t i = 0; i < rows; ++i)
      unpack_bytes(w, n0 + i, first, s.panel, unpacked + i * s.panel);
    s.pack_backward(unpacked, s.panel, 8, rows, middle(w), packed);
  }
};

}  // namespace

Arithmetic arithmetic(const WeightView& w, Precision precision) {
  if (!w.quantized() || w.group_size % kBlock != 0 || !simd().tile_i16) return Arithmetic::f32;
  if (precision == Precision::int8 && w.bits <= simd().most_i8_bits) return Arithmetic::int8;
  return precision == Precision::float32 ? Arithmetic::f32 : Arithmetic::int16;
}

QuantizedRows quantize_for_forward(const float* x, int64_t rows, int64_t k) {
  return quantize(x, rows, k, true);
}

QuantizedRows quantize_to_bytes(const float* x, int64_t rows, const WeightView& w) {
  static thread_local Scratch<int8_t> values;
  static thread_local Scratch<float> scales;
  static thread_local Scratch<int32_t> centers;
  const int64_t strips = (rows + 3) / 4, blocks = w.k / kBlock, size = blocks * 4;
  int8_t* q = values.get(strips * size * kBlock);
  float* scale = scales.get(2 * strips * size);
  float* sums = scale + strips * size;
  int32_t* center = centers.get(strips * size);
  parallel_for(strips, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      simd().quantize_i8(x + i * 4 * w.k, static_cast<int>(std::min<int64_t>(4, rows - i * 4)), w.k,
                         w.bits == 4 ? 4 : 8, middle(w), q + i * size * kBlock, scale + i * size,
                         sums + i * size, center + i * size);
  });
  return {blocks, nullptr, q, scale, sums, center};
}

QuantizedRows quantize_for_backward(const float* dy, int64_t rows, int64_t n) {
  return quantize(dy, rows, n, false);
}

void multiply_forward(const Piece& piece, const QuantizedRows& x, const WeightView& w) {
  static thread_local WeightColumns panel;
  static thread_local Scratch<int16_t> packed;
  static thread_local Scratch<uint8_t> packed_bytes;
  const Simd& s = simd();
  const int64_t x_strip = x.blocks * kBlock * 4, scale_strip = x.blocks * 4;
  for (int64_t d0 = 0; d0 < w.k; d0 += kPanelDepth) {
    const int64_t d1 = std::min(w.k, d0 + kPanelDepth), blocks = (d1 - d0) / kBlock;
    panel.load(w, piece.column, piece.columns, d0, d1, middle(w));
    int16_t* q = nullptr;
    uint8_t* bytes = nullptr;
    if (x.bytes)
      s.pack_forward_i8(panel.words, panel.bits, blocks,
                        bytes = packed_bytes.get(blocks * kBlock * s.panel));
    else
      s.pack_forward(panel.words, panel.bits, blocks, middle(w),
                     q = packed.get(blocks * kBlock * s.panel));
    for_strips(piece.rows, [&](int64_t first, int strips) {
      const int64_t strip = piece.row / 4 + first, at = strip * scale_strip + d0 / kBlock * 4;
      const int64_t from = strip * x_strip + d0 * 4;
      float* acc = piece.acc + first * 4 * s.panel;
      if (x.bytes)
        s.tile_i8(strips, x.bytes + from, x_strip, x.scales + at, x.sums + at, x.centers + at,
                  scale_strip, bytes, panel.scales, panel.biases, blocks, acc);
      else
        s.tile_i16(strips, x.values + from, x_strip, x.scales + at, x.sums + at, scale_strip, q,
                   panel.scales, panel.biases, blocks, acc);
    });
  }
}

void multiply_backward(const Piece& piece, const QuantizedRows& dy, const WeightView& w) {
  constexpr int64_t kDepth = BackwardPanel::kMaxDepth;
  static thread_local BackwardPanel panel;
  const Simd& s = simd();
  const int64_t dy_strip = dy.blocks * kBlock * 4, scale_strip = dy.blocks * 4;
  for (int64_t n0 = 0; n0 < w.n; n0 += kDepth) {
    const int64_t n1 = std::min(w.n, n0 + kDepth);
    const int64_t blocks = (n1 - n0 + kBlock - 1) / kBlock, size = blocks * kBlock * 4;
    panel.pack(w, piece.column, n0, n1);
    int16_t* products = panel.products.get(size * s.max_strips);
    for_strips(piece.rows, [&](int64_t first, int strips) {
      const int64_t strip = piece.row / 4 + first;
      for (int64_t i = 0; i < strips; ++i)
        s.multiply_i16(dy.values + (strip + i) * dy_strip + n0 * 4, panel.factors.get(0), size,
                       products + i * size);
      s.tile_i16(strips, products, size, dy.scales + strip * scale_strip + n0 / kBlock * 4, nullptr,
                 scale_strip, panel.q.get(0), panel.scale.get(0), nullptr, blocks,
                 piece.acc + first * 4 * s.panel);
    });
  }
}

void offset_product(const float* dy, int64_t rows, const WeightView& w, float* out) {
  const auto pack = [&](int64_t column, int64_t count, int64_t d0, int64_t d1, float* to) {
    const int64_t panel = simd().panel;
    const float center = static_cast<float>(middle(w));
    float scales[kMaxPanel] = {}, biases[kMaxPanel] = {};
    for (int64_t d = d0; d < d1; ++d, to += panel) {
      load_scalars(w, w.scales, d, column, false, count, scales);
      load_scalars(w, w.biases, d, column, false, count, biases);
      for (int64_t j = 0; j < panel; ++j) to[j] = biases[j] + center * scales[j];
    }
  };
  product_f32(dy, w.n, 1, rows, w.k / w.group_size, w.n, pack, out);
}

void add_offsets(const Piece& piece, const float* z, const WeightView& w) {
  const int64_t panel = simd().panel, groups = w.k / w.group_size;
  for (int64_t i = 0; i < piece.rows; ++i) {
    const float value = z[(piece.row + i) * groups + piece.column / w.group_size];
    for (int64_t j = 0; j < panel; ++j) piece.acc[i * panel + j] += value;
  }
}

}  // namespace gavel::kernels
