// Products of 17 to 64 rows with quantized weights, for compute capability 9.0 (wgmma): after
// tiles.cuh and products.cu, whose arguments and results these are.
//
// A group of four warps multiplies 64 rows of W by all rows of x. W's values become bfloat16 in
// registers, rounded once as dequantizing rounds them, and are the left side; x lies in shared
// memory. Each warp copies its own 16 rows of W ahead, 128 bytes of each a step; x comes by bulk
// copies, for which it was arranged before (arrange_rows).
//
// All steps of all tiles of W are shared out evenly: a block goes from one tile to the next within
// its part. Where a tile is shared, its blocks leave sums in memory, and the last to end adds them
// in the order of k, so that the same inputs give the same bits.

constexpr int kWideThreads = 512, kWideStages = 3;

// x [rows, k] as panels of 64 columns: [k / 64][all_rows][64], swizzled as tiles are, with zeros in
// rows past those of x. Where norm [k] is given, x is normed (RMSNorm). A block for each row.
__global__ void __launch_bounds__(256)
    arrange_rows(const bf16* x, const bf16* norm, bf16* to, int rows, int all_rows, int k,
                 int x_stride, float eps) {
  __shared__ float sums[8];
  wait_for_previous();
  start_next();
  const int row = blockIdx.x;
  const bf16* from = x + int64_t{row} * x_stride;
  float factor = 1.0f;
  if (norm != nullptr && row < rows) {
    float sum = 0.0f;
    for (int i = threadIdx.x * 8; i < k; i += 256 * 8) sum += dot8(from + i, from + i);
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0.0f;
#pragma unroll
    for (int w = 0; w < 8; ++w) sum += sums[w];
    factor = rsqrtf(sum / k + eps);
  }
  for (int chunk = threadIdx.x; chunk < k / 8; chunk += 256) {
    uint4 v = make_uint4(0, 0, 0, 0);
    if (row < rows) {
      v = *reinterpret_cast<const uint4*>(from + chunk * 8);
      if (norm != nullptr) {
        float y[8], by[8];
        load8(from + chunk * 8, y);
        load8(norm + chunk * 8, by);
#pragma unroll
        for (int j = 0; j < 8; ++j) y[j] *= by[j] * factor;
        store8(reinterpret_cast<bf16*>(&v), y);
      }
    }
    bf16* panel = to + (int64_t{chunk / 8} * all_rows + row) * 64;
    *reinterpret_cast<uint4*>(panel + ((chunk % 8) ^ (row % 8)) * 8) = v;
  }
}

struct WideArgs {
  ProductArgs product;
  const bf16* x;  // arranged: [panels][8 * kN][64]
  int tiles, steps;
};

__device__ inline void barrier_init(uint32_t barrier, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
__device__ inline void barrier_arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
// Waits until the barrier's phase of this parity is over.
__device__ inline void barrier_wait(uint32_t barrier, int parity) {
  asm volatile(
      "{.reg .pred done;\n"
      "again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;}\n" ::"r"(barrier),
      "r"(parity)
      : "memory");
}
// `bytes` from device to shared memory, counted by the barrier as one arrival.
__device__ inline void copy_bulk(uint32_t to, const void* from, int bytes, uint32_t barrier) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          to),
      "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
}

// Starts sums[16 of a warp x 8 * kN] (+)= a [16 of a warp x 16] times 16 columns of a panel of x.
template <int kN>
__device__ inline void multiply_wide(float (&sums)[kN][4], const uint32_t (&a)[4], uint64_t x,
                                     bool add) {
#if GAVEL_WGMMA
  if constexpr (kN == 8)
    asm volatile(
        "{.reg .pred add; setp.ne.b32 add, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " GAVEL_SUM_NAMES
        "{%32, %33, %34, %35}, %36, add, 1, 1, 0;}\n"
        : GAVEL_SUMS(sums, 0), GAVEL_SUMS(sums, 4)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(x), "r"(int{add}));
  else
    asm volatile(
        "{.reg .pred add; setp.ne.b32 add, %21, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, "
        "{%16, %17, %18, %19}, %20, add, 1, 1, 0;}\n"
        : GAVEL_SUMS(sums, 0)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(x), "r"(int{add}));
#endif
}

// The eight values k, k + 1 of a lane in each of four steps of 16: of row words [64 * kBits / 32],
// the values 2t and 2t + 1 (first) and 2t + 8 and 2t + 9 (second) of each step, as floats
// kExcess + value.
template <int kBits>
struct WideValues {
  static constexpr float kExcess = kBits == 4 ? 128.0f : 32768.0f;
  // Two neighbours of a step's half: `word` holds the half's values with those of this lane.
  __device__ static void pair(float& x, float& y, uint32_t word, int t) {
    if constexpr (kBits == 4) {
      const uint32_t r = __funnelshift_r(word, word, 8 * t + 16);  // the lane's byte at bit 16
      x = __uint_as_float((r & 0x000f0000u) | 0x43000000u);
      y = __uint_as_float((r >> 4 & 0x000f0000u) | 0x43000000u);
    } else {
      const uint32_t r = t % 2 == 0 ? word : word >> 16;
      x = __uint_as_float((r & 0xffu) << 8 | 0x47000000u);
      y = __uint_as_float((r & 0xff00u) | 0x47000000u);
    }
  }
};

template <int kBits, int kGroup, typename Scale, typename Out, int kN, bool kGated>
__global__ void __launch_bounds__(kWideThreads, 1) wide_product(const WideArgs args) {
  constexpr int kDepth = 1024 / kBits;      // values of k in a step: 128 bytes of W
  constexpr int kGroups = kDepth / kGroup;
  constexpr int kRowBytes = 128 + 16;       // of W in shared memory: rows in different banks
  constexpr int kWarpStage = 16 * kRowBytes;
  constexpr int kXStage = 8 * kN * kDepth * 2;
  constexpr int kPanel = 8 * kN * 128;      // bytes
  constexpr int kTileRows = kGated ? 256 / 2 : 256;  // of y, and of each of the matrices
  extern __shared__ __align__(1024) unsigned char memory[];
  __shared__ __align__(8) uint64_t arrived_memory[kWideStages], empty_memory[kWideStages];
  __shared__ int ended;
  const ProductArgs& p = args.product;
  const uint32_t shared = shared_address(memory);
  const uint32_t arrived = shared_address(arrived_memory), empty = shared_address(empty_memory);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int k = p.k, groups = k / kGroup, row_bytes = k / 8 * kBits;
  unsigned char* ring = memory + kWideStages * kXStage + warp * (kWideStages * kWarpStage);
  const int64_t units = int64_t{args.tiles} * args.steps;
  const int first_unit = static_cast<int>(units * blockIdx.x / gridDim.x);
  const int end_unit = static_cast<int>(units * (blockIdx.x + 1) / gridDim.x);

  if (threadIdx.x == 0) {
    for (int i = 0; i < kWideStages; ++i) {
      barrier_init(arrived + 8 * i, 1);
      barrier_init(empty + 8 * i, kWideThreads / 32);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  // A unit is a step of a tile; the tile's matrix is a part.
  struct Unit {
    int tile, step, part;
    __device__ void enter(const ProductArgs& p) {
      part = 0;
      if constexpr (!kGated)
        while (part + 1 < p.part_count && tile >= p.parts[part + 1].first_block) ++part;
    }
    __device__ void advance(const WideArgs& args) {
      if (++step < args.steps) return;
      step = 0, ++tile;
      enter(args.product);
    }
  };
  Unit at{first_unit / args.steps, first_unit % args.steps, 0};
  at.enter(p);
  // The matrix and its row that is row `local` of the warp's 16: with gates, a gate's eight rows,
  // then the same of up, so that a thread has both of a result.
  const auto weight_row = [&](const Unit& u, int local, const ProductPart*& of) {
    of = &p.parts[kGated ? local / 8 : u.part];
    const int row = (u.tile - p.parts[u.part].first_block) * kTileRows +
                    (kGated ? warp * 8 + local % 8 : warp * 16 + local);
    return min(row, of->n - 1);
  };
  // This warp's weights of the next unit to be copied.
  Unit ahead = at;
  const auto fill = [&](int unit) {
    if (unit < end_unit) {
      const uint32_t to = shared_address(ring) + (unit - first_unit) % kWideStages * kWarpStage +
                          lane / 8 * kRowBytes + lane % 8 * 16;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const ProductPart* of;
        const int row = weight_row(ahead, i * 4 + lane / 8, of);
        copy_async(to + i * 4 * kRowBytes,
                   reinterpret_cast<const unsigned char*>(of->weights) + int64_t{row} * row_bytes +
                       ahead.step * 128 + lane % 8 * 16,
                   true);
      }
      ahead.advance(args);
    }
    copy_commit();
  };
  // x of a unit, by one thread.
  const auto fetch = [&](int unit, int step) {
    const int i = unit - first_unit, stage = i % kWideStages;
    if (i >= kWideStages) barrier_wait(empty + 8 * stage, (i / kWideStages - 1) % 2);
    copy_bulk(shared + stage * kXStage,
              reinterpret_cast<const unsigned char*>(args.x) + int64_t{step} * kXStage, kXStage,
              arrived + 8 * stage);
  };
  struct Step {
    Scales<Scale, kGroups> scale[2], bias[2];
  };
  const auto load = [&](Step& f, const Unit& u) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const ProductPart* of;
      const int64_t from = int64_t{weight_row(u, g + 8 * h, of)} * groups + u.step * kGroups;
      f.scale[h].load(static_cast<const Scale*>(of->scales) + from, true, kGroups);
      f.bias[h].load(static_cast<const Scale*>(of->biases) + from, true, kGroups);
    }
  };

  float sums[kN][4];
  uint32_t a[2][4][4];
  // Four steps of 16 values of k from `from` of the unit on, as left sides.
  const auto convert = [&](uint32_t (&to)[4][4], const Step& f, const unsigned char* w, int from) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      uint32_t q[2 * kBits];
      load_words(q, w + (g + 8 * h) * kRowBytes + from / 8 * kBits);
#pragma unroll
      for (int s = 0; s < 4; ++s) {
        const int group = (from + 16 * s) / kGroup;
        const float scale = f.scale[h].get(group);
        const float bias = f.bias[h].get(group) - WideValues<kBits>::kExcess * scale;
#pragma unroll
        for (int second = 0; second < 2; ++second) {
          float x, y;
          if constexpr (kBits == 4) {
            WideValues<kBits>::pair(x, y, q[2 * s + second], t);
          } else {
            const uint32_t left = q[4 * s + 2 * second], right = q[4 * s + 2 * second + 1];
            WideValues<kBits>::pair(x, y, t < 2 ? left : right, t);
          }
          to[s][h + 2 * second] = pack_bf16(fmaf(x, scale, bias), fmaf(y, scale, bias));
        }
      }
    }
  };

  // What is added to a result, and where it goes.
  const auto finish = [&](const Unit& u) {
    const auto adapted = [&](const ProductPart& of, int row, int column, float y) {
      if (of.bias != nullptr) y += to_float(of.bias[column]);
      if (of.residual != nullptr) y += to_float(of.residual[int64_t{row} * of.y_stride + column]);
      if (of.lora_b == nullptr) return y;
      const float* xa = of.lora_xa + int64_t{row} * p.xa_stride;
#pragma unroll 1
      for (int i = 0; i < of.rank; ++i)
        y += xa[i] * to_float(of.lora_b[int64_t{column} * of.rank + i]);
      return y;
    };
    const ProductPart& of = p.parts[u.part];
    const int first = (u.tile - of.first_block) * kTileRows + warp * (kGated ? 8 : 16) + g;
#pragma unroll
    for (int h = 0; h < (kGated ? 1 : 2); ++h) {
      const int column = first + 8 * h;
      if (column >= of.n) continue;
#pragma unroll
      for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int row = 8 * n + 2 * t + e;
          if (row >= p.rows) continue;
          float y = adapted(of, row, column, sums[n][2 * h + e]);
          if constexpr (kGated) y = silu(y) * adapted(p.parts[1], row, column, sums[n][2 + e]);
          const int64_t at = int64_t{row} * of.y_stride + column;
          if constexpr (sizeof(Out) == 4)
            static_cast<float*>(of.y)[at] = y;
          else
            static_cast<bf16*>(of.y)[at] = to_bf16(y);
        }
    }
  };
  // A thread's sums of one of the two tiles that a block may share with others.
  const auto place = [&](int block, int which) {
    return reinterpret_cast<float4*>(p.sums) + (int64_t{block} * 2 + which) * kN * kWideThreads +
           threadIdx.x;
  };
  const auto block_of = [&](int64_t unit) {  // the last whose part begins at or before it
    int block = static_cast<int>(unit * gridDim.x / units);
    while (units * (block + 1) / gridDim.x <= unit) ++block;
    while (units * block / gridDim.x > unit) --block;
    return block;
  };
  // True in the block that is to finish the tile, with the sums of all.
  const auto shared_with_others = [&](int tile) {
    float4* mine = place(blockIdx.x, tile == first_unit / args.steps ? 0 : 1);
#pragma unroll
    for (int n = 0; n < kN; ++n)
      mine[n * kWideThreads] = make_float4(sums[n][0], sums[n][1], sums[n][2], sums[n][3]);
    const int from = block_of(int64_t{tile} * args.steps);
    const int to = block_of(int64_t{tile + 1} * args.steps - 1);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
      ended = atomicAdd(p.counters + tile, 1);
      if (ended == to - from) p.counters[tile] = 0;
    }
    __syncthreads();
    if (ended != to - from) return false;
    __threadfence();
#pragma unroll
    for (int n = 0; n < kN; ++n) sums[n][0] = sums[n][1] = sums[n][2] = sums[n][3] = 0.0f;
    for (int block = from; block <= to; ++block) {
      const int64_t begins = units * block / gridDim.x;
      const float4* theirs = place(block, tile == begins / args.steps ? 0 : 1);
#pragma unroll
      for (int n = 0; n < kN; ++n) {
        const float4 v = __ldcg(theirs + n * kWideThreads);
        sums[n][0] += v.x, sums[n][1] += v.y, sums[n][2] += v.z, sums[n][3] += v.w;
      }
    }
    return true;
  };

  Step now, next;
  // Weights are nobody's results: they need not wait for the kernel before.
  load(now, at);
  for (int i = 0; i < 2; ++i) fill(first_unit + i);
  wait_for_previous();
  start_next();
  if (threadIdx.x == 0)
    for (int i = 0; i < min(2, end_unit - first_unit); ++i)
      fetch(first_unit + i, (at.step + i) % args.steps);
  for (int unit = first_unit; unit < end_unit; ++unit) {
    const int i = unit - first_unit, stage = i % kWideStages;
    const Unit here = at;
    at.advance(args);
    if (unit + 1 < end_unit) load(next, at);
    copy_wait<1>();
    __syncwarp();
    const unsigned char* w = ring + stage * kWarpStage;
#pragma unroll
    for (int batch = 0; batch < kDepth / 64; ++batch) {
      convert(a[batch % 2], now, w, 64 * batch);
      if (batch == 0) barrier_wait(arrived + 8 * stage, i / kWideStages % 2);
      begin_products();
      const Tile<64> x{shared + stage * kXStage + batch * kPanel};
#pragma unroll
      for (int s = 0; s < 4; ++s)
        multiply_wide<kN>(sums, a[batch % 2][s], x.description(32 * s),
                          batch > 0 || s > 0 || (i > 0 && here.step > 0));
      commit_products();
      if (batch + 1 < kDepth / 64) products_done_but_last();  // and their left side is free
    }
    products_done<0>(sums);
    if (lane == 0) barrier_arrive(empty + 8 * stage);
    fill(unit + 2);
    if (threadIdx.x == 0 && unit + 2 < end_unit) fetch(unit + 2, (here.step + 2) % args.steps);
    now = next;
    if (at.step == 0 || unit + 1 == end_unit) {  // the tile's last step here
      const bool whole = at.step == 0 && unit + 1 - args.steps >= first_unit;
      if (whole || shared_with_others(here.tile)) finish(here);
    }
  }
  copy_wait<0>();
}
