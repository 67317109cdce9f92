// The operations of the model, each done as the backend's table says. All activations are packed:
// one row a token, sequences one after another, no padding; their type is the backend's, but that
// of the residual path (from the embedding on: what normed_linears takes and passes on, and
// residuals) is float32 on a card.
#pragma once

#include "ops/backend.h"

namespace gavel {

// The segments as the operations below take them; called once for a batch.
SegmentsPtr prepare(const Backend& backend, const SegmentsPtr& segments);

// A loaded array where the backend reads it fastest.
mx::array place(const Backend& backend, const mx::array& loaded);

// y_i[T, n_i] = x[T, k] W_i^T (+ bias_i) (+ LoRA_i) for every branch, with one gradient for x.
// The weights are frozen; gradients flow to x and to the LoRA matrices.
Arrays linears(const Backend& backend, const mx::array& x,
               const std::vector<LinearBranch>& branches);
// One branch, with an optional residual[T, n] added.
mx::array linear(const Backend& backend, const mx::array& x, const LinearBranch& branch,
                 const std::optional<mx::array>& residual = {});

// linears of rms_norm(x). x becomes the same values as they go on along the residual path: a node
// that sees both uses of x need keep no normed copy, and adds the two gradients where it makes one.
Arrays normed_linears(const Backend& backend, mx::array& x, const mx::array& norm, float eps,
                      const std::vector<LinearBranch>& branches);
// linear of swiglu(gate, up), which need not be kept either.
mx::array swiglu_linear(const Backend& backend, const mx::array& gate, const mx::array& up,
                        const LinearBranch& branch, const mx::array& residual);

// Rows ids[T] of the table, [T, k]. Not differentiable.
mx::array embedding(const Backend& backend, const Weight& table, const mx::array& ids);

// RMSNorm over the last `dim` values; x [T, m * dim], weight [dim] (frozen).
mx::array rms_norm(const Backend& backend, const mx::array& x, const mx::array& weight, float eps);

// Rotary embedding, half-split layout; x [T, heads * head_dim], inv_freq [head_dim / 2].
mx::array rope(const Backend& backend, const mx::array& x, const SegmentsPtr& segments,
               const mx::array& inv_freq, int head_dim);

// silu(gate) * up.
mx::array swiglu(const Backend& backend, const mx::array& gate, const mx::array& up);

// Causal grouped-query attention within each sequence; q [T, heads * d], k, v [T, kv_heads * d].
mx::array attention(const Backend& backend, const mx::array& q, const mx::array& k,
                    const mx::array& v, const SegmentsPtr& segments, int head_dim);

// Rows of x [T, n] named by `rows` (ascending, each at most once).
mx::array select_rows(const Backend& backend, const mx::array& x, const Rows& rows);

// Softmax cross-entropy of h [T, k] under the head, logits never whole. Returns {the sum of
// weights[t] * loss[t] as a float32 scalar, the losses [T]}; only the first is differentiable, and
// only where with_grad was set (its gradient is computed in the same pass).
Arrays cross_entropy(const Backend& backend, const mx::array& h, const Weight& head,
                     const mx::array& targets, const mx::array& weights, bool with_grad);

// One step of AdamW (decoupled weight decay) or Adam (none) over flat float32 arrays: state is
// {parameters, gradient, m, v}, the result {parameters, m, v}.
Arrays adamw(const Backend& backend, const Arrays& state, const kernels::AdamWParams& params);
// sqrt(sum of squares), a float32 scalar.
mx::array l2_norm(const Backend& backend, const mx::array& x);

}  // namespace gavel
