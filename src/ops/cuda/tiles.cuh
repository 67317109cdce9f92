// Tiles of 64 rows in shared memory, and their products by tensor cores: the four warps of a block
// multiply 64 rows, each has 16 of them. On compute capability 9.0 that is one instruction
// of all four (wgmma, which reads tiles as they lie in shared memory, and goes on while the warps
// do something else); elsewhere each warp loads operands and multiplies (mma.sync, from 8.0 on).
// Both leave their sums in the same registers.
//
// s[16 x 64] of a warp: s[n][2 * half + j] is row lane / 4 + 8 * half, column 8 * n + lane % 4 * 2
// + j.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define GAVEL_WGMMA 1
#else
#define GAVEL_WGMMA 0
#endif

constexpr int kRows = 64;      // of a tile, queries or keys: 16 for each warp
constexpr int kThreads = 128;  // four warps
// Blocks that a multiprocessor is to hold at least; mma's operands need registers besides.
__device__ constexpr int kBlocks(int wanted) { return GAVEL_WGMMA ? wanted : 1; }
constexpr int kPanelBytes = kRows * 128;

// A [kRows][D] tile, of panels of 64 columns, whose 16-byte chunks are exchanged by row, so that
// the eight rows that are read together lie in different banks (the 128-byte swizzle of wgmma).
// Tiles begin at multiples of 1024 bytes.
template <int D>
struct Tile {
  static constexpr int kBytes = kRows * D * 2;
  uint32_t base;  // shared address

  __device__ uint32_t at(int row, int chunk) const {
    return base + chunk / 8 * kPanelBytes + row * 128 + ((chunk % 8) ^ (row % 8)) * 16;
  }
  // Rows [first, first + count) of a matrix whose rows are `stride` elements apart; zeros past
  // that.
  __device__ void load(const bf16* from, int64_t first, int count, int64_t stride) const {
    constexpr int kChunks = D / 8, kStep = kThreads / kChunks;  // a multiple of 8
    static_assert(kStep % 8 == 0, "");
    const int row = threadIdx.x / kChunks, chunk = threadIdx.x % kChunks;
    const uint32_t to = at(row, chunk);
    const bf16* source = from + (first + row) * stride + chunk * 8;
#pragma unroll
    for (int i = 0; i < kRows / kStep; ++i, source += kStep * stride)
      copy_async(to + i * kStep * 128, source, row + i * kStep < count);
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
  // The description of the panel from `offset` bytes on for wgmma: swizzled by 128 bytes, eight
  // rows and the next eight 1024 bytes apart.
  __device__ uint64_t description(int offset) const {
    return ((base + offset) & 0x3ffffu) >> 4 | uint64_t{1} << 16 | uint64_t{1024 >> 4} << 32 |
           uint64_t{1} << 62;
  }
};

// The first row of the warp.
__device__ inline int warp_row() { return threadIdx.x / 32 * 16; }

// Waits until all copies have arrived, everybody's, for the tensor cores too. What they fetch next
// is to be asked for afterwards: the fence would wait for it.
__device__ inline void copies_arrived() {
  copy_wait<0>();
#if GAVEL_WGMMA
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
  __syncthreads();
}

// Before products that use registers which were written since the last ones.
__device__ inline void begin_products() {
#if GAVEL_WGMMA
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
// What was started since the last commit is a group.
__device__ inline void commit_products() {
#if GAVEL_WGMMA
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
// Waits until all but the last N groups are done; `sums` are those of a group that is.
template <int N, int kTiles>
__device__ inline void products_done(float (&sums)[kTiles][4]) {
#if GAVEL_WGMMA
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
#pragma unroll
  for (int n = 0; n < kTiles; ++n)
#pragma unroll
    for (int j = 0; j < 4; ++j) asm volatile("" : "+f"(sums[n][j])::"memory");
#endif
}
// Waits until all but the last group are done, whose sums are still being added to.
__device__ inline void products_done_but_last() {
#if GAVEL_WGMMA
  asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
#endif
}
__device__ inline void all_products_done() {
#if GAVEL_WGMMA
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#endif
}

#if GAVEL_WGMMA
#define GAVEL_SUMS(s, n)                                                          \
  "+f"(s[n][0]), "+f"(s[n][1]), "+f"(s[n][2]), "+f"(s[n][3]), "+f"(s[n + 1][0]),  \
      "+f"(s[n + 1][1]), "+f"(s[n + 1][2]), "+f"(s[n + 1][3]), "+f"(s[n + 2][0]), \
      "+f"(s[n + 2][1]), "+f"(s[n + 2][2]), "+f"(s[n + 2][3]), "+f"(s[n + 3][0]), \
      "+f"(s[n + 3][1]), "+f"(s[n + 3][2]), "+f"(s[n + 3][3])
#define GAVEL_SUM_NAMES                                                                         \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, " \
  "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
#endif

// Starts s[16 x 64] = rows of a times the transpose of b, both [64][D].
template <int D>
__device__ void multiply_transposed(float (&s)[8][4], const Tile<D>& a, const Tile<D>& b) {
#if GAVEL_WGMMA
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    const int offset = k / 4 * kPanelBytes + k % 4 * 32;
    asm volatile(
        "{.reg .pred add; setp.ne.b32 add, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " GAVEL_SUM_NAMES
        "%32, %33, add, 1, 1, 0, 0;}\n"
        : GAVEL_SUMS(s, 0), GAVEL_SUMS(s, 4)
        : "l"(a.description(offset)), "l"(b.description(offset)), "r"(int{k > 0}));
  }
#else
#pragma unroll
  for (int n = 0; n < 8; ++n) s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f;
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    uint32_t x[4];
    a.load_a(x, warp_row(), 2 * k);
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      uint32_t y[4];
      b.load_b(y, 16 * n, 2 * k);
      mma(s[2 * n], x, y[0], y[1]);
      mma(s[2 * n + 1], x, y[2], y[3]);
    }
  }
#endif
}

// Sums rounded to bfloat16, as the rows [16 x 64] of another product's left side.
using PackedRows = uint32_t[4][4];
__device__ inline void pack_rows(PackedRows& p, const float (&s)[8][4]) {
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    p[k][0] = pack_bf16(s[2 * k][0], s[2 * k][1]);
    p[k][1] = pack_bf16(s[2 * k][2], s[2 * k][3]);
    p[k][2] = pack_bf16(s[2 * k + 1][0], s[2 * k + 1][1]);
    p[k][3] = pack_bf16(s[2 * k + 1][2], s[2 * k + 1][3]);
  }
}

// Starts o[16 x D] += p b for b [64][D]; p stays as it is until that is done.
template <int D>
__device__ void multiply(float (&o)[D / 8][4], const PackedRows& p, const Tile<D>& b) {
#pragma unroll
  for (int k = 0; k < 4; ++k) {
#if GAVEL_WGMMA
#pragma unroll
    for (int n = 0; n < D / 64; ++n)
      asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " GAVEL_SUM_NAMES
                   "{%32, %33, %34, %35}, %36, 1, 1, 1, 1;\n"
                   : GAVEL_SUMS(o, 8 * n), GAVEL_SUMS(o, 8 * n + 4)
                   : "r"(p[k][0]), "r"(p[k][1]), "r"(p[k][2]), "r"(p[k][3]),
                     "l"(b.description(n * kPanelBytes + k * 16 * 128)));
#else
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      uint32_t y[4];
      b.load_b_transposed(y, 16 * k, 2 * n);
      mma(o[2 * n], p[k], y[0], y[1]);
      mma(o[2 * n + 1], p[k], y[2], y[3]);
    }
#endif
  }
}
