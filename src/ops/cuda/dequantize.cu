// MLX's affine quantization undone: out[n, k] = scale * q + bias, a scale and a bias for each group
// of a row. Bounded by memory: a word and a half read and eight values written for each eight.
__device__ inline void store8(float* to, const float (&x)[8]) {
  reinterpret_cast<float4*>(to)[0] = make_float4(x[0], x[1], x[2], x[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(x[4], x[5], x[6], x[7]);
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

// `eights`: of the whole matrix; group_eights of them share a scale.
template <int kBits, typename Scale, typename Out>
__global__ void __launch_bounds__(256)
    dequantize(const uint8_t* packed, const Scale* scales, const Scale* biases, Out* out,
               int eights, int group_eights) {
  constexpr int kUnroll = 4;  // loads under way before the first is used
  const int64_t begin = int64_t{blockIdx.x} * blockDim.x * kUnroll + threadIdx.x;
  uint64_t q[kUnroll];
  float scale[kUnroll], bias[kUnroll];
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const int64_t i = begin + int64_t{u} * blockDim.x;
    if (i >= eights) break;
    q[u] = load_packed<kBits>(packed + i * kBits);
    const int group = static_cast<int>(i) / group_eights;
    scale[u] = to_float(scales[group]);
    bias[u] = to_float(biases[group]);
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const int64_t i = begin + int64_t{u} * blockDim.x;
    if (i >= eights) break;
    float x[8];
#pragma unroll
    for (int j = 0; j < 8; ++j)
      x[j] =
          fmaf(scale[u], static_cast<float>((q[u] >> (kBits * j)) & ((1 << kBits) - 1)), bias[u]);
    store8(out + i * 8, x);
  }
}
