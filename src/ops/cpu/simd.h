// The part of the kernels that is compiled once per instruction set. Everything above (threads,
// blocking, shapes) is ordinary code that calls through this table.
#pragma once

#include <cstdint>

#include "ops/cpu/attention.h"
#include "ops/kernels.h"

namespace gavel::kernels {

// Rows of at most kMaxTileRows rows by `panel` columns are computed in registers at a time. A panel
// is that many columns of the right-hand matrix, packed so that a tile reads it in order.
constexpr int kMaxTileRows = 12;
constexpr int kMaxPanel = 32;
// Integer products run over blocks of this many terms, each with its own scales.
constexpr int64_t kBlock = 32;

struct Simd {
  const char* name;
  int panel;      // columns of a panel: two vectors
  int tile_rows;  // rows of a full tile

  // c[i][j] += sum_d a[i * a_row + d * a_step] * b[d * b_row + j], c of leading dimension `panel`.
  void (*tile_f32)(int rows, const float* a, int64_t a_row, int64_t a_step, const float* b,
                   int64_t b_row, int64_t depth, float* c);
  // The same for the first half of a panel's columns, where there are no more (LoRA's few).
  void (*tile_f32_half)(int rows, const float* a, int64_t a_row, int64_t a_step, const float* b,
                        int64_t b_row, int64_t depth, float* c);

  // 16-bit integer products, exact within a block of 32; null: this set has none. Rows come in
  // strips of 4, at most max_strips at a time, each strip's values as [depth / 2][4][2], its scales
  // and sums as [blocks][4]; strips lie x_strip values and scale_strip floats apart.
  // c[i][j] += sum_blocks (sum_32 x * q) * x_scale[i][block] * scale[block][j]
  //            + (x_sum ? x_sum[i][block] * offset[block][j] : 0)
  // q: [block][16][panel][2].
  int max_strips;
  void (*tile_i16)(int strips, const int16_t* x, int64_t x_strip, const float* x_scale,
                   const float* x_sum, int64_t scale_strip, const int16_t* q, const float* scale,
                   const float* offset, int64_t blocks, float* c);
  // Quantizes a strip of rows (1 to 4; the others are zeros) of n floats to 16 bits, one scale for
  // each 32, zeros past n. paired: in the order that pack_forward gives; sums (nullable): of
  // blocks.
  void (*quantize_i16)(const float* x, int rows, int64_t n, bool paired, int16_t* q, float* scale,
                       float* sums);
  // The same to 8 bits: x's strips as [depth / 4][4][4], q
  // [block][8][panel][4], center: `middle` (of q's range) times the integers' sums. most_i8_bits:
  // of weights.
  int most_i8_bits;
  void (*tile_i8)(int strips, const int8_t* x, int64_t x_strip, const float* x_scale,
                  const float* x_sum, const int32_t* center, int64_t scale_strip, const uint8_t* q,
                  const float* scale, const float* offset, int64_t blocks, float* c);
  // n % 32 == 0; in the order that pack_forward_i8 gives for `bits`.
  void (*quantize_i8)(const float* x, int rows, int64_t n, int bits, int32_t middle, int8_t* q,
                      float* scale, float* sums, int32_t* center);
  // out = round(a * b / 2^15), n % 32 == 0
  void (*multiply_i16)(const int16_t* a, const int16_t* b, int64_t n, int16_t* out);

  // From words[d][panel] with 8 (bits 4) or 4 (bits 8) weights of one column each, in order, to
  // tile_i16's panel with `center` subtracted, to tile_i8's, or to tile_f32's with scale and bias
  // [blocks][panel].
  void (*pack_forward)(const uint32_t* words, int bits, int64_t blocks, int center, int16_t* q);
  void (*pack_forward_i8)(const uint32_t* words, int bits, int64_t blocks, uint8_t* q);
  void (*pack_forward_f32)(const uint32_t* words, int bits, int64_t blocks, const float* scale,
                           const float* bias, float* out);
  // From rows of `bits` 4 or 8, `stride` bytes apart, `panel` weights of each, to tile_i16's panel
  // with the rows as the depth. An odd last row gets zeros (less `center`) beside it.
  void (*pack_backward)(const uint8_t* weights, int64_t stride, int bits, int64_t rows, int center,
                        int16_t* q);
  void (*pack_backward_f32)(const uint8_t* weights, int64_t stride, int bits, int64_t rows,
                            const float* scale, const float* bias, float* out);
  // out[d][panel]: columns j < count are from[j * row + d], d < depth, the others zeros.
  void (*transpose)(const float* from, int64_t row, int64_t count, int64_t depth, float* out);
  // out[i] = from[i * stride], i < count, as f32
  void (*convert_scalars)(ScalarType type, const void* from, int64_t stride, int64_t count,
                          float* out);
  // y[i * y_row + j] = c[i][j] (+ bias[j]) (+ residual[i * y_row + j]), j < columns
  void (*store_tile)(const float* c, int64_t rows, int64_t columns, const float* bias,
                     const float* residual, float* y, int64_t y_row);

  // Few rows by a 4- or 8-bit weight as it lies; null: this set has none. Each row is rounded to
  // integers of `digits` bytes (1 or 2), in `values` bytes and `floats` floats; then
  // y[t * y_row + n - n0] for rows [n0, n1) of the weight.
  void (*few_sizes)(int64_t k, int bits, int digits, int64_t* values, int64_t* floats);
  void (*few_quantize)(const float* x, int64_t k, int bits, int digits, int8_t* values,
                       float* floats);
  int64_t (*few_scratch)(int64_t k);
  void (*few_multiply)(const WeightView& w, int64_t n0, int64_t n1, int64_t rows, int digits,
                       const int8_t* values, const float* floats, float* scratch, float* y,
                       int64_t y_row);

  // Few rows by any weight in f32, in the same form; scratch for 3 k floats.
  void (*dot_rows)(const WeightView& w, int64_t n0, int64_t n1, const float* x, int64_t rows,
                   float* scratch, float* y, int64_t y_row);

  // Attention of a block of queries; scratch of attention_scratch floats. attention_few: some
  // keys of one row.
  int64_t (*attention_scratch)(int64_t heads, int64_t d);
  void (*attention_block)(const AttentionBlock& block, float* scratch);
  void (*attention_few)(const AttentionFew& few);
  int64_t (*attention_gradient_scratch)(int64_t keys, int64_t d);
  void (*attention_gradient)(const AttentionGradient& g, float* scratch);

  // As in ops/kernels.h, for a range of rows or elements.
  void (*rms_norm_rows)(const float* x, const float* weight, int64_t rows, int64_t dim, float eps,
                        float* y, float* inv_rms);
  void (*rms_norm_backward_rows)(const float* x, const float* weight, const float* inv_rms,
                                 const float* dy, int64_t rows, int64_t dim, float eps, float* dx,
                                 bool accumulate);
  void (*rope_row)(const float* x, const float* cosine, const float* sine, int64_t heads,
                   int64_t head_dim, bool inverse, float* y);
  void (*swiglu_range)(const float* gate, const float* up, int64_t count, float* y);
  void (*swiglu_backward_range)(const float* gate, const float* up, const float* dy, int64_t count,
                                float* dgate, float* dup);
  void (*adamw_range)(float* param, const float* grad, float* m, float* v, int64_t count,
                      const AdamWParams& p, float correct1, float correct2);
  void (*to_halves_range)(const float* from, int64_t count, uint16_t* to);
  void (*scale_range)(float* x, int64_t count, float factor);
  // Returns sum exp(x - max), n > 0, and max; with keep, x becomes those terms.
  float (*softmax_terms)(float* x, int64_t n, bool keep, float* max);
};

// The best set that this processor has and GAVEL_SIMD allows.
const Simd& simd();
// Chooses a set by name for tests; false where the processor lacks it.
bool set_simd(const char* name);

extern const Simd kSimdPortable;
#if defined(__x86_64__)
extern const Simd kSimdAvx2;
extern const Simd kSimdAvx512;
#endif

}  // namespace gavel::kernels
