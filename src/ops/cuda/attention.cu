// Causal grouped-query attention over a tree of packed segments, bfloat16, forward and backward
// (the online softmax of Dao et al. 2022), on tiles in shared memory (tiles.cuh).
//
// Rows are packed: q, out, dout, dq [T, heads, D]; k, v, dk, dv [T, kv_heads, D]. A row sees the
// rows of its segment's ancestors and its own segment up to itself; ancestors lie before it, so
// within the ranges that the host lists (ops/cuda/attention_plan.cpp) "not after the row" is all
// that is to be masked. tiles [n][4]: first row, rows, first range, end of ranges; ranges [m][2]:
// rows. In the forward pass and for dq a tile is of queries and its ranges are of keys; for dk and
// dv it is the other way round. All sums run in a fixed order: the same inputs give the same bits.
//
// lse [T, heads]: log2 of the sum of 2^(score * scale * log2 e). delta [T, heads]: dout . out.

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

// The rows of a tile's ranges, 64 and less at a time.
struct RangeRows {
  const int* ranges;
  int range, last, row, end;

  __device__ RangeRows(const int* ranges_, const int* tile)
      : ranges(ranges_), range(tile[2]), last(tile[3]) {
    row = ranges[2 * range], end = ranges[2 * range + 1];
  }
  __device__ int begin() const { return row; }
  __device__ int count() const { return min(kRows, end - row); }
  __device__ bool advance() {
    row += kRows;
    if (row < end) return true;
    if (++range >= last) return false;
    row = ranges[2 * range], end = ranges[2 * range + 1];
    return true;
  }
};

// The keys that a tile of queries meets: those of ranges of packed rows.
template <int D>
struct RangeKeys {
  RangeRows rows;
  const bf16 *k, *v;  // of the head
  int64_t stride;

  __device__ int begin() const { return rows.begin(); }
  __device__ int count() const { return rows.count(); }
  __device__ void load_k(const Tile<D>& to) const { to.load(k, begin(), count(), stride); }
  __device__ void load_v(const Tile<D>& to) const { to.load(v, begin(), count(), stride); }
  __device__ bool advance() { return rows.advance(); }
};

// The queries of a tile in qs (being copied) over `keys`: o unscaled, the largest score and the sum
// of each half of a warp's rows. `place` is what the tile's first row stands at among the keys: a
// row sees keys up to its own place. Tiles of memory: k, v, v.
template <int D, typename Keys>
__device__ void attend(Keys keys, const Tile<D>& qs, uint32_t memory, int place, float scale_log2,
                       float (&o)[D / 8][4], float (&top)[2], float (&sum)[2]) {
  const int lane = threadIdx.x % 32;
  const int my_place[2] = {place + warp_row() + lane / 4, place + warp_row() + lane / 4 + 8};
  const Tile<D> ks{memory};
  Tile<D> vs{memory + Tile<D>::kBytes};
  keys.load_k(ks);
  keys.load_v(vs);
  copy_commit();
  for (bool more = true; more;) {
    const int begin = keys.begin(), count = keys.count();
    copies_arrived();
    float s[8][4];
    begin_products();
    multiply_transposed<D>(s, qs, ks);
    commit_products();
    products_done<0>(s);
    __syncthreads();
    const Tile<D> next{2 * memory + 3 * Tile<D>::kBytes - vs.base};
    more = keys.advance();
    if (more) {
      keys.load_k(ks);
      keys.load_v(next);
    }
    copy_commit();
    if (count < kRows || begin + kRows > place) {
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int column = 8 * n + lane % 4 * 2 + j % 2;
          if (column >= count || begin + column > my_place[j / 2]) s[n][j] = minus_infinity();
        }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float largest = top[half];
#pragma unroll
      for (int n = 0; n < 8; ++n)
        largest = fmaxf(largest, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
      largest = max_of_four(largest);
      // A row past the tile's end may see nothing.
      const float shift = largest == minus_infinity() ? 0.0f : largest * scale_log2;
      const float old = exp2_fast(top[half] * scale_log2 - shift);
      top[half] = largest;
      float added = 0.0f;
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float& x = s[n][2 * half + j];
          x = exp2_fast(x * scale_log2 - shift);
          added += x;
        }
      sum[half] = sum[half] * old + added;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) o[n][2 * half] *= old, o[n][2 * half + 1] *= old;
    }
    PackedRows p;
    pack_rows(p, s);
    begin_products();
    multiply<D>(o, p, vs);
    commit_products();
    products_done<0>(o);
    vs = next;
  }
  for (int half = 0; half < 2; ++half) {
    sum[half] = sum_of_four(sum[half]);
    top[half] *= scale_log2;
  }
}

template <int D>
__global__ void __launch_bounds__(kThreads, kBlocks(3))
    attention(const bf16* q, const bf16* k, const bf16* v, const int* tiles, const int* ranges,
              bf16* out, float* lse, int heads, int kv_heads, float scale) {
  extern __shared__ __align__(1024) unsigned char memory[];
  const uint32_t shared = shared_address(memory);
  const Tile<D> qs{shared};
  const int head = blockIdx.x, kv_head = head / (heads / kv_heads);
  const int* tile = tiles + 4 * blockIdx.y;
  const int first = tile[0], count = tile[1];
  const int64_t q_stride = int64_t{heads} * D, kv_stride = int64_t{kv_heads} * D;
  const int lane = threadIdx.x % 32, row = warp_row();

  qs.load(q + head * D, first, count, q_stride);
  float o[D / 8][4] = {}, top[2] = {minus_infinity(), minus_infinity()}, sum[2] = {};
  attend<D>(RangeKeys<D>{RangeRows(ranges, tile), k + kv_head * D, v + kv_head * D, kv_stride}, qs,
            shared + Tile<D>::kBytes, first, scale * kLog2E, o, top, sum);
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
__global__ void __launch_bounds__(kThreads, kBlocks(3))
    attention_backward_queries(const bf16* q, const bf16* k, const bf16* v, const bf16* out,
                               const bf16* dout, const float* lse, const int* tiles,
                               const int* ranges, bf16* dq, float* delta, int heads, int kv_heads,
                               float scale) {
  extern __shared__ __align__(1024) unsigned char memory[];
  const uint32_t shared = shared_address(memory);
  const Tile<D> qs{shared}, gs{shared + Tile<D>::kBytes};
  const Tile<D> ks{shared + 2 * Tile<D>::kBytes}, vs{shared + 3 * Tile<D>::kBytes};
  const int head = blockIdx.x, kv_head = head / (heads / kv_heads);
  const int* tile = tiles + 4 * blockIdx.y;
  const int first = tile[0], count = tile[1];
  const int64_t q_stride = int64_t{heads} * D, kv_stride = int64_t{kv_heads} * D;
  const int lane = threadIdx.x % 32, row = warp_row();
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
  RangeKeys<D> keys{RangeRows(ranges, tile), k + kv_head * D, v + kv_head * D, kv_stride};
  keys.load_k(ks);
  keys.load_v(vs);
  copy_commit();
  for (bool more = true; more;) {
    const int begin = keys.begin(), count_k = keys.count();
    copies_arrived();
    float s[8][4], dp[8][4];
    begin_products();
    multiply_transposed<D>(s, qs, ks);
    commit_products();
    multiply_transposed<D>(dp, gs, vs);
    commit_products();
    products_done<1>(s);
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int j = 0; j < 4; ++j) s[n][j] = exp2_fast(s[n][j] * scale_log2 - my_lse[j / 2]);
    if (count_k < kRows || begin + kRows > first) {
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int column = 8 * n + lane % 4 * 2 + j % 2;
          if (column >= count_k || begin + column > my_row[j / 2]) s[n][j] = 0.0f;
        }
    }
    products_done<0>(dp);
    __syncthreads();
    more = keys.advance();
    if (more) keys.load_v(vs);
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int j = 0; j < 4; ++j) s[n][j] *= dp[n][j] - my_delta[j / 2];
    PackedRows ds;
    pack_rows(ds, s);
    begin_products();
    multiply<D>(sums, ds, ks);
    commit_products();
    products_done<0>(sums);
    __syncthreads();
    if (more) keys.load_k(ks);
    copy_commit();
  }
  const float factor[2] = {scale, scale};
  store<D>(sums, factor, dq + head * D, first, row, count, q_stride);
}

// Each query head's part of dk and dv [T, heads, D], float32: rows of the products are keys,
// columns queries. A block for each head and not for each group of them: a causal mask gives the
// first keys the most to do, and few large blocks would leave most of the card idle behind the
// largest.
template <int D>
__global__ void __launch_bounds__(kThreads, kBlocks(2))
    attention_backward_keys(const bf16* q, const bf16* k, const bf16* v, const bf16* dout,
                            const float* lse, const float* delta, const int* tiles,
                            const int* ranges, float* dk, float* dv, int heads, int kv_heads,
                            float scale) {
  extern __shared__ __align__(1024) unsigned char memory[];
  const uint32_t shared = shared_address(memory);
  const Tile<D> ks{shared}, vs{shared + Tile<D>::kBytes};
  // Of queries and of dout's rows there are two tiles, one being copied.
  const auto tile_of = [=](int i) { return Tile<D>{shared + (2 + i) * Tile<D>::kBytes}; };
  float* row_values = reinterpret_cast<float*>(memory + 6 * Tile<D>::kBytes);  // [2][lse, delta]
  const int head = blockIdx.x, kv_head = head / (heads / kv_heads);
  const int* tile = tiles + 4 * blockIdx.y;
  const int first = tile[0], count = tile[1];
  const int64_t q_stride = int64_t{heads} * D, kv_stride = int64_t{kv_heads} * D;
  const int lane = threadIdx.x % 32, row = warp_row();
  const float scale_log2 = scale * kLog2E;

  RangeRows queries(ranges, tile);
  const auto load_rows = [&](int buffer) {
    tile_of(buffer).load(q + head * D, queries.begin(), queries.count(), q_stride);
    tile_of(buffer + 1).load(dout + head * D, queries.begin(), queries.count(), q_stride);
  };
  const auto value_of_row = [&] {
    const int r = queries.begin() + min(int(threadIdx.x) % kRows, queries.count() - 1);
    return (threadIdx.x < kRows ? lse : delta)[int64_t{r} * heads + head];
  };
  ks.load(k + kv_head * D, first, count, kv_stride);
  vs.load(v + kv_head * D, first, count, kv_stride);
  load_rows(0);
  copy_commit();
  row_values[threadIdx.x] = value_of_row();
  float dk_sums[D / 8][4] = {}, dv_sums[D / 8][4] = {};
  const int my_key[2] = {first + row + lane / 4, first + row + lane / 4 + 8};
  int buffer = 0;
  for (bool more = true; more; buffer ^= 2) {
    const int begin = queries.begin(), count_q = queries.count();
    const Tile<D> qs = tile_of(buffer), gs = tile_of(buffer + 1);
    const float* row_lse = row_values + buffer * kRows;
    const float* row_delta = row_lse + kRows;
    copies_arrived();
    float s[8][4], dp[8][4];
    begin_products();
    multiply_transposed<D>(s, ks, qs);
    commit_products();
    multiply_transposed<D>(dp, vs, gs);
    commit_products();
    more = queries.advance();
    float next_value = 0.0f;
    if (more) {
      load_rows(buffer ^ 2);
      next_value = value_of_row();
    }
    copy_commit();
    products_done<1>(s);
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const float2 of_two = *reinterpret_cast<const float2*>(row_lse + 8 * n + lane % 4 * 2);
#pragma unroll
      for (int j = 0; j < 4; ++j)
        s[n][j] = exp2_fast(s[n][j] * scale_log2 - (j % 2 == 0 ? of_two.x : of_two.y));
    }
    if (count_q < kRows || begin < first + kRows) {
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int column = 8 * n + lane % 4 * 2 + j % 2;
          if (column >= count_q || begin + column < my_key[j / 2]) s[n][j] = 0.0f;
        }
    }
    PackedRows p, ds;
    pack_rows(p, s);
    begin_products();
    multiply<D>(dv_sums, p, gs);
    commit_products();
    products_done<1>(dp);
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const float2 of_two = *reinterpret_cast<const float2*>(row_delta + 8 * n + lane % 4 * 2);
#pragma unroll
      for (int j = 0; j < 4; ++j) s[n][j] *= dp[n][j] - (j % 2 == 0 ? of_two.x : of_two.y);
    }
    pack_rows(ds, s);
    begin_products();
    multiply<D>(dk_sums, ds, qs);
    commit_products();
    products_done<0>(dv_sums);
    products_done<0>(dk_sums);
    row_values[(buffer ^ 2) * kRows + threadIdx.x] = next_value;
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
