// Products of 17 to 64 rows with quantized weights, for compute capability 9.0 (wgmma): after
// tiles.cuh and products.cu, whose arguments and results these are.
//
// A group of four warps multiplies 64 rows of W by all rows of x. W's values become bfloat16 in
// registers, rounded once as dequantizing rounds them, and are the left side; x lies in shared
// memory. Each warp copies its own 16 rows of W ahead, 128 bytes of each a step; x comes by bulk
// copies, for which it was arranged before (arrange_rows): also in the order in which a lane gets
// values of W out of the words that it reads.
//
// Every block takes as many whole tiles of W as there are for all. The steps of the rest, fewer tiles
// than blocks, are shared out evenly before: a block leaves its sums of a tile in memory, and at the
// end, when all have done so, adds a part of the tile, in the order of k, so that the same inputs
// give the same bits. Blocks wait for each other, so there are no more than multiprocessors.

constexpr int kWideThreads = 512, kWideStages = 3;

// Where the value at `place` of 64 arranged values of k was before. A step's 16 values lie in a
// lane t of four at 2t, 2t + 1, 2t + 8 and 2t + 9. Of 4 bits a lane reads two words, which give
// values in pairs (i, i + 4); of 8 bits it reads four words.
template <int kBits>
__device__ inline int place_before(int place) {
  const int s = place / 16, half = place / 8 % 2, t = place / 2 % 4, e = place % 2;
  if constexpr (kBits == 4) return (2 * t + s / 2) * 8 + s % 2 * 2 + half + 4 * e;
  return 16 * t + 4 * s + 2 * half + e;
}

// x [rows, k] as panels of 64 columns: [k / 64][all_rows][64], each in the order of place_before,
// swizzled as tiles are, with zeros in rows past those of x. Where norm [k] is given, x is normed
// (RMSNorm). Blocks (row, part of its columns); only one a row with norm.
template <int kBits>
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
  for (int chunk = blockIdx.y * 256 + threadIdx.x; chunk < k / 8; chunk += gridDim.y * 256) {
    float y[8] = {};
    if (row < rows) {
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int column = chunk / 8 * 64 + place_before<kBits>(chunk % 8 * 8 + i);
        y[i] = to_float(from[column]);
        if (norm != nullptr) y[i] *= to_float(norm[column]) * factor;
      }
    }
    bf16* panel = to + (int64_t{chunk / 8} * all_rows + row) * 64;
    store8(panel + ((chunk % 8) ^ (row % 8)) * 8, y);
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

// a * b + c of two bfloat16 at a time, each rounded once.
__device__ inline uint32_t fma_bf16(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t r;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
__device__ inline uint32_t twice(uint32_t half_word) { return permute(half_word, 0, 0x1010); }

// How values of W become bfloat16: scale * value + bias of a group, for the eight pairs that a lane
// has of 64 values of k in kBits / 2 words, in the order of place_before.
template <int kBits, typename Scale>
struct Converter {
  float scale, bias, bias_high;
  __device__ Converter(float s, float b) : scale(s) {
    // Values are 128 + value as bfloat16, two in a word. Taken for a float, a word is its high value
    // and what the low one adds: about 0x4300 / 65536 of the value's unit.
    bias = b - (kBits == 4 ? 128.0f : 0.0f) * s;
    bias_high = bias - 0x4307 / 65536.0f * s;
  }
  __device__ uint32_t pair(const uint32_t* words, int i) const {
    if constexpr (kBits == 4) {
      const uint32_t two = nibbles(words[i / 4] >> (4 * (i % 4)));
      return pack_bf16(fmaf(__uint_as_float(two << 16), scale, bias),
                       fmaf(__uint_as_float(two), scale, bias_high));
    } else {
      const uint32_t word = words[i / 2];
      constexpr float kExcess = 8388608.0f;  // 2^23, 0x4b000000
      const float x = __uint_as_float(permute(word, 0x4b000000, 0x7650 + i % 2 * 2)) - kExcess;
      const float y = __uint_as_float(permute(word, 0x4b000000, 0x7651 + i % 2 * 2)) - kExcess;
      return pack_bf16(fmaf(x, scale, bias), fmaf(y, scale, bias));
    }
  }
};
// The scales are bfloat16 too: then it is done with two values at a time.
template <>
struct Converter<4, bf16> {
  uint32_t scales, biases;
  __device__ Converter(float s, float b)
      : scales(twice(__float_as_uint(s) >> 16)), biases(twice(__float_as_uint(b) >> 16)) {}
  __device__ uint32_t pair(const uint32_t* words, int i) const {
    constexpr uint32_t kOnes = 0x3f803f80, kMinus128 = 0xc300c300;
    const uint32_t two = nibbles(words[i / 4] >> (4 * (i % 4)));
    return fma_bf16(fma_bf16(two, kOnes, kMinus128), scales, biases);
  }
};

template <int kBits, int kGroup, typename Scale, typename Out, int kN, bool kGated>
__global__ void __launch_bounds__(kWideThreads, 1) wide_product(const WideArgs args) {
  constexpr int kDepth = 1024 / kBits;      // values of k in a step: 128 bytes of W
  constexpr int kGroups = kDepth / kGroup;
  constexpr int kRowBytes = 128 + 8 * kBits;  // of W in shared memory: rows in different banks
  constexpr int kWarpStage = 16 * kRowBytes;
  constexpr int kXStage = 8 * kN * kDepth * 2;
  constexpr int kPanel = 8 * kN * 128;      // bytes
  constexpr int kTileRows = kGated ? 256 / 2 : 256;  // of y, and of each of the matrices
  extern __shared__ __align__(1024) unsigned char memory[];
  __shared__ __align__(8) uint64_t arrived_memory[kWideStages], empty_memory[kWideStages];
  const ProductArgs& p = args.product;
  const uint32_t shared = shared_address(memory);
  const uint32_t arrived = shared_address(arrived_memory), empty = shared_address(empty_memory);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int k = p.k, groups = k / kGroup, row_bytes = k / 8 * kBits;
  unsigned char* ring = memory + kWideStages * kXStage + warp * (kWideStages * kWarpStage);
  // A unit is a step of a tile. This block's: first those of tiles that all share, the last ones.
  const int blocks = gridDim.x, steps = args.steps, whole = args.tiles / blocks;
  const int shared_tiles = args.tiles - whole * blocks, shared_units = shared_tiles * steps;
  const int first_shared = shared_units * blockIdx.x / blocks;
  const int own_shared = shared_units * (blockIdx.x + 1) / blocks - first_shared;
  const int units = own_shared + whole * steps;

  if (threadIdx.x == 0) {
    for (int i = 0; i < kWideStages; ++i) {
      barrier_init(arrived + 8 * i, 1);
      barrier_init(empty + 8 * i, kWideThreads / 32);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  struct Unit {
    int tile, step, part;
  };
  const auto enter = [&](Unit& u) {  // the tile's matrix
    u.part = 0;
    if constexpr (!kGated)
      while (u.part + 1 < p.part_count && u.tile >= p.parts[u.part + 1].first_block) ++u.part;
  };
  // Unit i + 1 after i.
  const auto advance = [&](Unit& u, int i) {
    ++u.step;
    if (i + 1 == own_shared)
      u.tile = blockIdx.x * whole, u.step = 0;
    else if (u.step < steps)
      return;
    else
      u.step = 0, ++u.tile;
    enter(u);
  };
  Unit at{static_cast<int>(blockIdx.x) * whole, 0, 0};
  if (own_shared > 0)
    at.tile = whole * blocks + first_shared / steps, at.step = first_shared % steps;
  enter(at);
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
  const auto fill = [&](int i) {
    if (i < units) {
      const uint32_t to = shared_address(ring) + i % kWideStages * kWarpStage +
                          lane / 8 * kRowBytes + lane % 8 * 16;
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const ProductPart* of;
        const int row = weight_row(ahead, part * 4 + lane / 8, of);
        copy_async(to + part * 4 * kRowBytes,
                   reinterpret_cast<const unsigned char*>(of->weights) + int64_t{row} * row_bytes +
                       ahead.step * 128 + lane % 8 * 16,
                   true);
      }
      advance(ahead, i);
    }
    copy_commit();
  };
  // x of a unit, which is step `step` of a tile, by one thread.
  const auto fetch = [&](int i, int step) {
    const int stage = i % kWideStages;
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
      uint32_t words[kBits / 2];
      load_words(words, w + (g + 8 * h) * kRowBytes + from / 8 * kBits + t * 2 * kBits);
      // Of groups of 32 the first two lanes have one, the others the next.
      const int group = kGroup >= 64 ? from / kGroup : from / 32 + t / 2;
      const auto get = [&](const Scales<Scale, kGroups>& of) {
        if constexpr (kGroup >= 64) return of.get(group);
        const float a = of.get(from / 32), b = of.get(from / 32 + 1);
        return t < 2 ? a : b;
      };
      const Converter<kBits, Scale> converter(get(f.scale[h]), get(f.bias[h]));
#pragma unroll
      for (int i = 0; i < 8; ++i) to[i / 2][h + 2 * (i % 2)] = converter.pair(words, i);
    }
  };

  // Writes a result and its neighbours: what thread `of_thread` has in sums[n].
  const auto finish = [&](const Unit& u, int of_thread, int n, const float (&v)[4]) {
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
    const int first = (u.tile - of.first_block) * kTileRows +
                      of_thread / 32 * (kGated ? 8 : 16) + of_thread % 32 / 4;
#pragma unroll
    for (int i = 0; i < (kGated ? 2 : 4); ++i) {
      const int column = first + i / 2 * 8, row = 8 * n + of_thread % 4 * 2 + i % 2;
      if (column >= of.n || row >= p.rows) continue;
      float y = adapted(of, row, column, v[i]);
      if constexpr (kGated) y = silu(y) * adapted(p.parts[1], row, column, v[2 + i]);
      const int64_t at = int64_t{row} * of.y_stride + column;
      if constexpr (sizeof(Out) == 4)
        static_cast<float*>(of.y)[at] = y;
      else
        static_cast<bf16*>(of.y)[at] = to_bf16(y);
    }
  };
  // What a block leaves of the first or the second of the shared tiles that it has steps of.
  const auto sums_of = [&](int block, bool second) {
    return reinterpret_cast<float4*>(p.sums) + int64_t{2 * block + second} * kN * kWideThreads;
  };
  const auto leave = [&](const Unit& u, bool second) {
    float4* mine = sums_of(blockIdx.x, second) + threadIdx.x;
#pragma unroll
    for (int n = 0; n < kN; ++n)
      mine[n * kWideThreads] = make_float4(sums[n][0], sums[n][1], sums[n][2], sums[n][3]);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) atomicAdd(p.counters + u.tile, 1);
  };
  // The block that has a shared unit.
  const auto block_of = [&](int unit) {
    int block = unit * blocks / shared_units;
    while (shared_units * (block + 1) / blocks <= unit) ++block;
    while (shared_units * block / blocks > unit) --block;
    return block;
  };
  // This block's share of the results of a tile that it left.
  const auto collect = [&](int tile) {
    const int begin = (tile - whole * blocks) * steps;
    const int from = block_of(begin), count = block_of(begin + steps - 1) - from + 1;
    const int mine = blockIdx.x - from, all = kN * kWideThreads;
    // Only the first may have had another tile before.
    const bool second = shared_units * from / blocks < begin;
    Unit u{tile, 0, 0};
    enter(u);
    if (threadIdx.x == 0)
      while (*static_cast<volatile int*>(p.counters + tile) < count) {
      }
    __syncthreads();
    __threadfence();
    for (int i = all * mine / count + threadIdx.x; i < all * (mine + 1) / count;
         i += kWideThreads) {
      float4 x = __ldcg(sums_of(from, second) + i);
      float v[4] = {x.x, x.y, x.z, x.w};
#pragma unroll 4
      for (int block = 1; block < count; ++block) {
        x = __ldcg(sums_of(from + block, false) + i);
        v[0] += x.x, v[1] += x.y, v[2] += x.z, v[3] += x.w;
      }
      finish(u, i % kWideThreads, i / kWideThreads, v);
    }
    __syncthreads();
    // The last to have read them makes the counter zero again.
    if (threadIdx.x == 0 && atomicAdd(p.counters + tile, 1) == 2 * count - 1) p.counters[tile] = 0;
  };

  Step now, next;
  // Weights are nobody's results: they need not wait for the kernel before.
  load(now, at);
  const int first_step = ahead.step;
  fill(0);
  const int second_step = ahead.step;
  fill(1);
  wait_for_previous();
  start_next();
  if (threadIdx.x == 0) {
    fetch(0, first_step);
    if (units > 1) fetch(1, second_step);
  }
  for (int i = 0; i < units; ++i) {
    const int stage = i % kWideStages;
    const Unit here = at;
    advance(at, i);
    if (i + 1 < units) load(next, at);
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
                          batch > 0 || s > 0 || (i > 0 && i != own_shared && here.step > 0));
      commit_products();
      products_done_but_last();  // of the batch before, also of the unit before: its memory is free
      if (batch == 0) {
        if (i > 0 && lane == 0) barrier_arrive(empty + 8 * ((i - 1) % kWideStages));
        if (threadIdx.x == i % (kWideThreads / 32) * 32 && i + 2 < units) fetch(i + 2, ahead.step);
        fill(i + 2);
      }
    }
    now = next;
    const bool leaves = i + 1 < own_shared ? at.step == 0 : i + 1 == own_shared;
    if (leaves || (i >= own_shared && here.step + 1 == steps)) {
      all_products_done();
      if (leaves)
        leave(here, here.tile - whole * blocks > first_shared / steps);
      else
#pragma unroll
        for (int n = 0; n < kN; ++n) finish(here, threadIdx.x, n, sums[n]);
    }
  }
  copy_wait<0>();
  if (own_shared > 0)
    for (int tile = first_shared / steps; tile <= (first_shared + own_shared - 1) / steps; ++tile)
      collect(whole * blocks + tile);
}
