// Weights in MLX's layout become panels, and scalars become floats.
#pragma once

#include "ops/cpu/vector.inl.h"

namespace gavel::kernels {
namespace {

inline vf load_half(ScalarType type, const uint16_t* p) {
  return type == ScalarType::f16 ? load_f16(p) : load_bf16(p);
}

void convert_scalars(ScalarType type, const void* from, int64_t stride, int64_t count, float* out) {
  const auto* half = static_cast<const uint16_t*>(from);
  const auto* full = static_cast<const float*>(from);
  if (type == ScalarType::f32) {
    if (stride == 1)
      __builtin_memcpy(out, full, count * sizeof(float));
    else
      for (int64_t i = 0; i < count; ++i) out[i] = full[i * stride];
    return;
  }
  int64_t i = 0;
  if (stride == 1 && count >= kWidth) {
    for (; i + kWidth <= count; i += kWidth) store(out + i, load_half(type, half + i));
    // The rest by a vector that overlaps the last whole one.
    if (i < count) store(out + count - kWidth, load_half(type, half + count - kWidth));
    return;
  }
  for (; i < count; ++i) {
#if defined(__AVX2__)
    const float wide = _cvtsh_ss(half[i * stride]);
#else
    const float wide = f16_to_float(half[i * stride]);
#endif
    out[i] = type == ScalarType::f16 ? wide : bf16_to_float(half[i * stride]);
  }
}

// The 4 vectors of pairs (i, i + 4) of 8 weights a lane, which start at words[0] (bits 4) or lie in
// words[0] and words[panel] (bits 8).
inline void split_pairs(const uint32_t* words, int bits, vu (&pairs)[4]) {
  const vu w0 = *reinterpret_cast<const vu_u*>(words);
  if (bits == 4) {
    for (int p = 0; p < 4; ++p) pairs[p] = (w0 >> (4 * p)) & 0x000f000fu;
    return;
  }
  const vu w1 = *reinterpret_cast<const vu_u*>(words + kPanel);
  for (int p = 0; p < 4; ++p)
    pairs[p] = ((w0 >> (8 * p)) & 0xffu) | (((w1 >> (8 * p)) & 0xffu) << 16);
}

void pack_forward(const uint32_t* words, int bits, int64_t blocks, int center, int16_t* q) {
  const vs middle = static_cast<int16_t>(center) - vs{};
  const int64_t step = bits == 4 ? kPanel : 2 * kPanel;
  for (int64_t eighth = 0; eighth < blocks * kBlock / 8; ++eighth) {
    for (int half = 0; half < 2; ++half) {  // the two vectors of a panel
      vu pairs[4];
      split_pairs(words + eighth * step + half * kWidth, bits, pairs);
      int16_t* out = q + eighth * 8 * kPanel + half * kPanel;
      for (int p = 0; p < 4; ++p)
        *reinterpret_cast<vs_u*>(out + p * 2 * kPanel) = reinterpret_cast<vs>(pairs[p]) - middle;
    }
  }
}

void pack_forward_i8(const uint32_t* words, int bits, int64_t blocks, uint8_t* q) {
  const int64_t vectors = blocks * kBlock * kPanel * bits / 32 / kWidth;
  for (int64_t v = 0; v < vectors; ++v) {
    const vu w = *reinterpret_cast<const vu_u*>(words + v * kWidth);
    if (bits == 8) {
      *reinterpret_cast<vu_u*>(q + v * 4 * kWidth) = w;
      continue;
    }
    // A word's even weights, a panel of them, then its odd ones.
    uint8_t* out = q + (v / 2 * 2 * kPanel + v % 2 * kWidth) * 4;
    *reinterpret_cast<vu_u*>(out) = w & 0x0f0f0f0fu;
    *reinterpret_cast<vu_u*>(out + kPanel * 4) = (w >> 4) & 0x0f0f0f0fu;
  }
}

void pack_forward_f32(const uint32_t* words, int bits, int64_t blocks, const float* scale,
                      const float* bias, float* out) {
  const int64_t step = bits == 4 ? kPanel : 2 * kPanel;
  for (int64_t block = 0; block < blocks; ++block) {
    for (int half = 0; half < 2; ++half) {
      const vf s = load(scale + block * kPanel + half * kWidth);
      const vf b = load(bias + block * kPanel + half * kWidth);
      for (int64_t eighth = block * kBlock / 8; eighth < (block + 1) * kBlock / 8; ++eighth) {
        vu pairs[4];
        split_pairs(words + eighth * step + half * kWidth, bits, pairs);
        float* to = out + eighth * 8 * kPanel + half * kWidth;
        for (int p = 0; p < 4; ++p) {
          const vi low = reinterpret_cast<vi>(pairs[p] & 0xffffu);
          const vi high = reinterpret_cast<vi>(pairs[p] >> 16);
          store(to + p * kPanel, __builtin_convertvector(low, vf) * s + b);
          store(to + (p + 4) * kPanel, __builtin_convertvector(high, vf) * s + b);
        }
      }
    }
  }
}

// out[d][kPanel] of kWidth rows and kWidth columns: each step brings the rows i and i + kWidth / 2
// together, element by element, and after log2(kWidth) of them all is exchanged.
inline void transpose_square(const float* from, int64_t row, float* out) {
  vf a[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) a[i] = load(from + i * row);
#pragma GCC unroll 4
  for (int step = 1; step < kWidth; step *= 2) {
    vf b[kWidth];
#pragma GCC unroll 8
    for (int i = 0; i < kWidth / 2; ++i) {
      b[2 * i] = shuffle<low_half>(a[i], a[i + kWidth / 2]);
      b[2 * i + 1] = shuffle<high_half>(a[i], a[i + kWidth / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) a[i] = b[i];
  }
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) store(out + i * kPanel, a[i]);
}

void transpose(const float* from, int64_t row, int64_t count, int64_t depth, float* out) {
  for (int64_t j = 0; j < kPanel; j += kWidth) {
    if (j + kWidth <= count && depth >= kWidth) {
      for (int64_t d = 0; d < depth; d += kWidth) {
        const int64_t at = d + kWidth <= depth ? d : depth - kWidth;  // the last may overlap
        transpose_square(from + j * row + at, row, out + at * kPanel + j);
      }
      continue;
    }
    for (int64_t d = 0; d < depth; ++d)
      for (int64_t i = j; i < j + kWidth; ++i)
        out[d * kPanel + i] = i < count ? from[i * row + d] : 0.0f;
  }
}

// A vector of the bytes p[0, kWidth) as 32-bit integers.
inline vu widen_bytes(const uint8_t* p) {
#if defined(__AVX512F__)
  return reinterpret_cast<vu>(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(__AVX2__)
  return reinterpret_cast<vu>(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  return vu{p[0], p[1], p[2], p[3]};
#endif
}

// kPanel weights of `bits` 4 or 8, a byte each.
inline void spread_bytes(const uint8_t* p, int bits, uint8_t* out) {
  if (bits == 8) {
    __builtin_memcpy(out, p, kPanel);
    return;
  }
#if defined(__AVX512F__)
  const __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i both = _mm256_or_si256(wide, _mm256_slli_epi16(wide, 4));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                      _mm256_and_si256(both, _mm256_set1_epi8(15)));
#elif defined(__AVX2__)
  const __m128i wide = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  const __m128i both = _mm_or_si128(wide, _mm_slli_epi16(wide, 4));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_and_si128(both, _mm_set1_epi8(15)));
#else
  for (int i = 0; i < kPanel / 2; ++i) {
    out[2 * i] = p[i] & 15;
    out[2 * i + 1] = p[i] >> 4;
  }
#endif
}

void pack_backward(const uint8_t* weights, int64_t stride, int bits, int64_t rows, int center,
                   int16_t* q) {
  const vs middle = static_cast<int16_t>(center) - vs{};
  for (int64_t row = 0; row < rows; row += 2) {
    alignas(64) uint8_t even[kPanel], odd[kPanel] = {};
    spread_bytes(weights + row * stride, bits, even);
    if (row + 1 < rows) spread_bytes(weights + (row + 1) * stride, bits, odd);
    for (int half = 0; half < 2; ++half)
      *reinterpret_cast<vs_u*>(q + row * kPanel + half * kPanel) =
          reinterpret_cast<vs>(widen_bytes(even + half * kWidth) |
                               (widen_bytes(odd + half * kWidth) << 16)) -
          middle;
  }
}

void pack_backward_f32(const uint8_t* weights, int64_t stride, int bits, int64_t rows,
                       const float* scale, const float* bias, float* out) {
  for (int64_t row = 0; row < rows; ++row) {
    alignas(64) uint8_t bytes[kPanel];
    spread_bytes(weights + row * stride, bits, bytes);
    for (int half = 0; half < 2; ++half) {
      const vi q = reinterpret_cast<vi>(widen_bytes(bytes + half * kWidth));
      store(out + row * kPanel + half * kWidth,
            __builtin_convertvector(q, vf) * scale[row] + bias[row]);
    }
  }
}

}  // namespace
}  // namespace gavel::kernels
