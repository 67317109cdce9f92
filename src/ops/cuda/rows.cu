// Rows of the embedding and of activations, bfloat16. Bounded by memory.
// out[row, :] = weights of row ids[row]; eights: k / 8. A block for each row.
template <int kBits, typename Scale>
__global__ void __launch_bounds__(128)
    embed_quantized(const uint8_t* packed, const Scale* scales, const Scale* biases, const int* ids,
                    bf16* out, int eights, int group_eights) {
  const int64_t from = int64_t{ids[blockIdx.x]} * eights, to = int64_t{blockIdx.x} * eights;
  for (int i = threadIdx.x; i < eights; i += blockDim.x) {
    uint64_t q = 0;
    const uint8_t* bytes = packed + (from + i) * kBits;
#pragma unroll
    for (int j = 0; j < kBits; ++j) q |= uint64_t{bytes[j]} << (8 * j);
    const int64_t group = (from + i) / group_eights;
    const float scale = to_float(scales[group]), bias = to_float(biases[group]);
    float x[8];
#pragma unroll
    for (int j = 0; j < 8; ++j)
      x[j] = fmaf(scale, static_cast<float>((q >> (kBits * j)) & ((1 << kBits) - 1)), bias);
    store8(out + (to + i) * 8, x);
  }
}
template <typename T>
__global__ void __launch_bounds__(128)
    embed_dense(const T* table, const int* ids, bf16* out, int width) {
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    out[int64_t{blockIdx.x} * width + i] =
        to_bf16(to_float(table[int64_t{ids[blockIdx.x]} * width + i]));
}

// out[i, :] = x[rows[i], :]; a block for each row.
__global__ void __launch_bounds__(128)
    gather_rows(const bf16* x, const int* rows, bf16* out, int eights) {
  const uint4* from = reinterpret_cast<const uint4*>(x) + int64_t{rows[blockIdx.x]} * eights;
  uint4* to = reinterpret_cast<uint4*>(out) + int64_t{blockIdx.x} * eights;
  for (int i = threadIdx.x; i < eights; i += blockDim.x) to[i] = from[i];
}

// The gradient of that: out[i, :] = dy[places[i], :], or 0 where places[i] < 0.
__global__ void __launch_bounds__(128)
    scatter_rows(const bf16* dy, const int* places, bf16* out, int eights) {
  const int place = places[blockIdx.x];
  const uint4* from = reinterpret_cast<const uint4*>(dy) + int64_t{place} * eights;
  uint4* to = reinterpret_cast<uint4*>(out) + int64_t{blockIdx.x} * eights;
  for (int i = threadIdx.x; i < eights; i += blockDim.x)
    to[i] = place >= 0 ? from[i] : make_uint4(0, 0, 0, 0);
}
