// Frozen products in 8-bit floating point (e4m3): rows of activations, gradients and weights as
// eight-bit values and a float32 scale each, value = scale * e4m3. Bounded by memory.
constexpr float kLargestFp8 = 448.0f;

// Four values as e4m3, the first in the lowest byte.
__device__ inline uint32_t pack_fp8(float a, float b, float c, float d) {
  unsigned short low, high;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(low) : "f"(b), "f"(a));
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(high) : "f"(d), "f"(c));
  return uint32_t{low} | uint32_t{high} << 16;
}
__device__ inline uint2 pack_fp8(const float (&x)[8], float factor) {
  return make_uint2(
      pack_fp8(x[0] * factor, x[1] * factor, x[2] * factor, x[3] * factor),
      pack_fp8(x[4] * factor, x[5] * factor, x[6] * factor, x[7] * factor));
}
__device__ inline uint4 pack16_fp8(const float (&x)[16]) {
  return make_uint4(pack_fp8(x[0], x[1], x[2], x[3]), pack_fp8(x[4], x[5], x[6], x[7]),
                    pack_fp8(x[8], x[9], x[10], x[11]), pack_fp8(x[12], x[13], x[14], x[15]));
}

// Sixteen packed weights, 2 kBits bytes.
template <int kBits>
struct Packed16 {
  uint64_t low, high;  // eight each
  // Number j as a float, by its digits in those of 2^23: quicker than a conversion.
  __device__ float number(int j) const {
    const uint64_t q = j < 8 ? low >> (kBits * j) : high >> (kBits * (j - 8));
    return __uint_as_float(0x4b000000u | (static_cast<uint32_t>(q) & ((1u << kBits) - 1))) -
           8388608.0f;
  }
};
template <int kBits>
__device__ inline Packed16<kBits> load16_packed(const uint8_t* from) {
  if constexpr (kBits == 4) {
    const uint2 x = *reinterpret_cast<const uint2*>(from);
    return {x.x, x.y};
  } else if constexpr (kBits == 8) {
    const uint4 x = *reinterpret_cast<const uint4*>(from);
    return {x.x | uint64_t{x.y} << 32, x.z | uint64_t{x.w} << 32};
  } else {
    return {load_packed<kBits>(from), load_packed<kBits>(from + kBits)};
  }
}

// The largest of the values of a block's 256 threads, in each of them.
__device__ inline float block_largest(float x) {
  __shared__ float partial[8];
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 8; ++i) x = fmaxf(x, partial[i]);
  return x;
}

// A row of `dim` values, a multiple of 8 and at most 2048 kChunks, by the 256 threads of a block:
// load8_at(i, values) gives eight of them, which are kept in registers as bfloat16 between the
// search for the largest and the rounding.
template <int kChunks, typename Load>
__device__ inline void row_to_fp8(const Load& load8_at, uint8_t* out, float* scale_of_row,
                                  int dim) {
  uint4 kept[kChunks];
  float largest = 0.0f;
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    const int i = (c * 256 + threadIdx.x) * 8;
    if (i >= dim) break;
    load8_at(i, kept[c]);
  }
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    if ((c * 256 + threadIdx.x) * 8 >= dim) break;
    float v[8];
    widen8(kept[c], v);
#pragma unroll
    for (int j = 0; j < 8; ++j) largest = fmaxf(largest, fabsf(v[j]));
  }
  largest = block_largest(largest);
  const float scale = largest > 0.0f ? largest / kLargestFp8 : 1.0f, factor = 1.0f / scale;
  if (threadIdx.x == 0) *scale_of_row = scale;
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    const int i = (c * 256 + threadIdx.x) * 8;
    if (i >= dim) break;
    float v[8];
    widen8(kept[c], v);
    *reinterpret_cast<uint2*>(out + i) = pack_fp8(v, factor);
  }
}

// x [rows, dim] -> out [rows, dim] and scales [rows]; a block for each row.
template <int kChunks>
__global__ void __launch_bounds__(256)
    quantize_rows(const bf16* x, uint8_t* out, float* scales, int dim) {
  const int64_t row = int64_t{blockIdx.x} * dim;
  row_to_fp8<kChunks>(
      [&](int i, uint4& to) { to = *reinterpret_cast<const uint4*>(x + row + i); }, out + row,
      scales + blockIdx.x, dim);
}

// The same of silu(gate) * up, rounded to bfloat16 between.
template <int kChunks>
__global__ void __launch_bounds__(256)
    quantize_swiglu(const bf16* gate, const bf16* up, uint8_t* out, float* scales, int dim) {
  const int64_t row = int64_t{blockIdx.x} * dim;
  row_to_fp8<kChunks>(
      [&](int i, uint4& to) {
        float g[8], u[8];
        load8(gate + row + i, g);
        load8(up + row + i, u);
#pragma unroll
        for (int j = 0; j < 8; ++j) g[j] = g[j] * sigmoid(g[j]) * u[j];
        to = narrow8(g);
      },
      out + row, scales + blockIdx.x, dim);
}

// The scale of each row of a quantized weight (dequantize.cu), from what its groups can hold:
// out [rows]. A warp for each row.
template <int kBits, typename Scale>
__global__ void __launch_bounds__(256)
    weight_scales(const Scale* scales, const Scale* biases, float* out, int rows, int groups) {
  const int row = blockIdx.x * 8 + threadIdx.x / 32;
  if (row >= rows) return;
  float largest = 0.0f;
  for (int i = threadIdx.x % 32; i < groups; i += 32) {
    const int64_t at = int64_t{row} * groups + i;
    const float scale = to_float(scales[at]), bias = to_float(biases[at]);
    largest = fmaxf(largest, fmaxf(fabsf(bias), fabsf(fmaf(scale, (1 << kBits) - 1, bias))));
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
  if (threadIdx.x % 32 == 0) out[row] = largest > 0.0f ? largest / kLargestFp8 : 1.0f;
}

// Sixteen weights of a group.
template <int kBits, typename Scale>
__device__ inline void unpack16(const uint8_t* packed, const Scale* scales, const Scale* biases,
                                int64_t group, float factor, float (&x)[16]) {
  const float scale = to_float(scales[group]) * factor, bias = to_float(biases[group]) * factor;
  const Packed16<kBits> q = load16_packed<kBits>(packed);
#pragma unroll
  for (int j = 0; j < 16; ++j) x[j] = fmaf(scale, q.number(j), bias);
}

// The weight [n, k] itself, with a scale for each row. A block turns kRows rows.
template <int kBits, typename Scale>
__global__ void __launch_bounds__(256)
    weight_to_fp8(const uint8_t* packed, const Scale* scales, const Scale* biases,
                  const float* row_scales, uint8_t* out, int n, int k, int group_size) {
  constexpr int kRows = 4;
  const int first_row = blockIdx.x * kRows, groups = k / group_size;
  float factor[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) factor[r] = 1.0f / row_scales[min(first_row + r, n - 1)];
  for (int column = threadIdx.x * 16; column < k; column += 256 * 16) {
    const int group = column / group_size;
    float x[kRows][16];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int64_t row = min(first_row + r, n - 1);
      unpack16<kBits>(packed + (row * k + column) / 8 * kBits, scales, biases,
                      row * groups + group, factor[r], x[r]);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      if (first_row + r < n)
        *reinterpret_cast<uint4*>(out + int64_t{first_row + r} * k + column) = pack16_fp8(x[r]);
  }
}

// The weight's transpose [k, n], all with the scale scale[0]. A block turns 128 rows of 128
// columns; k and n are multiples of 64.
template <int kBits, typename Scale>
__global__ void __launch_bounds__(256)
    weight_to_fp8_transposed(const uint8_t* packed, const Scale* scales, const Scale* biases,
                             const float* scale_of_all, uint8_t* out, int n, int k,
                             int group_size) {
  // Words of four rows of a column; which four words come first differs from one sixteen columns to
  // the next, so that no two threads of a warp meet in a bank.
  __shared__ uint4 tile[128 * 8];
  const int first_row = blockIdx.y * 128, first_column = blockIdx.x * 128;
  const int sixteen = threadIdx.x % 8, quad = threadIdx.x / 8;
  const float factor = 1.0f / scale_of_all[0];
  const int column = min(first_column + 16 * sixteen, k - 16), groups = k / group_size;
  const int group = column / group_size;
  float x[4][16];
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const int64_t row = min(first_row + 4 * quad + r, n - 1);
    unpack16<kBits>(packed + (row * k + column) / 8 * kBits, scales, biases, row * groups + group,
                    factor, x[r]);
  }
  uint32_t* words = reinterpret_cast<uint32_t*>(tile);
#pragma unroll
  for (int j = 0; j < 16; ++j)
    words[(16 * sixteen + j) * 32 + (quad ^ (4 * sixteen))] =
        pack_fp8(x[0][j], x[1][j], x[2][j], x[3][j]);
  __syncthreads();
  for (int i = threadIdx.x; i < 128 * 8; i += 256) {
    const int row = i / 8, chunk = i % 8;
    if (first_column + row >= k || first_row + 16 * chunk >= n) continue;
    *reinterpret_cast<uint4*>(out + int64_t{first_column + row} * n + first_row + 16 * chunk) =
        tile[row * 8 + (chunk ^ (row / 16))];
  }
}
