// Products of a few rows with quantized weights: y[rows, n] = x[rows, k] W^T, W of 4 or 8 bits read
// as it lies in memory, which bounds them. bfloat16 in and out, float32 sums in a fixed order.
//
// Weights are the A operand of mma.sync and rows of x its columns. Four bits become a bfloat16 by
// one logical operation: 0x4300 | q is 128 + q; 128 times the sum of x is taken off again with the
// group's bias. The eight weights of a word come out in pairs (0,4) (1,5) (2,6) (3,7), and x is
// exchanged likewise. A byte is two such numbers. A group's sum is scaled once it is complete.
//
// A block takes kM tiles of 16 rows of W for each of kWarpsM warps; its other warps share out the
// groups along k, kDepth values at a time. x comes through shared memory, a chunk ahead.

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
  const bf16* x;  // [rows, x_stride]
  int rows, k, x_stride, xa_stride, part_count;
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

// kWords consecutive words.
template <int kWords>
__device__ inline void load_words(uint32_t* to, const uint32_t* from) {
  if constexpr (kWords == 1) {
    to[0] = __ldcs(from);
  } else if constexpr (kWords == 2) {
    const uint2 v = __ldcs(reinterpret_cast<const uint2*>(from));
    to[0] = v.x, to[1] = v.y;
  } else {
#pragma unroll
    for (int i = 0; i < kWords; i += 4) {
      const uint4 v = __ldcs(reinterpret_cast<const uint4*>(from + i));
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

__device__ inline float silu(float x) { return x / (1.0f + exp2_fast(-x * kLog2E)); }

// kN: tiles of 8 rows of x. kGated: y = silu(W0 x) * (W1 x), part 0 and 1 of equal size (kM is 2).
template <int kBits, int kGroup, typename Scale, typename Out, int kM, int kN, int kWarpsM,
          int kDepth, bool kGated>
__global__ void __launch_bounds__(256, kM * kN == 1 ? 3 : kN == 1 ? 2 : 1) quantized_product(const ProductArgs args) {
  constexpr int kWarpsK = 8 / kWarpsM;
  constexpr int kGroups = kDepth / kGroup;                 // of a warp in a chunk
  constexpr int kChunk = kWarpsK * kGroups * kGroup;       // values of k
  constexpr int kStride = kChunk + 8;                      // of a row of x in shared memory
  constexpr int kWords = kGroup * kBits / 128;             // of a lane in a group
  constexpr int kEights = kGroup / 32;                     // of x, of a lane in a group
  constexpr int kRowsM = kWarpsM * 16 * (kGated ? 1 : kM);  // of W, of a block
  extern __shared__ __align__(128) unsigned char memory[];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int warp_m = warp % kWarpsM, warp_k = warp / kWarpsM;
  const int k = args.k, groups = k / kGroup, rows = args.rows;
  const int staged = min(rows, 8 * kN);

  int part = 0;
  if constexpr (!kGated)
    while (part + 1 < args.part_count && blockIdx.x >= args.parts[part + 1].first_block) ++part;
  const int block = blockIdx.x - args.parts[part].first_block;
  const int first = block * kRowsM;

  // The rows of W of this lane, two a tile.
  const uint32_t* w[kM][2];
  const Scale* scales[kM][2];
  const Scale* biases[kM][2];
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const ProductPart& p = args.parts[kGated ? m : part];
      const int row =
          min(first + (kGated ? warp_m * 16 : (warp_m * kM + m) * 16) + g + 8 * h, p.n - 1);
      w[m][h] = p.weights + int64_t{row} * (k / 32 * kBits) + t * kWords;
      scales[m][h] = static_cast<const Scale*>(p.scales) + int64_t{row} * groups;
      biases[m][h] = static_cast<const Scale*>(p.biases) + int64_t{row} * groups;
    }

  const uint32_t shared = shared_address(memory);
  const auto stage = [&](int chunk, int buffer) {
    const int begin = chunk * kChunk, eights = min(kChunk, k - begin) / 8;
    if (eights <= 0) return;
    for (int row = 0; row < staged; ++row) {
      const bf16* from = args.x + int64_t{row} * args.x_stride + begin;
      const uint32_t to = shared + (buffer * staged + row) * kStride * 2;
      for (int i = threadIdx.x; i < eights; i += 256) copy_async(to + i * 16, from + i * 8, true);
    }
  };

  struct Fragment {
    uint32_t q[kGroups][kM][2][kWords];
    Scales<Scale, kGroups> scale[kM][2], bias[kM][2];
  };
  const bool aligned = groups % kGroups == 0;
  const auto load = [&](Fragment& f, int chunk) {
    const int begin = (chunk * kWarpsK + warp_k) * kGroups;
    if (begin >= groups) return;
#pragma unroll
    for (int u = 0; u < kGroups; ++u)
      if (begin + u < groups)
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
          for (int h = 0; h < 2; ++h)
            load_words<kWords>(f.q[u][m][h], w[m][h] + (begin + u) * (kGroup / 32 * kBits));
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        f.scale[m][h].load(scales[m][h] + begin, aligned, groups - begin);
        f.bias[m][h].load(biases[m][h] + begin, aligned, groups - begin);
      }
  };

  float sums[kM][kN][4] = {};
  const auto multiply = [&](const Fragment& f, int chunk, int buffer) {
#pragma unroll
    for (int u = 0; u < kGroups; ++u) {
      const int group = (chunk * kWarpsK + warp_k) * kGroups + u;
      if (group >= groups) break;
      const int at = (warp_k * kGroups + u) * kGroup + t * (kGroup / 4);
      // The group's weights as operands: `low` nibbles, and for bytes the high ones.
      constexpr int kPlanes = kBits / 4;
      uint32_t a[kPlanes][kM][kEights][2][4];
#pragma unroll
      for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int e = 0; e < kEights; ++e)
#pragma unroll
          for (int h = 0; h < 2; ++h)
#pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
              uint32_t low, high = 0;
              if constexpr (kBits == 4) {
                low = f.q[u][m][h][e] >> (4 * pair);
              } else {
                low = permute(f.q[u][m][h][2 * e], f.q[u][m][h][2 * e + 1],
                              0x0400 + 0x0101 * pair);
                high = low >> 4;
              }
              // Pairs 0 and 1 are the first k16, 2 and 3 the second.
              a[0][m][e][pair / 2][h + 2 * (pair % 2)] = nibbles(low);
              if constexpr (kBits == 8) a[kPlanes - 1][m][e][pair / 2][h + 2 * (pair % 2)] = nibbles(high);
            }
#pragma unroll
      for (int n = 0; n < kN; ++n) {
        float sum[kPlanes][kM][4] = {}, of_x[4] = {};
        const int row = min(8 * n + g, staged - 1);
        const unsigned char* x = memory + ((buffer * staged + row) * kStride + at) * 2;
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

  const int chunks = (groups + kWarpsK * kGroups - 1) / (kWarpsK * kGroups);
  Fragment now, next;
  load(now, 0);
  stage(0, 0);
  copy_commit();
  for (int chunk = 0; chunk < chunks; ++chunk) {
    if (chunk + 1 < chunks) {
      load(next, chunk + 1);
      stage(chunk + 1, (chunk + 1) % 2);
    }
    copy_commit();
    copy_wait<1>();
    __syncthreads();
    multiply(now, chunk, chunk % 2);
    __syncthreads();
    now = next;
  }
  copy_wait<0>();

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
  const auto finished = [&](const ProductPart& p, int row, int column, float y) {
    if (p.bias != nullptr) y += to_float(p.bias[column]);
    if (p.lora_b != nullptr) {
      const float* xa = p.lora_xa + int64_t{row} * args.xa_stride;
      for (int i = 0; i < p.rank; ++i) y += xa[i] * to_float(p.lora_b[int64_t{column} * p.rank + i]);
    }
    return y;
  };
  for (int i = threadIdx.x; i < staged * kRowsM; i += 256) {
    const int row = i / kRowsM, local = i % kRowsM, column = first + local;
    const ProductPart& p = args.parts[part];
    if (column >= p.n) continue;
    float y;
    if constexpr (kGated) {
      const int tile = local / 16 * 32 + local % 16;
      y = silu(finished(p, row, column, total(row, tile))) *
          finished(args.parts[1], row, column, total(row, tile + 16));
    } else {
      y = finished(p, row, column, total(row, local));
    }
    const int64_t at = int64_t{row} * p.y_stride + column;
    if (p.residual != nullptr) y += to_float(p.residual[at]);
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
