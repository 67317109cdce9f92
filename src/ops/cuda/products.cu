// Products of a few rows with quantized weights: y[rows, n] = x[rows, k] W^T, W of 4 or 8 bits read
// as it lies in memory, which bounds them. bfloat16 in and out, float32 sums in a fixed order.
//
// Weights are the A operand of mma.sync and rows of x its columns. Four bits become a bfloat16 by
// one logical operation: 0x4300 | q is 128 + q; 128 times the sum of x is taken off again with the
// group's bias. The eight weights of a word come out in pairs (0,4) (1,5) (2,6) (3,7), and x is
// exchanged likewise. A byte is two such numbers. A group's sum is scaled once it is complete.
//
// A block takes kM tiles of 16 rows of W for each of kWarpsM warps; its other warps share out k, 128
// bytes of each row a step. A warp copies its own steps to shared memory ahead of their use: whole lines at
// a time, where reading operands straight from memory would touch a line for every 32 bytes. x
// comes there, too, in chunks of some steps. k may be split among blocks, too; the last of a tile to
// end adds their sums, in their order.

// One of up to three matrices that multiply the same x.
struct ProductPart {
  const uint32_t* weights;   // [n, k * bits / 32]
  const void* scales;        // [n, k / group]
  const void* biases;        // the same
  const bf16* bias;          // [n]; null: none
  const bf16* lora_b;        // [n, rank], the scale multiplied in; null: none
  const float* lora_xa;      // [rows, xa_stride]: x A
  const bf16* residual;      // [rows, y_stride]; null: none
  void* y;                   // [rows, y_stride], bfloat16 or float
  int n, y_stride, rank, first_block;
};
struct ProductArgs {
  ProductPart parts[3];
  const bf16* x;     // [rows, x_stride]
  const bf16* norm;  // [k]: x is normed (RMSNorm) first, where it comes in one chunk; null: not
  float* sums;       // workspace of the splits: [tiles][splits][8 * kN][tile rows]
  int* counters;     // [tiles], zeros before and after
  int rows, k, x_stride, xa_stride, part_count;
  int chunk_steps;   // of x in shared memory, at least as many as are copied ahead
  int chunk_stride;  // of its rows there
  int x_bytes;       // of it: of one chunk, or of two where there are more
  float eps;
};

__device__ inline uint32_t permute(uint32_t a, uint32_t b, uint32_t selector) {
  uint32_t r;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(selector));
  return r;
}
// (bits & 0x000f000f) | 0x43004300: two bfloat16 of 128 + nibble.
__device__ inline uint32_t nibbles(uint32_t bits) {
  uint32_t r;
  asm("lop3.b32 %0, %1, 0x000f000f, 0x43004300, 0xea;" : "=r"(r) : "r"(bits));
  return r;
}

// kWords consecutive words of shared memory.
template <int kWords>
__device__ inline void load_words(uint32_t (&to)[kWords], const unsigned char* from) {
  if constexpr (kWords == 1) {
    to[0] = *reinterpret_cast<const uint32_t*>(from);
  } else if constexpr (kWords == 2) {
    const uint2 v = *reinterpret_cast<const uint2*>(from);
    to[0] = v.x, to[1] = v.y;
  } else {
#pragma unroll
    for (int i = 0; i < kWords; i += 4) {
      const uint4 v = reinterpret_cast<const uint4*>(from)[i / 4];
      to[i] = v.x, to[i + 1] = v.y, to[i + 2] = v.z, to[i + 3] = v.w;
    }
  }
}

// kCount consecutive scales as raw words; all at once where they are aligned.
template <typename Scale, int kCount>
struct Scales {
  uint32_t raw[(kCount * sizeof(Scale) + 3) / 4];

  __device__ void load(const Scale* from, bool aligned, int count) {
    constexpr int kBytes = kCount * sizeof(Scale);
    if constexpr (kBytes == 2) {
      raw[0] = *reinterpret_cast<const unsigned short*>(from);
    } else if (aligned) {
      const uint32_t* words = reinterpret_cast<const uint32_t*>(from);
      if constexpr (kBytes == 4) {
        raw[0] = words[0];
      } else if constexpr (kBytes == 8) {
        const uint2 v = *reinterpret_cast<const uint2*>(words);
        raw[0] = v.x, raw[1] = v.y;
      } else {
#pragma unroll
        for (int i = 0; i < kBytes / 4; i += 4) {
          const uint4 v = *reinterpret_cast<const uint4*>(words + i);
          raw[i] = v.x, raw[i + 1] = v.y, raw[i + 2] = v.z, raw[i + 3] = v.w;
        }
      }
    } else {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        if (i >= count) break;
        if constexpr (sizeof(Scale) == 4) {
          raw[i] = reinterpret_cast<const uint32_t*>(from)[i];
        } else {
          const uint32_t half_word = reinterpret_cast<const unsigned short*>(from)[i];
          raw[i / 2] = i % 2 == 0 ? half_word : raw[i / 2] | half_word << 16;
        }
      }
    }
  }
  __device__ float get(int i) const {
    if constexpr (sizeof(Scale) == 4) return __uint_as_float(raw[i]);
    else return to_float(Scale{static_cast<unsigned short>(raw[i / 2] >> (16 * (i % 2)))});
  }
};

// RMSNorm of staged rows of x, in place, by all 256 threads.
__device__ inline void norm_staged(unsigned char* memory, int stride, const bf16* weight, int rows,
                                   int k, float eps) {
  __shared__ float squares[8][8];  // [warp][row]
  const int warp = threadIdx.x / 32;
  for (int row = 0; row < rows; ++row) {
    const bf16* x = reinterpret_cast<const bf16*>(memory) + row * stride;
    float sum = 0.0f;
    for (int i = threadIdx.x * 8; i < k; i += 256 * 8) sum += dot8(x + i, x + i);
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    if (threadIdx.x % 32 == 0) squares[warp][row] = sum;
  }
  __syncthreads();
  for (int row = 0; row < rows; ++row) {
    bf16* x = reinterpret_cast<bf16*>(memory) + row * stride;
    float sum = 0.0f;
#pragma unroll
    for (int w = 0; w < 8; ++w) sum += squares[w][row];
    const float factor = rsqrtf(sum / k + eps);
    for (int i = threadIdx.x * 8; i < k; i += 256 * 8) {
      float v[8], by[8];
      load8(x + i, v);
      load8(weight + i, by);
#pragma unroll
      for (int j = 0; j < 8; ++j) v[j] *= by[j] * factor;
      store8(x + i, v);
    }
  }
  __syncthreads();
}

__device__ inline float silu(float x) { return x / (1.0f + exp2_fast(-x * kLog2E)); }

// kN: tiles of 8 rows of x. kGated: y = silu(W0 x) * (W1 x), part 0 and 1 of equal size (kM is 2).
template <int kBits, int kGroup, typename Scale, typename Out, int kM, int kN, int kWarpsM,
          bool kGated>
__global__ void __launch_bounds__(256, kM * kN == 1 ? 3 : kN <= 2 ? 2 : 1) quantized_product(const ProductArgs args) {
  constexpr int kWarpsK = 8 / kWarpsM, kStages = kM == 2 ? 2 : 3;
  constexpr int kDepth = 1024 / kBits;                      // values of k: 128 bytes
  constexpr int kGroups = kDepth / kGroup;                  // of a warp in a step
  constexpr int kStep = kWarpsK * kDepth;                   // values of k
  constexpr int kWords = kGroup * kBits / 128;              // of a lane in a group
  constexpr int kEights = kGroup / 32;                      // of x, of a lane in a group
  constexpr int kRowsM = kWarpsM * 16 * (kGated ? 1 : kM);  // of W, of a block
  extern __shared__ __align__(128) unsigned char memory[];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int warp_m = warp % kWarpsM, warp_k = warp / kWarpsM;
  const int k = args.k, groups = k / kGroup, rows = args.rows;
  const int staged = min(rows, 8 * kN);
  const int steps = (groups + kWarpsK * kGroups - 1) / (kWarpsK * kGroups);
  const int begin = steps * blockIdx.y / gridDim.y, end = steps * (blockIdx.y + 1) / gridDim.y;
  const int x_stride = args.chunk_stride;

  int part = 0;
  if constexpr (!kGated)
    while (part + 1 < args.part_count && blockIdx.x >= args.parts[part + 1].first_block) ++part;
  const int block = blockIdx.x - args.parts[part].first_block;
  const int first = block * kRowsM;

  // Rows of W in shared memory are so far apart that a warp's operands lie in different banks.
  constexpr int kRowBytes = 128 + (kWords == 8 ? 16 : 16 * kWords);
  constexpr int kStageBytes = kM * 16 * kRowBytes;
  unsigned char* ring = memory + args.x_bytes + warp * (kStages * kStageBytes);
  // The rows of W of this lane, two a tile.
  const Scale* scales[kM][2];
  const Scale* biases[kM][2];
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const ProductPart& p = args.parts[kGated ? m : part];
      const int row =
          min(first + (kGated ? warp_m * 16 : (warp_m * kM + m) * 16) + g + 8 * h, p.n - 1);
      scales[m][h] = static_cast<const Scale*>(p.scales) + int64_t{row} * groups;
      biases[m][h] = static_cast<const Scale*>(p.biases) + int64_t{row} * groups;
    }

  const uint32_t shared = shared_address(memory);
  // The chunk of x from a step on.
  const auto stage = [&](int step, int buffer) {
    const int first_k = step * kStep, steps_left = min(args.chunk_steps, end - step);
    const int eights = min(steps_left * kStep, k - first_k) / 8;
    for (int i = threadIdx.x; i < staged * eights; i += 256) {
      const int row = i / eights, eight = i - row * eights;
      copy_async(shared + ((buffer * staged + row) * x_stride + eight * 8) * 2,
                 args.x + int64_t{row} * args.x_stride + first_k + eight * 8, true);
    }
  };

  // This warp's weights of a step.
  const auto fill = [&](int step) {
    if (step < end) {
      const uint32_t to = shared_address(ring) + (step - begin) % kStages * kStageBytes;
      const int row_bytes = k / 8 * kBits, at = (step * kWarpsK + warp_k) * 128 + lane % 8 * 16;
#pragma unroll
      for (int i = 0; i < kM * 4; ++i) {
        const int local = i * 4 + lane / 8;
        const ProductPart& p = args.parts[kGated ? local / 16 : part];
        const int row = min(first + (kGated ? warp_m * 16 + local % 16 : warp_m * kM * 16 + local),
                            p.n - 1);
        copy_async(to + local * kRowBytes + lane % 8 * 16,
                   reinterpret_cast<const unsigned char*>(p.weights) + int64_t{row} * row_bytes +
                       min(at, row_bytes - 16),
                   true);
      }
    }
    copy_commit();
  };
  struct Step {
    Scales<Scale, kGroups> scale[kM][2], bias[kM][2];
  };
  const bool aligned = groups % kGroups == 0;
  const auto load = [&](Step& f, int step) {
    const int group = (step * kWarpsK + warp_k) * kGroups;
    if (step >= end || group >= groups) return;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        f.scale[m][h].load(scales[m][h] + group, aligned, groups - group);
        f.bias[m][h].load(biases[m][h] + group, aligned, groups - group);
      }
  };

  float sums[kM][kN][4] = {};
  // `from`: where the step begins in shared memory.
  const auto multiply = [&](const Step& f, int step, int from) {
    const unsigned char* w = ring + (step - begin) % kStages * kStageBytes + t * kWords * 4;
#pragma unroll
    for (int u = 0; u < kGroups; ++u) {
      const int group = (step * kWarpsK + warp_k) * kGroups + u;
      if (group >= groups) break;
      const int at = from + (warp_k * kGroups + u) * kGroup + t * (kGroup / 4);
      // The group's weights as operands: `low` nibbles, and for bytes the high ones.
      constexpr int kPlanes = kBits / 4;
      uint32_t a[kPlanes][kM][kEights][2][4];
#pragma unroll
      for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          uint32_t q[kWords];
          load_words(q, w + (m * 16 + g + 8 * h) * kRowBytes + u * (kGroup / 8 * kBits));
#pragma unroll
          for (int e = 0; e < kEights; ++e)
#pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
              uint32_t low, high = 0;
              if constexpr (kBits == 4) {
                low = q[e] >> (4 * pair);
              } else {
                low = permute(q[2 * e], q[2 * e + 1], 0x0400 + 0x0101 * pair);
                high = low >> 4;
              }
              // Pairs 0 and 1 are the first k16, 2 and 3 the second.
              a[0][m][e][pair / 2][h + 2 * (pair % 2)] = nibbles(low);
              if constexpr (kBits == 8)
                a[kPlanes - 1][m][e][pair / 2][h + 2 * (pair % 2)] = nibbles(high);
            }
        }
#pragma unroll
      for (int n = 0; n < kN; ++n) {
        float sum[kPlanes][kM][4] = {}, of_x[4] = {};
        const int row = min(8 * n + g, staged - 1);
        const unsigned char* x = memory + (row * x_stride + at) * 2;
#pragma unroll
        for (int e = 0; e < kEights; ++e) {
          const uint4 v = *reinterpret_cast<const uint4*>(x + e * 16);
          const uint32_t b[4] = {permute(v.x, v.z, 0x5410), permute(v.x, v.z, 0x7632),
                                 permute(v.y, v.w, 0x5410), permute(v.y, v.w, 0x7632)};
          const uint32_t one = 0x3f803f80, ones[4] = {one, one, one, one};
#pragma unroll
          for (int s = 0; s < 2; ++s) {
            mma(of_x, ones, b[2 * s], b[2 * s + 1]);
#pragma unroll
            for (int plane = 0; plane < kPlanes; ++plane)
#pragma unroll
              for (int m = 0; m < kM; ++m)
                mma(sum[plane][m], a[plane][m][e][s], b[2 * s], b[2 * s + 1]);
          }
        }
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
          for (int c = 0; c < 4; ++c) {
            const float s = f.scale[m][c / 2].get(u);
            float q = sum[0][m][c], excess = 128.0f;
            if constexpr (kBits == 8) q = fmaf(16.0f, sum[kPlanes - 1][m][c], q), excess = 17 * 128.0f;
            sums[m][n][c] += s * (q - excess * of_x[c % 2]) + f.bias[m][c / 2].get(u) * of_x[c % 2];
          }
      }
    }
  };

  Step now, next;
  // Weights are nobody's results: they need not wait for the kernel before.
  load(now, begin);
  for (int i = 0; i + 1 < kStages; ++i) fill(begin + i);
  wait_for_previous();
  start_next();
  stage(begin, 0);
  copy_commit();
  // What is added to the first of this thread's results.
  float early = 0.0f;
  const auto addend = [&](const ProductPart& p, int row, int column) {
    float y = p.bias != nullptr ? to_float(p.bias[column]) : 0.0f;
    if (p.residual != nullptr) y += to_float(p.residual[int64_t{row} * p.y_stride + column]);
    return y;
  };
  if constexpr (!kGated)
    if (threadIdx.x < staged * kRowsM && first + threadIdx.x % kRowsM < args.parts[part].n)
      early = addend(args.parts[part], threadIdx.x / kRowsM, first + threadIdx.x % kRowsM);
  copy_wait<0>();
  __syncthreads();
  if (args.norm != nullptr) norm_staged(memory, x_stride, args.norm, staged, k, args.eps);
  for (int step = begin; step < end; ++step) {
    const int of_chunk = (step - begin) % args.chunk_steps;
    const int buffer = (step - begin) / args.chunk_steps % 2;
    if (step > begin) {
      copy_wait<kStages - 2>();
      if (of_chunk == 0)
        __syncthreads();
      else
        __syncwarp();
    }
    if (of_chunk == 0 && step + args.chunk_steps < end) stage(step + args.chunk_steps, buffer ^ 1);
    load(next, step + 1);
    fill(step + kStages - 1);
    multiply(now, step, buffer * staged * x_stride + of_chunk * kStep);
    now = next;
  }
  copy_wait<0>();
  __syncthreads();

  // The warps' parts of the sums: [kWarpsK][8 * kN rows of x][tile rows].
  constexpr int kTileRows = kWarpsM * kM * 16, kPartStride = kTileRows + 4;
  float* parts = reinterpret_cast<float*>(memory);
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int row = 8 * n + 2 * t + c % 2;
        const int column = (warp_m * kM + m) * 16 + g + c / 2 * 8;
        parts[(warp_k * 8 * kN + row) * kPartStride + column] = sums[m][n][c];
      }
  __syncthreads();
  const auto total = [&](int row, int column) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < kWarpsK; ++i) sum += parts[(i * 8 * kN + row) * kPartStride + column];
    return sum;
  };
  if (gridDim.y > 1) {
    constexpr int kSums = 8 * kN * kTileRows;
    float* tile = args.sums + int64_t{blockIdx.x} * gridDim.y * kSums;
    for (int i = threadIdx.x; i < staged * kTileRows; i += 256)
      tile[blockIdx.y * kSums + i] = total(i / kTileRows, i % kTileRows);
    __shared__ int ended;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
      ended = atomicAdd(args.counters + blockIdx.x, 1);
      if (ended == gridDim.y - 1) args.counters[blockIdx.x] = 0;
    }
    __syncthreads();
    if (ended != gridDim.y - 1) return;
    __threadfence();
    for (int i = threadIdx.x; i < staged * kTileRows; i += 256) {
      float sum = 0.0f;
#pragma unroll 8
      for (int split = 0; split < gridDim.y; ++split) sum += __ldcg(tile + split * kSums + i);
      parts[i / kTileRows * kPartStride + i % kTileRows] = sum;
    }
    __syncthreads();
  }
  const auto whole = [&](int row, int column) {
    return gridDim.y > 1 ? parts[row * kPartStride + column] : total(row, column);
  };
  const auto adapted = [&](const ProductPart& p, int row, int column, float y) {
    if (p.lora_b == nullptr) return y;
    const float* xa = p.lora_xa + int64_t{row} * args.xa_stride;
    for (int i = 0; i < p.rank; ++i) y += xa[i] * to_float(p.lora_b[int64_t{column} * p.rank + i]);
    return y;
  };
  for (int i = threadIdx.x; i < staged * kRowsM; i += 256) {
    const int row = i / kRowsM, local = i % kRowsM, column = first + local;
    const ProductPart& p = args.parts[part];
    if (column >= p.n) continue;
    float y;
    if constexpr (kGated) {
      const int tile = local / 16 * 32 + local % 16;
      const ProductPart& up = args.parts[1];
      y = silu(adapted(p, row, column, whole(row, tile) + addend(p, row, column))) *
          adapted(up, row, column, whole(row, tile + 16) + addend(up, row, column));
    } else {
      const float added = i == threadIdx.x ? early : addend(p, row, column);
      y = adapted(p, row, column, whole(row, local) + added);
    }
    const int64_t at = int64_t{row} * p.y_stride + column;
    if constexpr (sizeof(Out) == 4)
      static_cast<float*>(p.y)[at] = y;
    else
      static_cast<bf16*>(p.y)[at] = to_bf16(y);
  }
}

// xa[row, j] = x[row] . a[j] for the LoRA matrices of the layers that read x: a [ranks, k]. A warp
// for each value.
__global__ void __launch_bounds__(256)
    lora_inner(const bf16* x, const bf16* a, float* xa, int rows, int k, int x_stride, int ranks) {
  wait_for_previous();
  start_next();
  const int at = blockIdx.x * 8 + threadIdx.x / 32;
  if (at >= rows * ranks) return;
  const int row = at / ranks, j = at % ranks;
  float sum = 0.0f;
  for (int i = threadIdx.x % 32 * 8; i < k; i += 256)
    sum += dot8(x + int64_t{row} * x_stride + i, a + int64_t{j} * k + i);
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  if (threadIdx.x % 32 == 0) xa[at] = sum;
}
