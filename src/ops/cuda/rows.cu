// Rows of the embedding and of activations. Bounded by memory.
// out[row, :] = weights of row ids[row]; eights: k / 8. A block for each row.
template <int kBits, typename Scale, typename Out>
__global__ void __launch_bounds__(128)
    embed_quantized(const uint8_t* packed, const Scale* scales, const Scale* biases, const int* ids,
                    Out* out, int eights, int group_eights) {
  const int64_t from = int64_t{ids[blockIdx.x]} * eights, to = int64_t{blockIdx.x} * eights;
  for (int i = threadIdx.x; i < eights; i += blockDim.x) {
    const uint64_t q = load_packed<kBits>(packed + (from + i) * kBits);
    const int64_t group = (from + i) / group_eights;
    const float scale = to_float(scales[group]), bias = to_float(biases[group]);
    float x[8];
#pragma unroll
    for (int j = 0; j < 8; ++j)
      x[j] = fmaf(scale, static_cast<float>((q >> (kBits * j)) & ((1 << kBits) - 1)), bias);
    store8(out + (to + i) * 8, x);
  }
}
template <typename T, typename Out>
__global__ void __launch_bounds__(128)
    embed_dense(const T* table, const int* ids, Out* out, int width) {
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    store(out + int64_t{blockIdx.x} * width + i,
          to_float(table[int64_t{ids[blockIdx.x]} * width + i]));
}

// out[i, :] = x[rows[i], :]; rows of so many times 16 bytes, a block for each.
__global__ void __launch_bounds__(128)
    gather_rows(const uint4* x, const int* rows, uint4* out, int sixteens) {
  const uint4* from = x + int64_t{rows[blockIdx.x]} * sixteens;
  uint4* to = out + int64_t{blockIdx.x} * sixteens;
  for (int i = threadIdx.x; i < sixteens; i += blockDim.x) to[i] = from[i];
}

// The gradient of that: out[i, :] = dy[places[i], :], or 0 where places[i] < 0.
__global__ void __launch_bounds__(128)
    scatter_rows(const uint4* dy, const int* places, uint4* out, int sixteens) {
  const int place = places[blockIdx.x];
  const uint4* from = dy + int64_t{place} * sixteens;
  uint4* to = out + int64_t{blockIdx.x} * sixteens;
  for (int i = threadIdx.x; i < sixteens; i += blockDim.x)
    to[i] = place >= 0 ? from[i] : make_uint4(0, 0, 0, 0);
}
