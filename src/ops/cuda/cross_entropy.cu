// Softmax cross-entropy of a chunk of logits and its gradient: a block for each row, which reads it
// twice. Sums in float32 in a fixed order.
constexpr int kLossThreads = 512;

// Sums of all threads' values (or their largest), the same in every thread.
template <bool kMax>
__device__ float reduce(float x, float* scratch) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(~0u, x, step);
    x = kMax ? fmaxf(x, other) : x + other;
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
  __syncthreads();
  x = scratch[threadIdx.x % (kLossThreads / 32)];
#pragma unroll
  for (int step = kLossThreads / 64; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(~0u, x, step);
    x = kMax ? fmaxf(x, other) : x + other;
  }
  return x;
}

// logits [rows, vocab], targets, weights [rows] -> losses [rows] = lse - logit of the target, and
// where with_gradient is set dlogits [rows, vocab] = weight * (softmax - one at the target).
// vocab is a multiple of 8.
__global__ void __launch_bounds__(kLossThreads)
    cross_entropy(const bf16* logits, const int* targets, const float* weights, float* losses,
                  bf16* dlogits, int vocab, int with_gradient) {
  __shared__ float scratch[kLossThreads / 32];
  const int64_t row = blockIdx.x;
  const bf16* x = logits + row * vocab;
  float top = minus_infinity(), sum = 0.0f;
  for (int i = threadIdx.x * 8; i < vocab; i += kLossThreads * 8) {
    float v[8], largest = top;
    load8(x + i, v);
#pragma unroll
    for (int j = 0; j < 8; ++j) largest = fmaxf(largest, v[j]);
    sum *= exp2_fast((top - largest) * kLog2E);
    top = largest;
#pragma unroll
    for (int j = 0; j < 8; ++j) sum += exp2_fast((v[j] - top) * kLog2E);
  }
  const float all = reduce<true>(top, scratch);
  sum = reduce<false>(sum * exp2_fast((top - all) * kLog2E), scratch);
  const int target = targets[row];
  if (threadIdx.x == 0) losses[row] = all - to_float(x[target]) + logf(sum);
  if (!with_gradient) return;
  const float weight = weights[row], factor = weight / sum;
  bf16* dx = dlogits + row * vocab;
  for (int i = threadIdx.x * 8; i < vocab; i += kLossThreads * 8) {
    float v[8];
    load8(x + i, v);
#pragma unroll
    for (int j = 0; j < 8; ++j)
      v[j] = exp2_fast((v[j] - all) * kLog2E) * factor - (i + j == target ? weight : 0.0f);
    store8(dx + i, v);
  }
}
