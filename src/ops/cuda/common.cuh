// What the CUDA kernels share: types, conversions, and the instructions of the tensor cores. The
// kernels are compiled at run time by NVRTC (ops/cuda/program.cpp), so nothing is included.
#pragma once

#ifdef __CUDACC_RTC__
using int64_t = long long;
using uint8_t = unsigned char;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;
#else
#include <cstdint>
#endif

constexpr float kLog2E = 1.4426950408889634f;

struct bf16 {
  unsigned short bits;
};
struct half {
  unsigned short bits;
};

__device__ inline float minus_infinity() { return __int_as_float(0xff800000); }

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(half x) {
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
  return wide;
}
__device__ inline float to_float(bf16 x) { return __uint_as_float(uint32_t{x.bits} << 16); }

// 2^x to about 2e-7 relative, and 0 where that is denormal.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + exp2_fast(-x * kLog2E)); }

// Two floats as a pair of bfloat16, the first in the low half.
__device__ inline uint32_t pack_bf16(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
__device__ inline bf16 to_bf16(float x) {
  return {static_cast<unsigned short>(pack_bf16(x, 0.0f))};
}
__device__ inline void store(float* to, float x) { *to = x; }
__device__ inline void store(bf16* to, float x) { *to = to_bf16(x); }
__device__ inline float low_bf16(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ inline float high_bf16(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

__device__ inline void widen8(const uint4& x, float (&to)[8]) {
  const uint32_t pairs[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) to[2 * i] = low_bf16(pairs[i]), to[2 * i + 1] = high_bf16(pairs[i]);
}
__device__ inline uint4 narrow8(const float (&x)[8]) {
  return make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]),
                    pack_bf16(x[6], x[7]));
}
// Eight values, 16 bytes aligned.
__device__ inline void load8(const bf16* from, float (&to)[8]) {
  widen8(*reinterpret_cast<const uint4*>(from), to);
}
__device__ inline void store8(bf16* to, const float (&x)[8]) {
  *reinterpret_cast<uint4*>(to) = narrow8(x);
}
__device__ inline void load8(const float* from, float (&to)[8]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float4 x = reinterpret_cast<const float4*>(from)[i];
    to[4 * i] = x.x, to[4 * i + 1] = x.y, to[4 * i + 2] = x.z, to[4 * i + 3] = x.w;
  }
}
__device__ inline void store8(float* to, const float (&x)[8]) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
    reinterpret_cast<float4*>(to)[i] =
        make_float4(x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]);
}
// Eight weights, kBits bytes from `from` on, little-endian.
template <int kBits>
__device__ inline uint64_t load_packed(const uint8_t* from) {
  if constexpr (kBits == 4) return *reinterpret_cast<const uint32_t*>(from);
  if constexpr (kBits == 8) return *reinterpret_cast<const uint64_t*>(from);
  uint64_t packed = 0;
#pragma unroll
  for (int i = 0; i < kBits; ++i) packed |= uint64_t{from[i]} << (8 * i);
  return packed;
}

__device__ inline float dot8(const bf16* a, const bf16* b) {
  float x[8], y[8], sum = 0.0f;
  load8(a, x);
  load8(b, y);
#pragma unroll
  for (int i = 0; i < 8; ++i) sum += x[i] * y[i];
  return sum;
}

__device__ inline uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// A kernel may be started while the one before it in the queue still runs (Launch::early): it must
// wait before it reads what that one wrote, or writes. start_next() lets the one after it start.
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ inline void start_next() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// 16 bytes from device to shared memory, or zeros.
__device__ inline void copy_async(uint32_t to, const void* from, bool wanted) {
  const int bytes = wanted ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes)
               : "memory");
}
__device__ inline void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most N groups are under way.
template <int N>
__device__ inline void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

__device__ inline void ldmatrix(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
__device__ inline void ldmatrix_transposed(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
// c[16 x 8] += a[16 x 16] b[16 x 8]
__device__ inline void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
