// MLX's affine quantization undone: out[n, k] = scale * q + bias, a scale and a bias for each group
// of a row. Bounded by memory: a word and a half read and eight values written for each eight.
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
