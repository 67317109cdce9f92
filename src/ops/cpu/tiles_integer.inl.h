// The tiles of a matrix product in 16- and 8-bit integers, and the rounding of their left-hand
// rows.
#pragma once

#include "ops/cpu/packing.inl.h"
#include "ops/cpu/tiles.inl.h"

#if defined(__AVX2__)

namespace gavel::kernels {
namespace {

// acc[row][vector] = sums over a block of products of the rows of S strips with the panel. T:
// int16_t with a panel of int16_t, int8_t with one of uint8_t; as many of them as a 32-bit lane
// holds.
template <int S, typename T>
inline void multiply_block(const T* x, int64_t x_strip, const void* q, vi (&acc)[4 * S][2]) {
#if defined(__AVX512F__)
  // Assembly, because GCC 12 spills the accumulators around the intrinsic. `x` is the address of
  // the first strip, `s` the distance in bytes to the next.
#define GAVEL_ROW(op, strip, row, low, high)                                      \
  op " gavel_step*16+4*" #row "(" strip ")%{1to16%}, %%zmm30, %[" #low "]\n\t" op \
     " gavel_step*16+4*" #row "(" strip ")%{1to16%}, %%zmm31, %[" #high "]\n\t"
#define GAVEL_STRIP(op, strip, a, b, c, d, e, f, g, h) \
  GAVEL_ROW(op, strip, 0, a, b)                        \
  GAVEL_ROW(op, strip, 1, c, d) GAVEL_ROW(op, strip, 2, e, f) GAVEL_ROW(op, strip, 3, g, h)
#define GAVEL_STRIP_0(op) GAVEL_STRIP(op, "%[x]", a0, b0, a1, b1, a2, b2, a3, b3)
#define GAVEL_STRIP_1(op) GAVEL_STRIP(op, "%[x],%[s]", a4, b4, a5, b5, a6, b6, a7, b7)
#define GAVEL_STRIP_2(op) GAVEL_STRIP(op, "%[x],%[s],2", a8, b8, a9, b9, a10, b10, a11, b11)
#define GAVEL_BLOCK(steps, rows)                \
  ".set gavel_step, 0\n\t.rept " steps "\n\t"   \
  "vmovdqu32 gavel_step*128(%[q]), %%zmm30\n\t" \
  "vmovdqu32 gavel_step*128+64(%[q]), %%zmm31\n\t" rows ".set gavel_step, gavel_step+1\n\t.endr"
#define GAVEL_OUT(i) [a##i] "=&v"(acc[i][0]), [b##i] "=&v"(acc[i][1])
#define GAVEL_ZERO(i) \
  "vpxord %[a" #i "], %[a" #i "], %[a" #i "]\n\tvpxord %[b" #i "], %[b" #i "], %[b" #i "]\n\t"
#define GAVEL_ZERO_4(a, b, c, d) GAVEL_ZERO(a) GAVEL_ZERO(b) GAVEL_ZERO(c) GAVEL_ZERO(d)
#define GAVEL_OUT_4(a, b, c, d) GAVEL_OUT(a), GAVEL_OUT(b), GAVEL_OUT(c), GAVEL_OUT(d)
#define GAVEL_INPUTS \
  [x] "r"(x), [s] "r"(x_strip * int64_t{sizeof *x}), [q] "r"(q) : "xmm30", "xmm31", "memory"
#define GAVEL_MULTIPLY(op, steps)                                                              \
  if constexpr (S == 3)                                                                        \
    asm volatile(GAVEL_ZERO_4(0, 1, 2, 3) GAVEL_ZERO_4(4, 5, 6, 7) GAVEL_ZERO_4(8, 9, 10, 11)  \
                     GAVEL_BLOCK(steps, GAVEL_STRIP_0(op) GAVEL_STRIP_1(op) GAVEL_STRIP_2(op)) \
                 : GAVEL_OUT_4(0, 1, 2, 3), GAVEL_OUT_4(4, 5, 6, 7), GAVEL_OUT_4(8, 9, 10, 11) \
                 : GAVEL_INPUTS);                                                              \
  else if constexpr (S == 2)                                                                   \
    asm volatile(GAVEL_ZERO_4(0, 1, 2, 3) GAVEL_ZERO_4(4, 5, 6, 7)                             \
                     GAVEL_BLOCK(steps, GAVEL_STRIP_0(op) GAVEL_STRIP_1(op))                   \
                 : GAVEL_OUT_4(0, 1, 2, 3), GAVEL_OUT_4(4, 5, 6, 7)                            \
                 : GAVEL_INPUTS);                                                              \
  else                                                                                         \
    asm volatile(GAVEL_ZERO_4(0, 1, 2, 3) GAVEL_BLOCK(steps, GAVEL_STRIP_0(op))                \
                 : GAVEL_OUT_4(0, 1, 2, 3)                                                     \
                 : GAVEL_INPUTS)
  if constexpr (sizeof(T) == 2) {
    GAVEL_MULTIPLY("vpdpwssd", "16");
  } else {
    GAVEL_MULTIPLY("vpdpbusd", "8");
  }
#else
  static_assert(S == 1);
  (void)x_strip;
  constexpr int kLane = 4 / sizeof(T), kSteps = kBlock / kLane;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) acc[i][0] = acc[i][1] = vi{};
#pragma GCC unroll 4
  for (int step = 0; step < kSteps; ++step) {
    const auto* panel = static_cast<const __m256i_u*>(q) + step * 2;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m256i values = _mm256_castps_si256(
          _mm256_broadcast_ss(reinterpret_cast<const float*>(x + (step * 4 + i) * kLane)));
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        if constexpr (sizeof(T) == 2) {
          acc[i][half] += reinterpret_cast<vi>(_mm256_madd_epi16(values, panel[half]));
        } else {  // weights of at most 15: the block's sums fit into 16 bits
          const __m256i sum = reinterpret_cast<__m256i>(acc[i][half]);
          acc[i][half] = reinterpret_cast<vi>(
              _mm256_add_epi16(sum, _mm256_maddubs_epi16(panel[half], values)));
        }
      }
    }
  }
  if constexpr (sizeof(T) == 1) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half)
        acc[i][half] = reinterpret_cast<vi>(
            _mm256_madd_epi16(reinterpret_cast<__m256i>(acc[i][half]), _mm256_set1_epi16(1)));
  }
#endif
}

// kSums: with the offsets' part. Bytes have a `center` to take off: m times the sum of a row's
// block.
template <int S, bool kSums, typename T>
void tile_strips(const T* x, int64_t x_strip, const float* x_scale, const float* x_sum,
                 const int32_t* center, int64_t scale_strip, const void* q, const float* scale,
                 const float* offset, int64_t blocks, float* c) {
  for (int64_t block = 0; block < blocks; ++block) {
    vi acc[4 * S][2];
    multiply_block<S, T>(x + block * kBlock * 4, x_strip,
                         static_cast<const T*>(q) + block * kBlock * kPanel, acc);
    const vf s0 = load(scale + block * kPanel), s1 = load(scale + block * kPanel + kWidth);
    vf o0{}, o1{};
    if constexpr (kSums) {
      o0 = load(offset + block * kPanel);
      o1 = load(offset + block * kPanel + kWidth);
    }
#pragma GCC unroll 12
    for (int i = 0; i < 4 * S; ++i) {
      float* out = c + i * kPanel;
      const int64_t at = i / 4 * scale_strip + block * 4 + i % 4;
      if constexpr (sizeof(T) == 1) {
        acc[i][0] -= center[at];
        acc[i][1] -= center[at];
      }
      const float sx = x_scale[at];
      vf low = load(out) + __builtin_convertvector(acc[i][0], vf) * (s0 * sx);
      vf high = load(out + kWidth) + __builtin_convertvector(acc[i][1], vf) * (s1 * sx);
      if constexpr (kSums) {
        low += o0 * x_sum[at];
        high += o1 * x_sum[at];
      }
      store(out, low);
      store(out + kWidth, high);
    }
  }
}

constexpr int kMaxStrips = kWidth == 16 ? 3 : 1;

void tile_i16(int strips, const int16_t* x, int64_t x_strip, const float* x_scale,
              const float* x_sum, int64_t scale_strip, const int16_t* q, const float* scale,
              const float* offset, int64_t blocks, float* c) {
  with_rows<kMaxStrips>(strips, [&]<int S>() {
    auto* tile = x_sum ? tile_strips<S, true, int16_t> : tile_strips<S, false, int16_t>;
    tile(x, x_strip, x_scale, x_sum, nullptr, scale_strip, q, scale, offset, blocks, c);
  });
}

void tile_i8(int strips, const int8_t* x, int64_t x_strip, const float* x_scale, const float* x_sum,
             const int32_t* center, int64_t scale_strip, const uint8_t* q, const float* scale,
             const float* offset, int64_t blocks, float* c) {
  with_rows<kMaxStrips>(strips, [&]<int S>() {
    tile_strips<S, true, int8_t>(x, x_strip, x_scale, x_sum, center, scale_strip, q, scale, offset,
                                 blocks, c);
  });
}

// Of each 8 lanes the first 4, and the last.
constexpr int first_four(int lane) { return lane / 4 * 8 + lane % 4; }
constexpr int last_four(int lane) { return first_four(lane) + 4; }
// Pairs of lanes of two vectors' lower halves, one of each in turn, and of their higher ones.
constexpr int low_pairs(int lane) { return lane / 4 * 2 + lane % 2 + lane / 2 % 2 * kWidth; }
constexpr int high_pairs(int lane) { return low_pairs(lane) + kWidth / 2; }

// kPanel integers, |v| <= 32767, as 16-bit ones; paired: each 8 in the order 0 4 1 5 2 6 3 7.
inline vi narrow(vi a, vi b, bool paired) {
  const vi low = paired ? shuffle<first_four>(a, b) : shuffle<even>(a, b);
  const vi high = paired ? shuffle<last_four>(a, b) : shuffle<odd>(a, b);
  return (low & 0xffff) | (high << 16);
}

// 32-bit lanes of four rows side by side: out[lane][4].
inline void interleave(const vi (&row)[4], int16_t* out) {
  const vi ab[2] = {shuffle<low_half>(row[0], row[1]), shuffle<high_half>(row[0], row[1])};
  const vi cd[2] = {shuffle<low_half>(row[2], row[3]), shuffle<high_half>(row[2], row[3])};
  for (int i = 0; i < 2; ++i) {
    *reinterpret_cast<vi_u*>(out + 2 * i * kPanel) = shuffle<low_pairs>(ab[i], cd[i]);
    *reinterpret_cast<vi_u*>(out + (2 * i + 1) * kPanel) = shuffle<high_pairs>(ab[i], cd[i]);
  }
}

void quantize_i16(const float* x, int rows, int64_t n, bool paired, int16_t* q, float* scale,
                  float* sums) {
  constexpr int kVectors = kBlock / kWidth;
  for (int64_t block = 0; block * kBlock < n; ++block) {
    vi narrowed[kVectors / 2][4];
    for (int row = 0; row < 4; ++row) {
      const float* from = x + row * n + block * kBlock;
      float padded[kBlock] = {};
      if (row >= rows || n - block * kBlock < kBlock) {
        for (int64_t i = 0; row < rows && block * kBlock + i < n; ++i) padded[i] = from[i];
        from = padded;
      }
      vf v[kVectors], top{}, sum{};
      for (int i = 0; i < kVectors; ++i) {
        v[i] = load(from + i * kWidth);
        top = vmax(top, vabs(v[i]));
        sum += v[i];
      }
      const float largest = max_lanes(top);
      const float inverse = largest > 0 ? 32767.0f / largest : 0.0f;
#pragma GCC unroll 2
      for (int i = 0; i < kVectors; i += 2)
        narrowed[i / 2][row] =
            narrow(round_to_int(v[i] * inverse), round_to_int(v[i + 1] * inverse), paired);
      scale[block * 4 + row] = largest / 32767.0f;
      if (sums) sums[block * 4 + row] = sum_lanes(sum);
    }
    for (int i = 0; i < kVectors / 2; ++i)
      interleave(narrowed[i], q + block * kBlock * 4 + i * 4 * kPanel);
  }
}

void quantize_i8(const float* x, int rows, int64_t n, int bits, int32_t middle, int8_t* q,
                 float* scale, float* sums, int32_t* center) {
  for (int64_t block = 0; block * kBlock < n; ++block) {
    alignas(64) int32_t lanes[4][kBlock / 4] = {};
    for (int row = 0; row < 4; ++row) {
      const int64_t at = block * 4 + row;
      if (row >= rows) {
        scale[at] = sums[at] = 0.0f;
        center[at] = 0;
        continue;
      }
      const float* from = x + row * n + block * kBlock;
      vf top{}, sum{};
      for (int i = 0; i < kBlock; i += kWidth) {
        const vf v = load(from + i);
        top = vmax(top, vabs(v));
        sum += v;
      }
      const float largest = max_lanes(top);
      const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
      vi total{};
      typedef int8_t bytes __attribute__((vector_size(kWidth)));
      typedef bytes bytes_u __attribute__((aligned(1), may_alias));
      auto* out = reinterpret_cast<int8_t*>(lanes[row]);
      for (int i = 0; i < kBlock; i += kWidth) {
        const vi v = round_to_int(load(from + i) * inverse);
        total += v;
        *reinterpret_cast<bytes_u*>(out + i) = __builtin_convertvector(v, bytes);
      }
      if (bits == 4) {  // each 8 as 0 2 4 6 1 3 5 7
        const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
        for (int i = 0; i < kBlock; i += 16) {
          auto* part = reinterpret_cast<__m128i*>(out + i);
          _mm_store_si128(part, _mm_shuffle_epi8(_mm_load_si128(part), order));
        }
      }
      scale[at] = largest / 127.0f;
      sums[at] = sum_lanes(sum);
      center[at] = middle * static_cast<int32_t>(sum_lanes(__builtin_convertvector(total, vf)));
    }
    auto* out = reinterpret_cast<int32_t*>(q + block * kBlock * 4);
    for (int lane = 0; lane < kBlock / 4; ++lane)
      for (int row = 0; row < 4; ++row) out[lane * 4 + row] = lanes[row][lane];
  }
}

void multiply_i16(const int16_t* a, const int16_t* b, int64_t n, int16_t* out) {
  for (int64_t i = 0; i < n; i += kPanel) {
#if defined(__AVX512F__)
    _mm512_storeu_si512(out + i,
                        _mm512_mulhrs_epi16(_mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i)));
#else
    const auto at = [](const int16_t* p) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    };
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        _mm256_mulhrs_epi16(at(a + i), at(b + i)));
#endif
  }
}
}  // namespace
}  // namespace gavel::kernels

#endif  // __AVX2__
