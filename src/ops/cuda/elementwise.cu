// SwiGLU, rotary embedding, RMSNorm and the residual path, which is float32 where all else is
// bfloat16. Bounded by memory.
// sum += eight values.
__device__ inline void add8(const bf16* from, float (&sum)[8]) {
  float x[8];
  load8(from, x);
#pragma unroll
  for (int j = 0; j < 8; ++j) sum[j] += x[j];
}

// out = silu(gate) * up; eights: values / 8.
__global__ void __launch_bounds__(256)
    swiglu(const bf16* gate, const bf16* up, bf16* out, int eights) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= eights) return;
  float g[8], u[8];
  load8(gate + 8 * i, g);
  load8(up + 8 * i, u);
#pragma unroll
  for (int j = 0; j < 8; ++j) g[j] = g[j] * sigmoid(g[j]) * u[j];
  store8(out + 8 * i, g);
}

// The gradients where the result's is the sum of dout and, where kResult is set, more; then also the
// result once more (`out`, else absent).
template <bool kResult>
__device__ inline void swiglu_backward_of(const bf16* gate, const bf16* up, const bf16* dout,
                                          const bf16* more, bf16* dgate, bf16* dup, bf16* out,
                                          int eights) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= eights) return;
  float g[8], u[8], d[8];
  load8(gate + 8 * i, g);
  load8(up + 8 * i, u);
  load8(dout + 8 * i, d);
  if constexpr (kResult) add8(more + 8 * i, d);
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    const float s = sigmoid(g[j]), silu = g[j] * s, result = silu * u[j];
    g[j] = d[j] * u[j] * (s + silu * (1.0f - s));
    u[j] = d[j] * silu;
    d[j] = result;
  }
  store8(dgate + 8 * i, g);
  store8(dup + 8 * i, u);
  if constexpr (kResult) store8(out + 8 * i, d);
}
__global__ void __launch_bounds__(256)
    swiglu_backward(const bf16* gate, const bf16* up, const bf16* dout, bf16* dgate, bf16* dup,
                    int eights) {
  swiglu_backward_of<false>(gate, up, dout, nullptr, dgate, dup, nullptr, eights);
}
__global__ void __launch_bounds__(256)
    swiglu_backward_and_result(const bf16* gate, const bf16* up, const bf16* dout,
                               const bf16* more, bf16* dgate, bf16* dup, bf16* out, int eights) {
  swiglu_backward_of<true>(gate, up, dout, more, dgate, dup, out, eights);
}

// The sums of values over the 256 threads of a block, in each of them.
template <int kCount>
__device__ inline void block_sums(float (&x)[kCount]) {
  __shared__ float partial[kCount][8];
#pragma unroll
  for (int c = 0; c < kCount; ++c) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) x[c] += __shfl_xor_sync(~0u, x[c], step);
    if (threadIdx.x % 32 == 0) partial[c][threadIdx.x / 32] = x[c];
  }
  __syncthreads();
#pragma unroll
  for (int c = 0; c < kCount; ++c) {
    x[c] = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; ++i) x[c] += partial[c][i];
  }
}

// h = x * weight / sqrt(mean(x^2) + eps) of a row of `dim` values, and x rounded where that is
// wanted.
template <typename X>
__device__ inline void rms_norm_of(const X* x, const bf16* weight, bf16* h, bf16* rounded, int dim,
                                   float eps) {
  float squares[1] = {0.0f};
  for (int i = threadIdx.x * 8; i < dim; i += 256 * 8) {
    float v[8];
    load8(x + i, v);
#pragma unroll
    for (int j = 0; j < 8; ++j) squares[0] += v[j] * v[j];
  }
  block_sums(squares);
  const float r = rsqrtf(squares[0] / dim + eps);
  for (int i = threadIdx.x * 8; i < dim; i += 256 * 8) {
    float v[8], w[8];
    load8(x + i, v);
    load8(weight + i, w);
    if (rounded != nullptr) store8(rounded + i, v);
#pragma unroll
    for (int j = 0; j < 8; ++j) v[j] *= r * w[j];
    store8(h + i, v);
  }
}

// The RMSNorm h of the residual path's x [rows, dim], and x rounded, which is what the gradient
// needs. A block for each row; dim is a multiple of 8.
__global__ void __launch_bounds__(256)
    rms_norm(const float* x, const bf16* weight, bf16* h, bf16* rounded, int dim, float eps) {
  const int64_t row = int64_t{blockIdx.x} * dim;
  rms_norm_of(x + row, weight, h + row, rounded + row, dim, eps);
}
// h once more, of the rounded rows.
__global__ void __launch_bounds__(256)
    rms_norm_again(const bf16* x, const bf16* weight, bf16* h, int dim, float eps) {
  const int64_t row = int64_t{blockIdx.x} * dim;
  rms_norm_of(x + row, weight, h + row, static_cast<bf16*>(nullptr), dim, eps);
}

// out = residual + x; eights: values / 8.
__global__ void __launch_bounds__(256)
    add_residual(const float* residual, const bf16* x, float* out, int eights) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= eights) return;
  float sum[8];
  load8(residual + 8 * i, sum);
  add8(x + 8 * i, sum);
  store8(out + 8 * i, sum);
}

// The gradient of x [rows, dim] whose RMSNorm h = x * r * weight, r = 1 / sqrt(mean(x^2) + eps), has
// the gradient dh0 + dh1 + ... (`count` of them), and which has another use with the gradient dx.
// A block for each row; dim is a multiple of 8.
__global__ void __launch_bounds__(256)
    rms_norm_backward(const bf16* x, const bf16* weight, const bf16* dh0, const bf16* dh1,
                      const bf16* dh2, const bf16* dh3, const bf16* dx, bf16* out, int dim,
                      float eps, int count) {
  const int64_t row = int64_t{blockIdx.x} * dim;
  const auto gradient = [&](int i, float(&d)[8]) {
    load8(dh0 + row + i, d);
    if (count > 1) add8(dh1 + row + i, d);
    if (count > 2) add8(dh2 + row + i, d);
    if (count > 3) add8(dh3 + row + i, d);
  };
  float sums[2] = {0.0f, 0.0f};  // of squares, and the dot product
  for (int i = threadIdx.x * 8; i < dim; i += 256 * 8) {
    float v[8], w[8], d[8];
    load8(x + row + i, v);
    load8(weight + i, w);
    gradient(i, d);
#pragma unroll
    for (int j = 0; j < 8; ++j) sums[0] += v[j] * v[j], sums[1] += v[j] * w[j] * d[j];
  }
  block_sums(sums);
  const float r = rsqrtf(sums[0] / dim + eps), back = sums[1] * r * r * r / dim;
  for (int i = threadIdx.x * 8; i < dim; i += 256 * 8) {
    float v[8], w[8], d[8], other[8];
    load8(x + row + i, v);
    load8(weight + i, w);
    gradient(i, d);
    load8(dx + row + i, other);
#pragma unroll
    for (int j = 0; j < 8; ++j) v[j] = other[j] + r * w[j] * d[j] - back * v[j];
    store8(out + row + i, v);
  }
}

// x, y [rows, heads, head_dim]: pairs (i, i + head_dim / 2) turned by positions[row] * inv_freq[i],
// or back (the gradient). A block for kRopeRows rows, whose sines it makes once for all heads;
// head_dim is a multiple of 16 and at most 256.
constexpr int kRopeRows = 4;
__global__ void __launch_bounds__(256)
    rope(const bf16* x, const int* positions, const float* inv_freq, bf16* y, int rows, int heads,
         int head_dim, int inverse) {
  __shared__ float cosines[kRopeRows][128], sines[kRopeRows][128];
  const int half = head_dim / 2, first = blockIdx.x * kRopeRows,
            count = min(kRopeRows, rows - first);
  for (int i = threadIdx.x; i < count * half; i += 256) {
    float s, c;
    sincosf(static_cast<float>(positions[first + i / half]) * inv_freq[i % half], &s, &c);
    cosines[i / half][i % half] = c;
    sines[i / half][i % half] = inverse ? -s : s;
  }
  __syncthreads();
  const int eights = half / 8, of_row = heads * eights;
  for (int item = threadIdx.x; item < count * of_row; item += 256) {
    const int row = item / of_row, head = item % of_row / eights, i = item % eights * 8;
    const int64_t at = (int64_t{first + row} * heads + head) * head_dim + i;
    float a[8], b[8];
    load8(x + at, a);
    load8(x + at + half, b);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const float c = cosines[row][i + j], s = sines[row][i + j], turned = a[j] * c - b[j] * s;
      b[j] = b[j] * c + a[j] * s;
      a[j] = turned;
    }
    store8(y + at, a);
    store8(y + at + half, b);
  }
}
