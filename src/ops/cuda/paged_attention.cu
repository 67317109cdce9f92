// Attention of new rows over keys and values in pages (ops/cuda/kv_pages.h), after attention.cu.
//
// A page holds 64 rows of all layers: [layers][k, v][kv_heads][64][D] bfloat16. A sequence is a
// list of entries, each some first rows of a page, in the order of their positions; beginnings that
// sequences share are pages in the lists of all of them, and may end within a page.
struct PageEntry {
  int64_t address;  // of the page
  int first;        // position of its first row
  int count;        // rows of it, the new ones included
};

// A part of one sequence's work: new rows [row, row + rows), which stand at `place` and on, over
// entries [begin, end). With several splits of the keys, the last block to end adds their results,
// which lie in the workspace from `slot` on for this and the other splits.
struct PageTask {
  int row, rows, place, begin, end, split, splits, slot;
};

template <int D>
struct PageKeys {
  const PageEntry* entry;
  const PageEntry* last;
  int64_t k_offset, v_offset;

  __device__ int begin() const { return entry->first; }
  __device__ int count() const { return entry->count; }
  __device__ void load(const Tile<D>& to, int64_t offset) const {
    to.load(reinterpret_cast<const bf16*>(entry->address + offset), 0, entry->count, D);
  }
  __device__ void load_k(const Tile<D>& to) const { load(to, k_offset); }
  __device__ void load_v(const Tile<D>& to) const { load(to, v_offset); }
  __device__ bool advance() { return ++entry < last; }
};

// Many new rows: tiles of 64 of them, a block for each tile and query head. q [T, q_stride],
// out [T, heads * D].
template <int D>
__global__ void __launch_bounds__(kThreads)
    paged_attention(const bf16* q, const PageTask* tasks, const PageEntry* entries, bf16* out,
                    int q_stride, int heads, int kv_heads, int64_t layer_offset, int64_t plane,
                    float scale) {
  extern __shared__ __align__(1024) unsigned char memory[];
  const uint32_t shared = shared_address(memory);
  const Tile<D> qs{shared};
  const int head = blockIdx.x, kv_head = head / (heads / kv_heads);
  const PageTask task = tasks[blockIdx.y];
  const int64_t offset = layer_offset + int64_t{kv_head} * (kRows * D * 2);
  wait_for_previous();
  start_next();
  qs.load(q + head * D, task.row, task.rows, q_stride);
  float o[D / 8][4] = {}, top[2] = {minus_infinity(), minus_infinity()}, sum[2] = {};
  attend<D>(PageKeys<D>{entries + task.begin, entries + task.end, offset, offset + plane}, qs,
            shared + Tile<D>::kBytes, task.place, scale * kLog2E, o, top, sum);
  const float factor[2] = {1.0f / sum[0], 1.0f / sum[1]};
  store<D>(o, factor, out + head * D, task.row, warp_row(), task.rows, int64_t{heads} * D);
}

// Few new rows: all query heads of a key head and all new rows are one tile of at most 16 rows
// (m = row * group + head); a block for each task and key head, whose four warps take 16 of each
// page's 64 keys. part [slots][16 * D + 32]: sums, then largest scores and their sums; counters
// [slots]: zeros before and after.
template <int D>
__global__ void __launch_bounds__(kThreads)
    paged_attention_few(const bf16* q, const PageTask* tasks, const PageEntry* entries, bf16* out,
                        float* parts, int* counters, int q_stride, int heads, int kv_heads,
                        int64_t layer_offset, int64_t plane, float scale) {
  constexpr int kPart = 16 * D + 32, kPadded = D + 4;
  extern __shared__ __align__(1024) unsigned char memory[];
  const uint32_t shared = shared_address(memory);
  const auto tile = [&](int i) { return Tile<D>{shared + i * Tile<D>::kBytes}; };  // k, v, k, v
  const PageTask task = tasks[blockIdx.x];
  const int kv_head = blockIdx.y, group = heads / kv_heads, used = task.rows * group;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const int64_t offset = layer_offset + int64_t{kv_head} * (kRows * D * 2);
  const float scale_log2 = scale * kLog2E;

  PageKeys<D> keys{entries + task.begin, entries + task.end, offset, offset + plane};
  wait_for_previous();
  start_next();
  keys.load_k(tile(0));
  keys.load_v(tile(1));
  copy_commit();
  // The queries as operands, 16 columns a step.
  uint32_t a[D / 16][4];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int m = g + 8 * half, row = min(m, used - 1) / group, head = min(m, used - 1) % group;
    const bf16* from =
        q + int64_t{task.row + row} * q_stride + (kv_head * group + head) * D + 2 * t;
#pragma unroll
    for (int i = 0; i < D / 16; ++i) {
      a[i][half] = *reinterpret_cast<const uint32_t*>(from + 16 * i);
      a[i][half + 2] = *reinterpret_cast<const uint32_t*>(from + 16 * i + 8);
    }
  }
  const int my_place[2] = {task.place + g / group, task.place + (g + 8) / group};
  float o[D / 8][4] = {}, top[2] = {minus_infinity(), minus_infinity()}, sum[2] = {};
  int buffer = 0;
  for (bool more = true; more; buffer ^= 2) {
    const int begin = keys.begin(), count = keys.count();
    more = keys.advance();
    if (more) {
      keys.load_k(tile(buffer ^ 2));
      keys.load_v(tile((buffer ^ 2) + 1));
    }
    copy_commit();
    copy_wait<1>();
    __syncthreads();
    float s[2][4] = {};
#pragma unroll
    for (int i = 0; i < D / 16; ++i) {
      uint32_t b[4];
      tile(buffer).load_b(b, 16 * warp, 2 * i);
      mma(s[0], a[i], b[0], b[1]);
      mma(s[1], a[i], b[2], b[3]);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float largest = top[half];
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float& x = s[n][2 * half + j];
          x *= scale_log2;
          const int column = 16 * warp + 8 * n + 2 * t + j;
          if (column >= count || begin + column > my_place[half]) x = minus_infinity();
          largest = fmaxf(largest, x);
        }
      largest = max_of_four(largest);
      const float shift = largest == minus_infinity() ? 0.0f : largest;
      const float old = exp2_fast(top[half] - shift);
      top[half] = largest;
      float added = 0.0f;
#pragma unroll
      for (int n = 0; n < 2; ++n)
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
    const uint32_t p[4] = {pack_bf16(s[0][0], s[0][1]), pack_bf16(s[0][2], s[0][3]),
                           pack_bf16(s[1][0], s[1][1]), pack_bf16(s[1][2], s[1][3])};
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      uint32_t b[4];
      tile(buffer + 1).load_b_transposed(b, 16 * warp, 2 * n);
      mma(o[2 * n], p, b[0], b[1]);
      mma(o[2 * n + 1], p, b[2], b[3]);
    }
    __syncthreads();
  }
  copy_wait<0>();

  // The four warps' results in shared memory, each relative to its own largest score.
  float* sums = reinterpret_cast<float*>(memory);  // [4][16][kPadded]
  float* tops = sums + 4 * 16 * kPadded;           // [4][16]
  float* totals = tops + 4 * 16;                   // [4][16]
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    sum[half] = sum_of_four(sum[half]);
    const int m = warp * 16 + g + 8 * half;
    if (t == 0) tops[m] = top[half], totals[m] = sum[half];
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
      *reinterpret_cast<float2*>(sums + m * kPadded + 8 * n + 2 * t) =
          make_float2(o[n][2 * half], o[n][2 * half + 1]);
  }
  __syncthreads();
  const int slot = (task.slot * kv_heads + kv_head * task.splits);
  const auto write = [&](int m, int d, float y) {
    out[int64_t{task.row + m / group} * heads * D + (kv_head * group + m % group) * D + d] =
        to_bf16(y);
  };
  float* mine = parts + int64_t{slot + task.split} * kPart;
  for (int i = threadIdx.x; i < used * D; i += kThreads) {
    const int m = i / D, d = i % D;
    float largest = minus_infinity(), y = 0.0f, total = 0.0f;
    for (int w = 0; w < 4; ++w) largest = fmaxf(largest, tops[w * 16 + m]);
    const float shift = largest == minus_infinity() ? 0.0f : largest;
    for (int w = 0; w < 4; ++w) {
      const float f = exp2_fast(tops[w * 16 + m] - shift);
      y += f * sums[(w * 16 + m) * kPadded + d];
      total += f * totals[w * 16 + m];
    }
    if (task.splits == 1) {
      write(m, d, y / total);
    } else {
      mine[i] = y;
      if (d == 0) mine[16 * D + m] = largest, mine[16 * D + 16 + m] = total;
    }
  }
  if (task.splits == 1) return;
  __shared__ int ended;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    ended = atomicAdd(counters + slot, 1);
    if (ended == task.splits - 1) counters[slot] = 0;
  }
  __syncthreads();
  if (ended != task.splits - 1) return;
  __threadfence();
  // Each split's weight in each row, and the sum of all.
  const float* all = parts + int64_t{slot} * kPart;
  constexpr int kKept = 4 * 16 * kPadded / 32;        // splits that there is room for at a time
  float* weights = reinterpret_cast<float*>(memory);  // [splits][16]
  float* inverse = weights + 16 * kKept;              // [16]
  static_assert((16 * kKept + 16) * 4 <= 4 * Tile<D>::kBytes, "");
  const int splits = min(task.splits, kKept);  // the host makes no more
  for (int i = threadIdx.x; i < splits * 16; i += kThreads)
    weights[i] = i % 16 < used ? __ldcg(all + i / 16 * kPart + 16 * D + i % 16) : 0.0f;
  __syncthreads();
  float largest = minus_infinity();
  const int mine_m = threadIdx.x / 8, mine_first = threadIdx.x % 8;  // eight threads a row
  for (int p = mine_first; p < splits; p += 8) largest = fmaxf(largest, weights[p * 16 + mine_m]);
#pragma unroll
  for (int step = 4; step > 0; step /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
  float total = 0.0f;
  for (int p = mine_first; p < splits; p += 8) {
    float& w = weights[p * 16 + mine_m];
    w = exp2_fast(w - largest);
    if (mine_m < used) total += w * __ldcg(all + p * kPart + 16 * D + 16 + mine_m);
  }
#pragma unroll
  for (int step = 4; step > 0; step /= 2) total += __shfl_xor_sync(~0u, total, step);
  if (mine_first == 0) inverse[mine_m] = 1.0f / total;
  __syncthreads();
  for (int i = threadIdx.x; i < used * D; i += kThreads) {
    const int m = i / D;
    float y = 0.0f;
#pragma unroll 8
    for (int p = 0; p < splits; ++p) y += weights[p * 16 + m] * __ldcg(all + p * kPart + i);
    write(m, i % D, y * inverse[m]);
  }
}
