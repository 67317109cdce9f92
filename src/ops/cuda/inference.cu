// What inference needs around its products and attention, bfloat16: RMSNorm,
// rotary embedding with the writing of keys and values into pages, choosing tokens.
// Everything is bounded by memory or by the time that a launch takes.

// Where an array lies (ops/cuda/queue.cpp), and an array that nothing was written to.
__global__ void tell_address(const int* array, uint64_t* address) {
  *address = reinterpret_cast<uint64_t>(array);
}
__global__ void leave_as_it_is(const int*, uint8_t*) {}

// to = bfloat16 of from, over blocks of 256.
template <typename T>
__global__ void __launch_bounds__(256) convert(const T* from, bf16* to, int64_t count) {
  const int64_t i = int64_t{blockIdx.x} * 256 + threadIdx.x;
  if (i < count) to[i] = to_bf16(to_float(from[i]));
}

// y[row, :] = bias, the start of a product's sum. A block for each row.
__global__ void __launch_bounds__(256) fill_rows(const bf16* bias, bf16* y, int width, int stride) {
  for (int i = threadIdx.x; i < width; i += 256) y[int64_t{blockIdx.x} * stride + i] = bias[i];
}

// y[row, :] += bias.
__global__ void __launch_bounds__(256) add_to_rows(const bf16* bias, bf16* y, int width, int stride) {
  bf16* row = y + int64_t{blockIdx.x} * stride;
  for (int i = threadIdx.x; i < width; i += 256)
    row[i] = to_bf16(to_float(row[i]) + to_float(bias[i]));
}

// y[row, :] += x[row, :], x without gaps; width is a multiple of 8.
__global__ void __launch_bounds__(256) add_rows(const bf16* x, bf16* y, int width, int stride) {
  for (int i = threadIdx.x * 8; i < width; i += 256 * 8) {
    float a[8], b[8];
    load8(x + int64_t{blockIdx.x} * width + i, a);
    load8(y + int64_t{blockIdx.x} * stride + i, b);
#pragma unroll
    for (int j = 0; j < 8; ++j) a[j] += b[j];
    store8(y + int64_t{blockIdx.x} * stride + i, a);
  }
}

__device__ inline float sum_of_warp(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}

// y = x / sqrt(mean(x^2) + eps) * weight; a block for each row, width a multiple of 8.
__global__ void __launch_bounds__(512)
    norm_rows(const bf16* x, const bf16* weight, bf16* y, int width, float eps) {
  __shared__ float sums[16];
  wait_for_previous();
  start_next();
  const bf16* row = x + int64_t{blockIdx.x} * width;
  float kept[8], sum = 0.0f;
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    load8(row + i, kept);
#pragma unroll
    for (int j = 0; j < 8; ++j) sum += kept[j] * kept[j];
  }
  sum = sum_of_warp(sum);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0.0f;
  for (int i = 0; i < blockDim.x / 32; ++i) sum += sums[i];
  const float factor = rsqrtf(sum / width + eps);
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    float w[8];
    if (width > blockDim.x * 8) load8(row + i, kept);
    load8(weight + i, w);
#pragma unroll
    for (int j = 0; j < 8; ++j) w[j] *= kept[j] * factor;
    store8(y + int64_t{blockIdx.x} * width + i, w);
  }
}

// qkv [rows, (heads + 2 kv_heads) * D]: q and k are normed where weights are given, and turned by
// their position; q stays where it is, k and v go to row_addresses[row] (in layer 0) + layer_offset
// and + plane more. A warp for four heads of a row.
template <int D>
__global__ void __launch_bounds__(128)
    rotate_and_store(bf16* qkv, const int* positions, const int64_t* row_addresses,
                     const float* inv_freq, const bf16* q_norm, const bf16* k_norm, int rows,
                     int heads, int kv_heads, int64_t layer_offset, int64_t plane, float eps) {
  constexpr int kPairs = D / 64;  // of a lane: (2 lane + 64 i, + D / 2) ... as two neighbours
  static_assert(kPairs >= 1, "");
  const int row = blockIdx.x, first = (blockIdx.y * 4 + threadIdx.x / 32) * 4;
  const int lane = threadIdx.x % 32, total = heads + 2 * kv_heads;
  wait_for_previous();
  start_next();
  if (row >= rows || first >= total) return;
  const float position = static_cast<float>(positions[row]);
  unsigned char* to = reinterpret_cast<unsigned char*>(row_addresses[row]) + layer_offset;
  float c[kPairs], s[kPairs];
#pragma unroll
  for (int i = 0; i < kPairs; ++i) sincosf(position * inv_freq[lane + 32 * i], &s[i], &c[i]);
  for (int head = first; head < min(first + 4, total); ++head) {
    bf16* x = qkv + (int64_t{row} * total + head) * D;
    const bool of_q = head < heads, of_k = !of_q && head < heads + kv_heads;
    const int kv = of_k ? head - heads : head - heads - kv_heads;
    bf16* out = of_q ? x
                     : reinterpret_cast<bf16*>(to + (of_k ? 0 : plane)) + int64_t{kv} * (64 * D);
    const bf16* norm = of_q ? q_norm : of_k ? k_norm : nullptr;
    float a[kPairs], b[kPairs];
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      a[i] = to_float(x[lane + 32 * i]);
      b[i] = to_float(x[lane + 32 * i + D / 2]);
    }
    if (norm != nullptr) {
      float sum = 0.0f;
#pragma unroll
      for (int i = 0; i < kPairs; ++i) sum += a[i] * a[i] + b[i] * b[i];
      const float factor = rsqrtf(sum_of_warp(sum) / D + eps);
#pragma unroll
      for (int i = 0; i < kPairs; ++i) {
        a[i] *= factor * to_float(norm[lane + 32 * i]);
        b[i] *= factor * to_float(norm[lane + 32 * i + D / 2]);
      }
    }
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      const bool turned = of_q || of_k;
      const float x0 = turned ? a[i] * c[i] - b[i] * s[i] : a[i];
      const float x1 = turned ? b[i] * c[i] + a[i] * s[i] : b[i];
      out[lane + 32 * i] = to_bf16(x0);
      out[lane + 32 * i + D / 2] = to_bf16(x1);
    }
  }
}

// Of a row of logits: what both kernels below write. words [2 + 2 count] (all of 4 bytes): the
// natural log of the sum of exponentials, how many of the largest follow (-1: too many are equal to
// say), ids, logits; of equal ones the smaller id first.

// Writes the `count` first of `listed` pairs, by all threads of the block.
__device__ inline void write_sorted(const float* values, const int* ids, int listed, int count,
                                    int* to) {
  for (int mine = threadIdx.x; mine < listed; mine += blockDim.x) {
    int rank = 0;
    for (int i = 0; i < listed; ++i)
      rank += values[i] > values[mine] || (values[i] == values[mine] && ids[i] < ids[mine]) ? 1 : 0;
    if (rank >= count) continue;
    to[2 + rank] = ids[mine];
    to[2 + count + rank] = __float_as_int(values[mine]);
  }
}

__device__ inline float max_of_warp(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
  return x;
}

// The slices of rows of logits [rows, vocab]: out [rows, slices, 2 + 2 count]. A block of 1024
// threads for each slice.
__global__ void __launch_bounds__(1024)
    largest_of_slices(const float* logits, int* out, int vocab, int count, int slice) {
  constexpr int kThreadsHere = 1024, kListed = 2048;
  __shared__ float tops[kThreadsHere], values[kListed], warp_tops[32], warp_sums[32];
  __shared__ int ids[kListed], listed;
  __shared__ float threshold;
  wait_for_previous();
  start_next();
  const float* x = logits + int64_t{blockIdx.x} * vocab;
  const int begin = blockIdx.y * slice, end = min(begin + slice, vocab);
  int* to = out + (int64_t{blockIdx.x} * gridDim.y + blockIdx.y) * (2 + 2 * count);
  const int thread = threadIdx.x;
  float top = minus_infinity(), sum = 0.0f;
  for (int i = begin + thread; i < end; i += kThreadsHere) {
    const float v = x[i];
    if (v > top) sum *= exp2_fast((top - v) * kLog2E), top = v;
    if (v > minus_infinity()) sum += exp2_fast((v - top) * kLog2E);
  }
  tops[thread] = top;
  if (thread == 0) listed = 0;
  // The sum of exponentials of all.
  float all = max_of_warp(top);
  if (thread % 32 == 0) warp_tops[thread / 32] = all;
  __syncthreads();
  all = max_of_warp(warp_tops[thread % 32]);
  sum = sum_of_warp(top == minus_infinity() ? 0.0f : sum * exp2_fast((top - all) * kLog2E));
  if (thread % 32 == 0) warp_sums[thread / 32] = sum;
  __syncthreads();
  if (thread == 0) {
    float whole = 0.0f;
    for (int i = 0; i < 32; ++i) whole += warp_sums[i];
    to[0] = __float_as_int(all + logf(whole));
  }
  // The threads whose largest is among the `count` largest of those hold all that is asked for.
  const int seen = min(kThreadsHere, end - begin);
  if (count == 1) {
    if (thread == 0) threshold = all;
  } else {
    int before = 0;
    for (int i = 0; i < seen; ++i)
      before += tops[i] > top || (tops[i] == top && i < thread) ? 1 : 0;
    if (thread < seen && before == min(count, seen) - 1) threshold = top;
  }
  __syncthreads();
  const float least = threshold;
  if (top >= least)
    for (int i = begin + thread; i < end; i += kThreadsHere)
      if (const float v = x[i]; v >= least) {
        const int at = atomicAdd(&listed, 1);
        if (at < kListed) values[at] = v, ids[at] = i;
      }
  __syncthreads();
  const bool whole = listed <= kListed;
  if (thread == 0) to[1] = whole ? min(count, listed) : -1;
  if (whole) write_sorted(values, ids, listed, count, to);
}

// out [rows, 2 + 2 count] of the slices, of which there are at most 32. A block for each row.
__global__ void __launch_bounds__(1024)
    largest_of_rows(const int* slices, int* out, int slice_count, int count) {
  constexpr int kListed = 2048;
  __shared__ float values[kListed];
  __shared__ int ids[kListed], from[33];
  wait_for_previous();
  start_next();
  const int words = 2 + 2 * count;
  const int* of_row = slices + int64_t{blockIdx.x} * slice_count * words;
  int* to = out + int64_t{blockIdx.x} * words;
  if (threadIdx.x == 0) {
    float top = minus_infinity(), sum = 0.0f;
    int listed = 0;
    bool known = true;
    for (int s = 0; s < slice_count; ++s) {
      top = fmaxf(top, __int_as_float(of_row[s * words]));
      from[s] = listed;
      known &= of_row[s * words + 1] >= 0;
      listed += max(of_row[s * words + 1], 0);
    }
    from[slice_count] = listed;
    for (int s = 0; s < slice_count; ++s)
      sum += exp2_fast((__int_as_float(of_row[s * words]) - top) * kLog2E);
    to[0] = __float_as_int(top + logf(sum));
    to[1] = known ? min(count, listed) : -1;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < slice_count * count; i += blockDim.x) {
    const int s = i / count, place = i % count;
    if (place >= from[s + 1] - from[s]) continue;
    ids[from[s] + place] = of_row[s * words + 2 + place];
    values[from[s] + place] = __int_as_float(of_row[s * words + 2 + count + place]);
  }
  __syncthreads();
  write_sorted(values, ids, from[slice_count], count, to);
}

// out[i] = logits[rows[i], ids[i]].
__global__ void __launch_bounds__(256)
    pick_logits(const float* logits, const int* rows, const int* ids, float* out, int vocab,
                int count) {
  const int i = blockIdx.x * 256 + threadIdx.x;
  if (i < count) out[i] = logits[int64_t{rows[i]} * vocab + ids[i]];
}
