// The fused operations of the model. On the CPU each runs a kernel of ops/kernels.h with its own
// gradient; on other devices it composes MLX's operations. All activations are packed: one row a
// token, sequences one after another, no padding.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ops/fused.h"
#include "ops/kernels.h"

namespace gavel {

// One weight matrix [out_features, in_features]: dense (f32, f16, bf16), or MLX-affine quantized:
// w = scale * q + bias, with q packed little-endian into uint32, `bits` bits each, and one scale
// and bias for each `group_size` consecutive weights of a row.
struct Weight {
  mx::array data;                   // dense [n, k], or packed uint32 [n, k * bits / 32]
  std::optional<mx::array> scales;  // [n, k / group_size], f32, f16 or bf16
  std::optional<mx::array> biases;  // same
  int group_size = 0;               // 0: dense
  int bits = 0;
  bool quantized() const { return scales.has_value(); }
  int out_features() const { return data.shape(0); }
  int in_features() const {
    return quantized() ? static_cast<int>(int64_t{data.shape(1)} * 32 / bits) : data.shape(1);
  }
};

// The view of an evaluated weight that the kernels take. The weight must outlive it.
kernels::WeightView view(const Weight& w);
// The whole matrix as float32 [n, k].
mx::array dequantize(const Weight& w);

// The low-rank branch of a linear layer: y += scale * (x a) b.
struct LoraBranch {
  mx::array a;  // [in_features, r]
  mx::array b;  // [r, out_features]
  float scale = 1.0f;
  float dropout = 0.0f;          // probability that an input of the branch is dropped
  std::optional<mx::array> key;  // random key of this call; needed where dropout > 0
};

// How packed sequences lie in a batch: segment s is rows [starts[s], starts[s + 1]).
struct Segments {
  std::vector<int32_t> starts;     // segments + 1 values, first 0, last the number of rows
  std::vector<int32_t> parents;    // as kernels::Packing has them
  std::vector<int32_t> positions;  // position of each row within its sequence
  int64_t rows() const { return starts.empty() ? 0 : starts.back(); }
};
using SegmentsPtr = std::shared_ptr<const Segments>;
// Segments of these lengths, positions counted from 0, or from where the parent ends.
SegmentsPtr make_segments(const std::vector<int32_t>& lengths, std::vector<int32_t> parents = {});

// One of the linear layers that read the same input.
struct LinearBranch {
  Weight weight;
  std::optional<mx::array> bias;  // [n], float32
  std::optional<LoraBranch> lora;
};

// y_i[T, n_i] = x[T, k] W_i^T (+ bias_i) (+ LoRA_i) for every branch, with one gradient for x.
// The weights are frozen; gradients flow to x and to the LoRA matrices.
Arrays linears(const mx::array& x, const std::vector<LinearBranch>& branches,
               kernels::Precision precision = kernels::Precision::float32);
// One branch, with an optional residual[T, n] added.
mx::array linear(const mx::array& x, const LinearBranch& branch,
                 const std::optional<mx::array>& residual = {},
                 kernels::Precision precision = kernels::Precision::float32);

// Rows ids[T] of the table, float32 [T, k]. Not differentiable.
mx::array embedding(const Weight& table, const mx::array& ids);

// RMSNorm over the last `dim` values; x [T, m * dim], weight [dim] (frozen).
mx::array rms_norm(const mx::array& x, const mx::array& weight, float eps);

// Rotary embedding, half-split layout; x [T, heads * head_dim], inv_freq [head_dim / 2].
mx::array rope(const mx::array& x, const SegmentsPtr& segments, const mx::array& inv_freq,
               int head_dim);

// silu(gate) * up.
mx::array swiglu(const mx::array& gate, const mx::array& up);

// Causal grouped-query attention within each sequence; q [T, heads * d], k, v [T, kv_heads * d].
mx::array attention(const mx::array& q, const mx::array& k, const mx::array& v,
                    const SegmentsPtr& segments, int head_dim);

// Rows of x [T, n] named by `rows` (ascending, each at most once).
mx::array select_rows(const mx::array& x, std::shared_ptr<const std::vector<int32_t>> rows);

// Softmax cross-entropy of h [T, k] under the head, logits never whole. Returns {the sum of
// weights[t] * loss[t] as a scalar, the losses [T]}; only the first is differentiable, and only
// where with_grad was set (its gradient is computed in the same pass).
Arrays cross_entropy(const mx::array& h, const Weight& head, const mx::array& targets,
                     const mx::array& weights, bool with_grad);

}  // namespace gavel
