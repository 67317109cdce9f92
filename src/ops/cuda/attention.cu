// Causal grouped-query attention over a tree of packed segments, bfloat16, forward and backward
// (the online softmax of Dao et al. 2022), by tensor cores (mma.sync, from compute capability 8.0).
//
// Rows are packed: q, out, dout, dq [T, heads, D]; k, v, dk, dv [T, kv_heads, D]. A row sees the
// rows of its segment's ancestors and its own segment up to itself; ancestors lie before it, so
// within the ranges that the host lists (ops/cuda/attention_plan.cpp) "not after the row" is all
// that is to be masked. tiles [n][4]: first row, rows, first range, end of ranges; ranges [m][2]:
// rows. In the forward pass and for dq a tile is of queries and its ranges are of keys; for dk and
// dv it is the other way round. All sums run in a fixed order: the same inputs give the same bits.
//
// lse [T, heads]: log2 of the sum of 2^(score * scale * log2 e). delta [T, heads]: dout . out.
constexpr int kRows = 64;      // of a tile, queries or keys: 16 for each warp
constexpr int kThreads = 128;  // four warps

// A [kRows][D] tile in shared memory. Its 16-byte chunks are exchanged by row, so that the eight
// rows that ldmatrix reads together lie in different banks.
template <int D>
struct Tile {
  static constexpr int kChunks = D / 8;
  static constexpr int kBytes = kRows * D * 2;
  uint32_t base;  // shared address

  __device__ uint32_t at(int row, int chunk) const {
    return base + (row * kChunks + (chunk ^ (row & (kChunks < 8 ? kChunks - 1 : 7)))) * 16;
  }
  // Rows [first, first + count) of a matrix whose rows are `stride` elements apart; zeros past
  // that.
  __device__ void load(const bf16* from, int64_t first, int count, int64_t stride) const {
    for (int i = threadIdx.x; i < kRows * kChunks; i += kThreads) {
      const int row = i / kChunks, chunk = i % kChunks;
      copy_async(at(row, chunk), from + (first + min(row, count - 1)) * stride + chunk * 8,
                 row < count);
    }
  }
  // The 16 rows from `row` on and 16 columns from 8 * chunk on, as the A operand of mma.
  __device__ void load_a(uint32_t (&a)[4], int row, int chunk) const {
    const int lane = threadIdx.x % 32;
    ldmatrix(a, at(row + lane % 16, chunk + lane / 16));
  }
  // Rows are n, columns k: the B operands of two n8 tiles (rows [row, row + 16)), k16 from chunk.
  __device__ void load_b(uint32_t (&b)[4], int row, int chunk) const {
    const int lane = threadIdx.x % 32;
    ldmatrix(b, at(row + lane % 8 + lane / 16 * 8, chunk + lane / 8 % 2));
  }
  // Rows are k, columns n: k16 from row on, the B operands of two n8 tiles from chunk on.
  __device__ void load_b_transposed(uint32_t (&b)[4], int row, int chunk) const {
    const int lane = threadIdx.x % 32;
    ldmatrix_transposed(b, at(row + lane % 16, chunk + lane / 16));
  }
};

// s[16 x 64] += rows [row, row + 16) of a times the transpose of b, both [64][D].
template <int D>
__device__ void multiply_transposed(float (&s)[8][4], const Tile<D>& a, int row, const Tile<D>& b) {
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    uint32_t x[4];
    a.load_a(x, row, 2 * k);
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      uint32_t y[4];
      b.load_b(y, 16 * n, 2 * k);
      mma(s[2 * n], x, y[0], y[1]);
      mma(s[2 * n + 1], x, y[2], y[3]);
    }
  }
}

// o[16 x D] += p[16 x 64] b for b [64][D]; p as accumulators, rounded to bfloat16.
template <int D>
__device__ void multiply(float (&o)[D / 8][4], const float (&p)[8][4], const Tile<D>& b) {
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const uint32_t x[4] = {pack_bf16(p[2 * k][0], p[2 * k][1]), pack_bf16(p[2 * k][2], p[2 * k][3]),
                           pack_bf16(p[2 * k + 1][0], p[2 * k + 1][1]),
                           pack_bf16(p[2 * k + 1][2], p[2 * k + 1][3])};
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      uint32_t y[4];
      b.load_b_transposed(y, 16 * k, 2 * n);
      mma(o[2 * n], x, y[0], y[1]);
      mma(o[2 * n + 1], x, y[2], y[3]);
    }
  }
}

__device__ void store_pair(bf16* to, float x, float y) {
  *reinterpret_cast<uint32_t*>(to) = pack_bf16(x, y);
}
__device__ void store_pair(float* to, float x, float y) {
  *reinterpret_cast<float2*>(to) = make_float2(x, y);
}

// Writes a warp's [16 x D] sums, times `factor` of each half of the rows, where the rows exist.
template <int D, typename Out>
__device__ void store(const float (&o)[D / 8][4], const float (&factor)[2], Out* to, int64_t first,
                      int row, int count, int64_t stride) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int r = row + lane / 4 + 8 * half;
    if (r >= count) continue;
    Out* out = to + (first + r) * stride + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
      store_pair(out + 8 * n, o[n][2 * half] * factor[half], o[n][2 * half + 1] * factor[half]);
  }
}

__device__ float sum_of_four(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}
__device__ float max_of_four(float x) {
  x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
  return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}

// The keys that a tile of queries meets, 64 and less at a time: those of ranges of packed rows.
template <int D>
struct RangeKeys {
  const bf16 *k, *v;  // of the head
  const int* ranges;
  int range, last;
  int64_t stride;
  int key, end;

  __device__ RangeKeys(const bf16* k_, const bf16* v_, const int* ranges_, const int* tile,
                       int64_t stride_)
      : k(k_), v(v_), ranges(ranges_), range(tile[2]), last(tile[3]), stride(stride_) {
    key = ranges[2 * range], end = ranges[2 * range + 1];
  }
  __device__ int begin() const { return key; }
  __device__ int count() const { return min(kRows, end - key); }
  __device__ void load_k(const Tile<D>& to) const { to.load(k, key, count(), stride); }
  __device__ void load_v(const Tile<D>& to) const { to.load(v, key, count(), stride); }
  __device__ bool advance() {
    key += kRows;
    if (key < end) return true;
    if (++range >= last) return false;
    key = ranges[2 * range], end = ranges[2 * range + 1];
    return true;
  }
};

// A warp's 16 rows of queries `row` on, of a tile in qs (being copied), over `keys`: o unscaled,
// the largest score and the sum of each half of the rows. `place` is what the tile's first row
// stands at among the keys: a row sees keys up to its own place.
template <int D, typename Keys>
__device__ void attend(Keys keys, const Tile<D>& qs, const Tile<D>& ks, const Tile<D>& vs,
                       int place, float scale_log2, float (&o)[D / 8][4], float (&top)[2],
                       float (&sum)[2]) {
  const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16;
  const int my_place[2] = {place + row + lane / 4, place + row + lane / 4 + 8};
  keys.load_k(ks);
  copy_commit();
  for (bool more = true; more;) {
    const int begin = keys.begin(), count = keys.count();
    keys.load_v(vs);
    copy_commit();
    copy_wait<1>();  // q and k
    __syncthreads();
    float s[8][4] = {};
    multiply_transposed<D>(s, qs, row, ks);
    __syncthreads();
    more = keys.advance();
    if (more) keys.load_k(ks);
    copy_commit();
    const bool masked = count < kRows || begin + kRows > place;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float largest = top[half];
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float& x = s[n][2 * half + j];
          x *= scale_log2;
          const int column = 8 * n + lane % 4 * 2 + j;
          if (masked && (column >= count || begin + column > my_place[half])) x = minus_infinity();
          largest = fmaxf(largest, x);
        }
      largest = max_of_four(largest);
      // A row past the tile's end may see nothing.
      const float shift = largest == minus_infinity() ? 0.0f : largest;
      const float old = exp2_fast(top[half] - shift);
      top[half] = largest;
      float added = 0.0f;
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float& x = s[n][2 * half + j];
          x = exp2_fast(x - shift);
          added += x;
        }
      sum[half] = sum[half] * old + added;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) o[n][2 * half] *= old, o[n][2 * half + 1] *= old;
    }
    copy_wait<1>();  // v
    __syncthreads();
    multiply<D>(o, s, vs);
    __syncthreads();
  }
  for (int half = 0; half < 2; ++half) sum[half] = sum_of_four(sum[half]);
}

template <int D>
__global__ void __launch_bounds__(kThreads)
    attention(const bf16* q, const bf16* k, const bf16* v, const int* tiles, const int* ranges,
              bf16* out, float* lse, int heads, int kv_heads, float scale) {
  extern __shared__ __align__(128) unsigned char memory[];
  const uint32_t shared = shared_address(memory);
  const Tile<D> qs{shared}, ks{shared + Tile<D>::kBytes}, vs{shared + 2 * Tile<D>::kBytes};
  const int head = blockIdx.x, kv_head = head / (heads / kv_heads);
  const int* tile = tiles + 4 * blockIdx.y;
  const int first = tile[0], count = tile[1];
  const int64_t q_stride = int64_t{heads} * D, kv_stride = int64_t{kv_heads} * D;
  const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16;

  qs.load(q + head * D, first, count, q_stride);
  float o[D / 8][4] = {}, top[2] = {minus_infinity(), minus_infinity()}, sum[2] = {};
  attend<D>(RangeKeys<D>(k + kv_head * D, v + kv_head * D, ranges, tile, kv_stride), qs, ks, vs,
            first, scale * kLog2E, o, top, sum);
  float factor[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    factor[half] = 1.0f / sum[half];
    const int r = row + lane / 4 + 8 * half;
    if (lane % 4 == 0 && r < count)
      lse[int64_t{first + r} * heads + head] = top[half] + log2f(sum[half]);
  }
  store<D>(o, factor, out + head * D, first, row, count, q_stride);
}

// dq, and delta for dk and dv.
template <int D>
__global__ void __launch_bounds__(kThreads)
    attention_backward_queries(const bf16* q, const bf16* k, const bf16* v, const bf16* out,
                               const bf16* dout, const float* lse, const int* tiles,
                               const int* ranges, bf16* dq, float* delta, int heads, int kv_heads,
                               float scale) {
  extern __shared__ __align__(128) unsigned char memory[];
  const uint32_t shared = shared_address(memory);
  const Tile<D> qs{shared}, gs{shared + Tile<D>::kBytes};
  const Tile<D> ks{shared + 2 * Tile<D>::kBytes}, vs{shared + 3 * Tile<D>::kBytes};
  const int head = blockIdx.x, kv_head = head / (heads / kv_heads);
  const int* tile = tiles + 4 * blockIdx.y;
  const int first = tile[0], count = tile[1];
  const int64_t q_stride = int64_t{heads} * D, kv_stride = int64_t{kv_heads} * D;
  const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16;
  const float scale_log2 = scale * kLog2E;

  qs.load(q + head * D, first, count, q_stride);
  gs.load(dout + head * D, first, count, q_stride);
  copy_commit();
  float my_lse[2], my_delta[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int r = min(row + lane / 4 + 8 * half, count - 1);
    const int64_t at = int64_t{first + r} * q_stride + head * D;
    float sum = 0.0f;
    for (int i = lane % 4 * 8; i < D; i += 32) sum += dot8(out + at + i, dout + at + i);
    my_delta[half] = sum_of_four(sum);
    my_lse[half] = lse[int64_t{first + r} * heads + head];
    if (lane % 4 == 0 && row + lane / 4 + 8 * half < count)
      delta[int64_t{first + r} * heads + head] = my_delta[half];
  }
  float sums[D / 8][4] = {};
  const int my_row[2] = {first + row + lane / 4, first + row + lane / 4 + 8};
  for (int range = tile[2]; range < tile[3]; ++range) {
    const int end = ranges[2 * range + 1];
    for (int begin = ranges[2 * range]; begin < end; begin += kRows) {
      const int keys = min(kRows, end - begin);
      ks.load(k + kv_head * D, begin, keys, kv_stride);
      vs.load(v + kv_head * D, begin, keys, kv_stride);
      copy_commit();
      copy_wait<0>();
      __syncthreads();
      float s[8][4] = {}, dp[8][4] = {};
      multiply_transposed<D>(s, qs, row, ks);
      multiply_transposed<D>(dp, gs, row, vs);
      const bool masked = keys < kRows || begin + kRows > first;
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int half = j / 2, column = 8 * n + lane % 4 * 2 + j % 2;
          float p = exp2_fast(s[n][j] * scale_log2 - my_lse[half]);
          if (masked && (column >= keys || begin + column > my_row[half])) p = 0.0f;
          s[n][j] = p * (dp[n][j] - my_delta[half]);
        }
      multiply<D>(sums, s, ks);
      __syncthreads();
    }
  }
  const float factor[2] = {scale, scale};
  store<D>(sums, factor, dq + head * D, first, row, count, q_stride);
}

// Each query head's part of dk and dv [T, heads, D], float32: rows of the products are keys, columns
// queries. A block for each head and not for each group of them: a causal mask gives the first keys
// the most to do, and few large blocks would leave most of the card idle behind the largest.
template <int D>
__global__ void __launch_bounds__(kThreads)
    attention_backward_keys(const bf16* q, const bf16* k, const bf16* v, const bf16* dout,
                            const float* lse, const float* delta, const int* tiles,
                            const int* ranges, float* dk, float* dv, int heads, int kv_heads,
                            float scale) {
  extern __shared__ __align__(128) unsigned char memory[];
  const uint32_t shared = shared_address(memory);
  const Tile<D> ks{shared}, vs{shared + Tile<D>::kBytes};
  const Tile<D> qs{shared + 2 * Tile<D>::kBytes}, gs{shared + 3 * Tile<D>::kBytes};
  float* row_lse = reinterpret_cast<float*>(memory + 4 * Tile<D>::kBytes);
  float* row_delta = row_lse + kRows;
  const int head = blockIdx.x, kv_head = head / (heads / kv_heads);
  const int* tile = tiles + 4 * blockIdx.y;
  const int first = tile[0], count = tile[1];
  const int64_t q_stride = int64_t{heads} * D, kv_stride = int64_t{kv_heads} * D;
  const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16;
  const float scale_log2 = scale * kLog2E;

  ks.load(k + kv_head * D, first, count, kv_stride);
  vs.load(v + kv_head * D, first, count, kv_stride);
  copy_commit();
  float dk_sums[D / 8][4] = {}, dv_sums[D / 8][4] = {};
  const int my_key[2] = {first + row + lane / 4, first + row + lane / 4 + 8};
  for (int range = tile[2]; range < tile[3]; ++range) {
    const int end = ranges[2 * range + 1];
    for (int begin = ranges[2 * range]; begin < end; begin += kRows) {
      const int queries = min(kRows, end - begin);
      qs.load(q + head * D, begin, queries, q_stride);
      gs.load(dout + head * D, begin, queries, q_stride);
      copy_commit();
      if (threadIdx.x < kRows) {
        const int64_t at = int64_t{begin + min(int(threadIdx.x), queries - 1)} * heads + head;
        row_lse[threadIdx.x] = lse[at];
        row_delta[threadIdx.x] = delta[at];
      }
      copy_wait<0>();
      __syncthreads();
      float s[8][4] = {}, dp[8][4] = {};
      multiply_transposed<D>(s, ks, row, qs);
      const bool masked = queries < kRows || begin < first + kRows;
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int column = 8 * n + lane % 4 * 2 + j % 2;
          float p = exp2_fast(s[n][j] * scale_log2 - row_lse[column]);
          if (masked && (column >= queries || begin + column < my_key[j / 2])) p = 0.0f;
          s[n][j] = p;
        }
      multiply<D>(dv_sums, s, gs);
      multiply_transposed<D>(dp, vs, row, gs);
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int j = 0; j < 4; ++j) s[n][j] *= dp[n][j] - row_delta[8 * n + lane % 4 * 2 + j % 2];
      multiply<D>(dk_sums, s, qs);
      __syncthreads();
    }
  }
  const float one[2] = {1.0f, 1.0f}, factor[2] = {scale, scale};
  store<D>(dv_sums, one, dv + head * D, first, row, count, q_stride);
  store<D>(dk_sums, factor, dk + head * D, first, row, count, q_stride);
}

// dk and dv [T, kv_heads, D] from the parts of a group's heads. quads: values of one / 4.
__global__ void __launch_bounds__(256)
    sum_heads(const float* dk_parts, const float* dv_parts, bf16* dk, bf16* dv, int quads,
              int group, int quarter_dim) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= quads) return;
  const bool of_v = blockIdx.y == 1;
  const float4* from = reinterpret_cast<const float4*>(of_v ? dv_parts : dk_parts) +
                       int64_t{i / quarter_dim} * group * quarter_dim + i % quarter_dim;
  float4 sum = from[0];
  for (int g = 1; g < group; ++g) {
    const float4 x = from[g * quarter_dim];
    sum.x += x.x, sum.y += x.y, sum.z += x.z, sum.w += x.w;
  }
  reinterpret_cast<uint2*>(of_v ? dv : dk)[i] =
      make_uint2(pack_bf16(sum.x, sum.y), pack_bf16(sum.z, sum.w));
}
