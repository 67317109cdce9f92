// A few activation rows times a quantized weight as it lies in memory: bounded by the reading of
// the weight. Activations are rounded relative to the largest of each 32, to 8 bits (one digit in
// [-127, 127]) or to 16 (two such digits: 255 times the first and the second).
//
// With w = s q + b and x = e i: sum w x over a block of 32 becomes
// s (e sum(q i) + m (sum x - e sum i)) + b sum x, m the middle of q's range: so the rounding of x
// meets only q - m, as small as it can be.
#pragma once

#include "ops/cpu/packing.inl.h"

#if defined(__AVX2__)

namespace gavel::kernels {
namespace {

// A chunk is one vector of packed weights; it holds kGroups blocks of 32.
template <int kBits>
constexpr int kChunk = kWidth * 4 * 8 / kBits;
template <int kBits>
constexpr int kGroups = kChunk<kBits> / 32;

// What one activation row becomes, chunk by chunk.
struct FewLayout {
  int64_t chunks, values, scales, sums;  // values: bytes of a digit; scales, sums: floats, of a row
};

constexpr int kDigitBase = 255;  // two digits of at most 127 reach 127 * 255 + 127

inline FewLayout few_layout(int64_t k, int bits) {
  const int64_t chunk = bits == 4 ? kChunk<4> : kChunk<8>, chunks = (k + chunk - 1) / chunk;
  return {chunks, chunks * chunk, chunks * 2 * kWidth, (k / 32 + kWidth - 1) / kWidth * kWidth};
}

void few_sizes(int64_t k, int bits, int digits, int64_t* values, int64_t* floats) {
  const FewLayout l = few_layout(k, bits);
  *values = digits * l.values;
  *floats = l.scales + l.sums;
}

// values: the first digits, then the second ones; of each per chunk the even weights' activations,
// then the odd ones' (4 bits), or all in order.
// floats: per chunk a vector of e and one of m (sum x - e sum i) / lanes, then all block sums.
void few_quantize(const float* x, int64_t k, int bits, int digits, int8_t* values, float* floats) {
  const FewLayout l = few_layout(k, bits);
  const int groups = bits == 4 ? kGroups<4> : kGroups<8>, lanes = kWidth / groups;
  const float middle = static_cast<float>(1 << (bits - 1));
  const float most = digits == 1 ? 127.0f : 127.0f * kDigitBase + 127.0f;
  __builtin_memset(values, 0, digits * l.values);
  __builtin_memset(floats, 0, (l.scales + l.sums) * sizeof(float));
  for (int64_t block = 0; block < k / 32; ++block) {
    const float* from = x + block * 32;
    vf top{}, total{};
    for (int i = 0; i < 32; i += kWidth) {
      top = vmax(top, vabs(load(from + i)));
      total += load(from + i);
    }
    const float largest = max_lanes(top), sum = sum_lanes(total);
    const float inverse = largest > 0 ? most / largest : 0.0f, scale = largest / most;
    alignas(64) int32_t rounded[2][32];
    vi integers{};
    for (int i = 0; i < 32; i += kWidth) {
      const vi v = round_to_int(load(from + i) * inverse);
      integers += v;
      const vi high = digits == 1 ? v
                                  : round_to_int(__builtin_convertvector(v, vf) *
                                                 (1.0f / static_cast<float>(kDigitBase)));
      *reinterpret_cast<vi*>(rounded[0] + i) = high;
      *reinterpret_cast<vi*>(rounded[1] + i) = v - high * kDigitBase;
    }
    // dot_chunk takes m from the weights itself for 8 bits of AVX2.
    const bool centered = bits == 8 && kWidth == 8;
    const float integer_sum = centered ? 0 : sum_lanes(__builtin_convertvector(integers, vf));
    const int64_t chunk = block / groups, group = block % groups;
    for (int digit = 0; digit < digits; ++digit) {
      int8_t* to = values + digit * l.values;
      if (bits == 4) {
        int8_t* even = to + chunk * kChunk<4> + group * 16;
        int8_t* odd = even + kChunk<4> / 2;
        for (int i = 0; i < 16; ++i) {
          even[i] = static_cast<int8_t>(rounded[digit][2 * i]);
          odd[i] = static_cast<int8_t>(rounded[digit][2 * i + 1]);
        }
      } else {
        for (int i = 0; i < 32; ++i) to[block * 32 + i] = static_cast<int8_t>(rounded[digit][i]);
      }
    }
    float* e = floats + chunk * 2 * kWidth + group * lanes;
    for (int i = 0; i < lanes; ++i) {
      e[i] = scale;
      e[kWidth + i] = middle * (sum - scale * integer_sum) / static_cast<float>(lanes);
    }
    floats[l.scales + block] = sum;
  }
}

typedef double double_u __attribute__((aligned(4), may_alias));

inline vi load_bytes(const void* p) { return *static_cast<const vi_u*>(p); }

// The packed weights of a chunk, of which the last may be partial.
template <int kBits>
inline vi load_chunk(const uint8_t* row, int64_t chunk, int64_t row_bytes) {
  const uint8_t* p = row + chunk * kWidth * 4;
  const int64_t left = row_bytes - chunk * kWidth * 4;
  if (left >= kWidth * 4) return load_bytes(p);
#if defined(__AVX512F__)
  return reinterpret_cast<vi>(_mm512_maskz_loadu_epi8((uint64_t{1} << left) - 1, p));
#else
  alignas(32) uint8_t some[32] = {};
  __builtin_memcpy(some, p, left);
  return load_bytes(some);
#endif
}

// Sums of four products of weights q with activations i, in each 32-bit lane.
template <int kBits>
inline vi dot_chunk(const vi (&q)[2], const int8_t* i) {
#if defined(__AVX512F__)
  vi acc{};
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(q[0]), "m"(*reinterpret_cast<const vi_u*>(i)));
  if constexpr (kBits == 4)
    asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(q[1]), "m"(*reinterpret_cast<const vi_u*>(i + 64)));
  return acc;
#else
  const auto at = [&](int from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(i + from));
  };
  const __m256i ones = _mm256_set1_epi16(1), q0 = reinterpret_cast<__m256i>(q[0]);
  __m256i pairs;
  if constexpr (kBits == 4) {
    pairs = _mm256_add_epi16(_mm256_maddubs_epi16(q0, at(0)),
                             _mm256_maddubs_epi16(reinterpret_cast<__m256i>(q[1]), at(32)));
  } else {
    // q is q - 128 here: unsigned bytes of 255 would overflow the 16-bit sums.
    pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q0), _mm256_sign_epi8(at(0), q0));
  }
  return reinterpret_cast<vi>(_mm256_madd_epi16(pairs, ones));
#endif
}

template <int kBits>
inline void split_chunk(vi packed, vi (&q)[2]) {
  if constexpr (kBits == 4) {
    q[0] = packed & 0x0f0f0f0f;
    q[1] = reinterpret_cast<vi>(reinterpret_cast<vu>(packed) >> 4) & 0x0f0f0f0f;
  } else {
#if defined(__AVX512F__)
    q[0] = packed;
#else
    q[0] = packed ^ static_cast<int32_t>(0x80808080u);
#endif
  }
}

// The scales of a chunk's blocks, each in the lanes of its block.
template <int kBits>
inline vf spread_scales(const float* scales, int64_t chunk) {
  const float* p = scales + chunk * kGroups<kBits>;
#if defined(__AVX512F__)
  if constexpr (kBits == 4) {
    const __m512i lanes = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    return reinterpret_cast<vf>(
        _mm512_permutexvar_ps(lanes, _mm512_broadcast_f32x4(_mm_loadu_ps(p))));
  }
  const __m512i lanes = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  return reinterpret_cast<vf>(_mm512_permutexvar_ps(
      lanes, _mm512_castpd_ps(_mm512_set1_pd(*reinterpret_cast<const double_u*>(p)))));
#else
  if constexpr (kBits == 4)
    return reinterpret_cast<vf>(_mm256_set_m128(_mm_set1_ps(p[1]), _mm_set1_ps(p[0])));
  return splat(p[0]);
#endif
}

// N rows of the weight by T activation rows of kDigits digits.
template <int kBits, int kDigits, int N, int T>
void few_block(const WeightView& w, int64_t row, const FewLayout& l, const int8_t* values,
               const float* floats, const float* scales, const float* biases, int64_t row_scales,
               float* y, int64_t y_row) {
  const int64_t row_bytes = w.k * kBits / 8, x_floats = l.scales + l.sums;
  const uint8_t* packed = packed_row(w, row);
  vf acc[N][T];
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n)
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) acc[n][t] = vf{};
  for (int64_t g = 0; g < l.sums; g += kWidth)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const vf bias = load(biases + n * row_scales + g);
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) acc[n][t] += bias * load(floats + t * x_floats + l.scales + g);
    }
  for (int64_t chunk = 0; chunk < l.chunks; ++chunk) {
    vi q[N][2];
    vf s[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      split_chunk<kBits>(load_chunk<kBits>(packed + n * row_bytes, chunk, row_bytes), q[n]);
      s[n] = spread_scales<kBits>(scales + n * row_scales, chunk);
    }
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) {
      const int8_t* x = values + t * kDigits * l.values + chunk * kChunk<kBits>;
      const float* e = floats + t * x_floats + chunk * 2 * kWidth;
      const vf scale = load(e), rest = load(e + kWidth);
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) {
        vi sum = dot_chunk<kBits>(q[n], x);
        if constexpr (kDigits == 2)
          sum = (sum << 8) - sum + dot_chunk<kBits>(q[n], x + l.values);  // kDigitBase
        acc[n][t] += s[n] * (__builtin_convertvector(sum, vf) * scale + rest);
      }
    }
  }
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n)
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) y[t * y_row + n] = sum_lanes(acc[n][t]);
}

// The scales or biases of `rows` rows for each block of 32, one row after another, and a vector of
// zeros after the last: what lies beyond a row's own meets only zeros.
inline void load_blocks(const WeightView& w, const void* from, int64_t row, int64_t rows,
                        float* out) {
  const int64_t groups = w.k / w.group_size, total = w.k / 32 * rows, each = w.group_size / 32;
  convert_scalars(w.type, static_cast<const uint8_t*>(from) + row * groups * scalar_bytes(w.type),
                  1, groups * rows, out);
  if (each > 1)
    for (int64_t b = total - 1; b >= 0; --b) out[b] = out[b / each];
  for (int64_t b = total; b < total + kWidth; ++b) out[b] = 0.0f;
}

// The processor's own prefetching begins anew with each page and product; this asks for what comes
// `ahead` bytes after.
inline void fetch_ahead(const uint8_t* p, int64_t bytes, int64_t ahead) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + ahead + i);
}

template <int kBits, int kDigits>
void few_rows(const WeightView& w, int64_t n0, int64_t n1, int64_t rows, const int8_t* values,
              const float* floats, float* scratch, float* y, int64_t y_row) {
  const FewLayout l = few_layout(w.k, kBits);
  const int64_t x_floats = l.scales + l.sums, blocks = w.k / 32;
  const int64_t row_bytes = w.k * kBits / 8;
  const int64_t scale_bytes = w.k / w.group_size * scalar_bytes(w.type);
  constexpr int64_t kAhead = 2048;  // of the packed weights
  float* scales = scratch;
  float* biases = scratch + 4 * blocks + kWidth;
  for (int64_t n = n0; n < n1;) {
    const bool many = n + 4 <= n1;
    const int64_t count = many ? 4 : 1;
    fetch_ahead(packed_row(w, n), count * row_bytes, kAhead);
    const int64_t ahead = kAhead * scale_bytes / row_bytes, at = n * scale_bytes;
    fetch_ahead(static_cast<const uint8_t*>(w.scales) + at, count * scale_bytes, ahead);
    fetch_ahead(static_cast<const uint8_t*>(w.biases) + at, count * scale_bytes, ahead);
    load_blocks(w, w.scales, n, count, scales);
    load_blocks(w, w.biases, n, count, biases);
    for (int64_t t = 0; t < rows;) {
      const bool pair = t + 2 <= rows, four = t + 4 <= rows;
      const int8_t* v = values + t * kDigits * l.values;
      const float* f = floats + t * x_floats;
      float* out = y + t * y_row + n - n0;
      if (many && four) {
        few_block<kBits, kDigits, 2, 4>(w, n, l, v, f, scales, biases, blocks, out, y_row);
        few_block<kBits, kDigits, 2, 4>(w, n + 2, l, v, f, scales + 2 * blocks, biases + 2 * blocks,
                                        blocks, out + 2, y_row);
      } else if (many && pair) {
        few_block<kBits, kDigits, 4, 2>(w, n, l, v, f, scales, biases, blocks, out, y_row);
      } else if (many) {
        few_block<kBits, kDigits, 4, 1>(w, n, l, v, f, scales, biases, blocks, out, y_row);
      } else {
        few_block<kBits, kDigits, 1, 1>(w, n, l, v, f, scales, biases, blocks, out, y_row);
      }
      t += !many ? 1 : four ? 4 : pair ? 2 : 1;
    }
    n += count;
  }
}

void few_multiply(const WeightView& w, int64_t n0, int64_t n1, int64_t rows, int digits,
                  const int8_t* values, const float* floats, float* scratch, float* y,
                  int64_t y_row) {
  const auto multiply = w.bits == 4 ? (digits == 1 ? few_rows<4, 1> : few_rows<4, 2>)
                                    : (digits == 1 ? few_rows<8, 1> : few_rows<8, 2>);
  multiply(w, n0, n1, rows, values, floats, scratch, y, y_row);
}

int64_t few_scratch(int64_t k) { return 8 * (k / 32) + 2 * kWidth; }

}  // namespace
}  // namespace gavel::kernels

#endif  // __AVX2__
