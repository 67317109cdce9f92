// The CPU kernels under the fused operations: plain functions on plain memory, no MLX.
//
// All activations are float32, row-major, one row a token. Every function divides its work among
// the threads of base/threads.h, gives the same result for the same inputs and thread count, and
// has a portable version next to the AVX2 and AVX-512 ones; the version is chosen once at run time.
// T is the number of rows (tokens), K the inner and N the outer size of a weight [N, K].
#pragma once

#include <cstdint>
#include <span>

namespace gavel::kernels {

// "portable", "avx2" or "avx512": what this machine's processor runs. GAVEL_SIMD forces a lower
// one.
const char* simd_name();

enum class ScalarType : uint8_t { f32, f16, bf16 };

// A weight matrix [n, k] in memory, as model/weights.h describes it.
struct WeightView {
  int64_t n = 0, k = 0;
  const void* data = nullptr;         // dense: [n, k] of `type`; quantized: packed uint32 words
  ScalarType type = ScalarType::f32;  // of `data` where dense, of scales and biases where quantized
  const void* scales = nullptr;       // [n, k / group_size]; null: dense
  const void* biases = nullptr;
  int bits = 0;        // 2, 3, 4, 5, 6, 8
  int group_size = 0;  // any multiple of 32 that divides k (smaller: 16 also)
  bool quantized() const { return scales != nullptr; }
};

// The low-rank branch of a LoRA layer in mlx_lm's layout: y += scale * (x a) b.
struct LoraView {
  const float* a = nullptr;  // [k, r]
  const float* b = nullptr;  // [r, n]
  int64_t r = 0;
  float scale = 0.0f;
};

// What products with quantized weights may round their other factor to, relative to the largest of
// each 32 values: nothing (relative error of a product ~1e-6), 16 bits (~2e-5), 8 bits (~6e-3).
enum class Precision : uint8_t { float32, int16, int8 };
// "float32", "int16", "int8".
const char* precision_name(Precision precision);
// Of generating and judging, unless asked otherwise: it writes what float32 writes.
constexpr Precision kInferencePrecision = Precision::int16;

// One of the products that read the same input: y[T, n] = x[T, k] W^T (+ bias[n])
// (+ residual[T, n]) (+ LoRA). bias, residual may be null; residual may be y itself. Where `lora`
// is given, xa[T, r] (scratch or output, = x a) is written.
struct LinearTask {
  WeightView weight;
  float* y = nullptr;
  const float* bias = nullptr;
  const float* residual = nullptr;
  const LoraView* lora = nullptr;
  float* xa = nullptr;
};
void linear_forward(const float* x, int64_t rows, std::span<const LinearTask> tasks,
                    Precision precision);

// dx[T, k] = dy[T, n] W (+ LoRA's part). With accumulate, adds to dx instead of replacing it.
// Where `lora` is given, dyb[T, r] = scale * dy b^T is written (needed for the gradient of a).
// Never below 16 bits.
void linear_backward_input(const float* dy, int64_t rows, const WeightView& w, const LoraView* lora,
                           float* dyb, float* dx, bool accumulate, Precision precision);

// Gradients of the LoRA matrices: da[k, r] = x^T dyb, db[r, n] = scale * xa^T dy.
void lora_backward(const float* x, const float* dy, const float* xa, const float* dyb, int64_t rows,
                   int64_t k, int64_t n, const LoraView& lora, float* da, float* db);

// out[i, :] = row ids[i] of w, dequantized to f32.
void embedding(const WeightView& w, const int32_t* ids, int64_t count, float* out);

// y = x / sqrt(mean(x^2) + eps) * weight, rows of `dim`. (Also per head: rows = T * heads.)
// inv_rms[rows], where not null, receives 1/sqrt(...) for the backward pass.
void rms_norm(const float* x, const float* weight, int64_t rows, int64_t dim, float eps, float* y,
              float* inv_rms);
// dx of the above (recomputes inv_rms where null); weight is frozen. With accumulate adds to dx.
void rms_norm_backward(const float* x, const float* weight, const float* inv_rms, const float* dy,
                       int64_t rows, int64_t dim, float eps, float* dx, bool accumulate);

// Rotary embedding in the half-split ("neox") layout: pairs (i, i + head_dim/2) of each head turned
// by positions[t] * inv_freq[i]. x, y: [T, heads, head_dim]; y may be x. inverse: the transpose,
// which is the backward.
void rope(const float* x, const int32_t* positions, const float* inv_freq, int64_t rows,
          int64_t heads, int64_t head_dim, bool inverse, float* y);

// y = silu(gate) * up, elementwise over count values.
void swiglu(const float* gate, const float* up, int64_t count, float* y);
void swiglu_backward(const float* gate, const float* up, const float* dy, int64_t count,
                     float* dgate, float* dup);

// Sequences packed one after another: segment s is rows [starts[s], starts[s + 1]). Sequences that
// begin alike share a segment: parents[s] < s is the segment that s goes on from, or -1; parents
// may be empty, where no segment has one. A row sees all rows of its segment's ancestors and its
// own segment's rows up to itself.
struct Packing {
  std::span<const int32_t> starts, parents;
};
// Causal grouped-query attention of packed sequences; scale 1/sqrt(head_dim) given by the caller.
// q [T, heads, d], k, v [T, kv_heads, d], out [T, heads, d]; lse[T, heads] (log-sum-exp) for
// backward.
void attention_forward(const float* q, const float* k, const float* v, const Packing& packing,
                       int64_t heads, int64_t kv_heads, int64_t d, float scale, float* out,
                       float* lse);
void attention_backward(const float* q, const float* k, const float* v, const float* out,
                        const float* lse, const float* dout, const Packing& packing, int64_t heads,
                        int64_t kv_heads, int64_t d, float scale, float* dq, float* dk, float* dv);

// Attention of new rows over a cache, for generation and judging. Each sequence s has queries
// q_rows [q_starts[s], q_starts[s + 1]) of the packed q; they see, in this order, the first
// prefix_len[s] rows of its shared prefix (may be 0), then its own rows. Its own rows number
// own_len[s], the newest of which belong to these queries (causal among them). Keys and values:
// [rows, kv_heads, d].
struct CachedSequence {
  const void* prefix_k = nullptr;
  const void* prefix_v = nullptr;
  int64_t prefix_len = 0;
  const void* own_k = nullptr;
  const void* own_v = nullptr;
  int64_t own_len = 0;                // the new rows included
  ScalarType type = ScalarType::f32;  // of keys and values: f32 or f16
};
void attention_cached(const float* q, std::span<const int32_t> q_starts,
                      std::span<const CachedSequence> sequences, int64_t heads, int64_t kv_heads,
                      int64_t d, float scale, float* out);
// to[i] = from[i] as binary16, i < count, rounded to nearest.
void to_halves(const float* from, int64_t count, uint16_t* to);

// Softmax cross-entropy of h[T, k] under the head w [vocab, k] without the logits ever being whole.
// losses[T] = lse - logit[target] (natural log); where dh is not null,
// dh[T, k] = d(sum_t weights[t] * losses[t]) / dh. weights may be null (all 1).
void cross_entropy(const float* h, int64_t rows, const WeightView& w, const int32_t* targets,
                   const float* weights, float* losses, float* dh, Precision precision);

// One AdamW step over a flat buffer (Loshchilov & Hutter 2019, decoupled weight decay):
// step counts from 1; bias correction applied where bias_correction is set.
struct AdamWParams {
  float lr, beta1, beta2, eps, weight_decay;
  bool bias_correction;
  int64_t step;
};
void adamw(float* param, const float* grad, float* m, float* v, int64_t count,
           const AdamWParams& p);

// log(sum exp(x)) of n > 0 values, to about 1e-7.
double log_sum_exp(const float* x, int64_t n);

// sqrt(sum x^2) in double, and x *= factor.
double l2_norm(const float* x, int64_t count);
void scale_in_place(float* x, int64_t count, float factor);

}  // namespace gavel::kernels
