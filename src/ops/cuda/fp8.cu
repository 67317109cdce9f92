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

// The largest of a block's values, one for each of kSize threads, in each of them.
template <int kSize>
__device__ inline float block_largest(float x) {
  __shared__ float partial[kSize / 32];
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kSize / 32; ++i) x = fmaxf(x, partial[i]);
  return x;
}

// x [rows, dim] -> out [rows, dim] and scales [rows]; a block for each row, dim a multiple of 8.
__global__ void __launch_bounds__(256)
    quantize_rows(const bf16* x, uint8_t* out, float* scales, int dim) {
  const int64_t row = int64_t{blockIdx.x} * dim;
  float largest = 0.0f;
  for (int i = threadIdx.x * 8; i < dim; i += 256 * 8) {
    float v[8];
    load8(x + row + i, v);
#pragma unroll
    for (int j = 0; j < 8; ++j) largest = fmaxf(largest, fabsf(v[j]));
  }
  largest = block_largest<256>(largest);
  const float scale = largest > 0.0f ? largest / kLargestFp8 : 1.0f, factor = 1.0f / scale;
  if (threadIdx.x == 0) scales[blockIdx.x] = scale;
  for (int i = threadIdx.x * 8; i < dim; i += 256 * 8) {
    float v[8];
    load8(x + row + i, v);
    *reinterpret_cast<uint2*>(out + row + i) = pack_fp8(v, factor);
  }
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

// Eight weights of a group, times `factor`.
template <int kBits>
__device__ inline void unpack8(uint64_t q, float scale, float bias, float factor, float (&x)[8]) {
  scale *= factor;
  bias *= factor;
#pragma unroll
  for (int j = 0; j < 8; ++j)
    x[j] = fmaf(scale, static_cast<float>((q >> (kBits * j)) & ((1 << kBits) - 1)), bias);
}

// The weight [n, k] itself, with a scale for each row. `eights`: of the whole matrix.
template <int kBits, typename Scale>
__global__ void __launch_bounds__(256)
    weight_to_fp8(const uint8_t* packed, const Scale* scales, const Scale* biases,
                  const float* row_scales, uint8_t* out, int eights, int row_eights,
                  int group_eights) {
  constexpr int kUnroll = 4;
  const int64_t begin = int64_t{blockIdx.x} * blockDim.x * kUnroll + threadIdx.x;
  uint64_t q[kUnroll];
  float scale[kUnroll], bias[kUnroll], factor[kUnroll];
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const int64_t i = begin + int64_t{u} * blockDim.x;
    if (i >= eights) break;
    q[u] = load_packed<kBits>(packed + i * kBits);
    const int group = static_cast<int>(i) / group_eights;
    scale[u] = to_float(scales[group]);
    bias[u] = to_float(biases[group]);
    factor[u] = 1.0f / row_scales[static_cast<int>(i) / row_eights];
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const int64_t i = begin + int64_t{u} * blockDim.x;
    if (i >= eights) break;
    float x[8];
    unpack8<kBits>(q[u], scale[u], bias[u], 1.0f, x);
    *reinterpret_cast<uint2*>(out + i * 8) = pack_fp8(x, factor[u]);
  }
}

// The largest of `count` scales, to all `n` of out; both are multiples of 4. One block.
__global__ void __launch_bounds__(1024)
    largest_scale(const float* scales, float* out, int count, int n) {
  float largest = 0.0f;
#pragma unroll 4
  for (int i = threadIdx.x * 4; i < count; i += 4096) {
    const float4 x = *reinterpret_cast<const float4*>(scales + i);
    largest = fmaxf(fmaxf(fmaxf(largest, x.x), fmaxf(x.y, x.z)), x.w);
  }
  largest = block_largest<1024>(largest);
  for (int i = threadIdx.x * 4; i < n; i += 4096)
    *reinterpret_cast<float4*>(out + i) = make_float4(largest, largest, largest, largest);
}

// The weight's transpose [k, n], all with the scale scale[0]. A block turns 128 rows of 64
// columns; k is a multiple of 64, n of 16.
template <int kBits, typename Scale>
__global__ void __launch_bounds__(256)
    weight_to_fp8_transposed(const uint8_t* packed, const Scale* scales, const Scale* biases,
                             const float* scale_of_all, uint8_t* out, int n, int k,
                             int group_size) {
  constexpr int kWords = 33;  // of 32 that a column of the tile has: banks are not met twice as often
  __shared__ uint32_t tile[64 * kWords];
  const int first_row = blockIdx.y * 128, first_column = blockIdx.x * 64;
  const int octet = threadIdx.x % 8, quad = threadIdx.x / 8;
  const float factor = 1.0f / scale_of_all[0];
  const int column = first_column + 8 * octet;
  float x[4][8];
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const int row = min(first_row + 4 * quad + r, n - 1);
    const int64_t at = int64_t{row} * k + column;
    const int64_t group = at / group_size;
    unpack8<kBits>(load_packed<kBits>(packed + at / 8 * kBits), to_float(scales[group]),
                   to_float(biases[group]), factor, x[r]);
  }
#pragma unroll
  for (int j = 0; j < 8; ++j)
    tile[(8 * octet + j) * kWords + quad] = pack_fp8(x[0][j], x[1][j], x[2][j], x[3][j]);
  __syncthreads();
  // Sixteen bytes of a column: four words.
  for (int i = threadIdx.x; i < 64 * 8; i += 256) {
    const int row = i / 8, chunk = i % 8;
    if (first_row + 16 * chunk >= n) continue;
    const uint32_t* from = tile + row * kWords + 4 * chunk;
    *reinterpret_cast<uint4*>(out + int64_t{first_column + row} * n + first_row + 16 * chunk) =
        make_uint4(from[0], from[1], from[2], from[3]);
  }
}
