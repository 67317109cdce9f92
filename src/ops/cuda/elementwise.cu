// SwiGLU and rotary embedding, bfloat16, forward and backward. Bounded by memory.
__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + exp2_fast(-x * kLog2E)); }

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

__global__ void __launch_bounds__(256)
    swiglu_backward(const bf16* gate, const bf16* up, const bf16* dout, bf16* dgate, bf16* dup,
                    int eights) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= eights) return;
  float g[8], u[8], d[8];
  load8(gate + 8 * i, g);
  load8(up + 8 * i, u);
  load8(dout + 8 * i, d);
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    const float s = sigmoid(g[j]), silu = g[j] * s;
    g[j] = d[j] * u[j] * (s + silu * (1.0f - s));
    u[j] = d[j] * silu;
  }
  store8(dgate + 8 * i, g);
  store8(dup + 8 * i, u);
}

// x, y [rows, heads, head_dim]: pairs (i, i + head_dim / 2) turned by positions[row] * inv_freq[i],
// or back (the gradient). A warp for each row; lanes take pairs of i.
__global__ void __launch_bounds__(256)
    rope(const bf16* x, const int* positions, const float* inv_freq, bf16* y, int rows, int heads,
         int head_dim, int inverse) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= rows) return;
  const float position = static_cast<float>(positions[row]);
  const int half = head_dim / 2;
  for (int i = threadIdx.x % 32 * 2; i < half; i += 64) {
    float c[2], s[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      sincosf(position * inv_freq[i + j], &s[j], &c[j]);
      if (inverse) s[j] = -s[j];
    }
    const int64_t at = int64_t{row} * heads * head_dim + i;
    for (int head = 0; head < heads; ++head) {
      const uint32_t* from = reinterpret_cast<const uint32_t*>(x + at + head * head_dim);
      uint32_t* to = reinterpret_cast<uint32_t*>(y + at + head * head_dim);
      const uint32_t a = from[0], b = from[half / 2];
      to[0] = pack_bf16(low_bf16(a) * c[0] - low_bf16(b) * s[0],
                        high_bf16(a) * c[1] - high_bf16(b) * s[1]);
      to[half / 2] = pack_bf16(low_bf16(b) * c[0] + low_bf16(a) * s[0],
                               high_bf16(b) * c[1] + high_bf16(a) * s[1]);
    }
  }
}
