// Vectors of the instruction set that the including file is compiled for, by GCC's and clang's
// vector extensions. Everything is in an unnamed namespace and nothing of the standard library is
// called: code of a higher set must never be shared with files of a lower one by the linker.
#pragma once

#include <stdint.h>

#include <utility>

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // false alarms within GCC 12's header
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include "ops/cpu/simd.h"
#include "ops/cpu/weight_rows.h"

namespace gavel::kernels {
namespace {

#if defined(__AVX512F__)
constexpr int kWidth = 16, kTileRows = 12;
#elif defined(__AVX2__)
constexpr int kWidth = 8, kTileRows = 6;
#else
constexpr int kWidth = 4, kTileRows = 4;
#endif
constexpr int kPanel = 2 * kWidth;
static_assert(kPanel <= kMaxPanel && kTileRows <= kMaxTileRows);

typedef float vf __attribute__((vector_size(kWidth * 4)));
typedef int32_t vi __attribute__((vector_size(kWidth * 4)));
typedef uint32_t vu __attribute__((vector_size(kWidth * 4)));
typedef int16_t vs __attribute__((vector_size(kWidth * 4)));
typedef uint8_t vb __attribute__((vector_size(kWidth)));  // as many bytes as there are floats
// The same without alignment, to load and store through.
typedef vf vf_u __attribute__((aligned(4), may_alias));
typedef vi vi_u __attribute__((aligned(4), may_alias));
typedef vu vu_u __attribute__((aligned(4), may_alias));
typedef vs vs_u __attribute__((aligned(2), may_alias));
typedef vb vb_u __attribute__((aligned(1), may_alias));

inline vf load(const float* p) { return *reinterpret_cast<const vf_u*>(p); }
inline void store(float* p, vf v) { *reinterpret_cast<vf_u*>(p) = v; }
inline vf splat(float f) { return f - vf{}; }
inline vf vmax(vf a, vf b) { return a > b ? a : b; }
inline vf vmin(vf a, vf b) { return a < b ? a : b; }
inline vf vabs(vf a) { return reinterpret_cast<vf>(reinterpret_cast<vi>(a) & 0x7fffffff); }

// Rounds to the nearest integer, |a| < 2^22.
inline vi round_to_int(vf a) {
  const vf magic = splat(12582912.0f);  // 1.5 * 2^23: the sum's low bits are the integer
  return reinterpret_cast<vi>(a + magic) - reinterpret_cast<vi>(magic);
}

#if defined(__AVX512F__)
inline float sum_lanes(vf v) { return _mm512_reduce_add_ps(reinterpret_cast<__m512>(v)); }
inline float max_lanes(vf v) { return _mm512_reduce_max_ps(reinterpret_cast<__m512>(v)); }
#elif defined(__AVX2__)
inline float sum_lanes(vf v) {
  const __m256 all = reinterpret_cast<__m256>(v);
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
inline float max_lanes(vf v) {
  const __m256 all = reinterpret_cast<__m256>(v);
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}
#else
inline float sum_lanes(vf v) { return (v[0] + v[2]) + (v[1] + v[3]); }
inline float max_lanes(vf v) {
  const float a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
  return a > b ? a : b;
}
#endif

// e^x to about 1e-7 relative; 0 below -87.3, and x above 88.3 as 88.3.
inline vf vexp(vf x) {
  const vf clamped = vmin(vmax(x, splat(-87.3f)), splat(88.3f));
  const vf magic = splat(12582912.0f);  // 1.5 * 2^23
  const vf shifted = clamped * 1.44269504f + magic;
  const vf n = shifted - magic;
  const vf r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  vf p = splat(1.0f / 5040.0f);
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const vi power = (reinterpret_cast<vi>(shifted) - reinterpret_cast<vi>(magic)) << 23;
  const vf result = reinterpret_cast<vf>(reinterpret_cast<vi>(p) + power);
  return x < -87.3f ? vf{} : result;
}

#if defined(__AVX512F__)
constexpr vi kLanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(__AVX2__)
constexpr vi kLanes = {0, 1, 2, 3, 4, 5, 6, 7};
#else
constexpr vi kLanes = {0, 1, 2, 3};
#endif

// Lane i of the result is lane kFrom(i) of a and b, one after the other.
template <int (*kFrom)(int), typename V>
inline V shuffle(V a, V b) {
  return [&]<int... kLane>(std::integer_sequence<int, kLane...>) {
    return __builtin_shufflevector(a, b, kFrom(kLane)...);
  }
  (std::make_integer_sequence<int, kWidth>{});
}
constexpr int even(int lane) { return 2 * lane; }
constexpr int odd(int lane) { return 2 * lane + 1; }
// Their lower halves and their higher ones, a lane of each in turn.
constexpr int low_half(int lane) { return lane / 2 + lane % 2 * kWidth; }
constexpr int high_half(int lane) { return low_half(lane) + kWidth / 2; }

// Half-precision numbers as floats.
inline vf load_bf16(const uint16_t* p) {
  vu wide;
  for (int i = 0; i < kWidth; ++i) wide[i] = uint32_t{p[i]} << 16;
  return reinterpret_cast<vf>(wide);
}
inline vf load_f16(const uint16_t* p) {
#if defined(__AVX512F__)
  return reinterpret_cast<vf>(
      _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(__AVX2__)
  return reinterpret_cast<vf>(
      _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  vf out;
  for (int i = 0; i < kWidth; ++i) out[i] = f16_to_float(p[i]);
  return out;
#endif
}

}  // namespace
}  // namespace gavel::kernels
