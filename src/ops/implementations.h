// The forms of the operations that the tables of ops/backend.cpp choose from. Shapes are checked by
// the functions of ops/ops.h before these are called.
#pragma once

#include <functional>

#include "ops/backend.h"

namespace gavel {

#define GAVEL_DECLARE_OPERATIONS                                                                  \
  mx::array embedding(const Backend&, const Weight& table, const mx::array& ids);                 \
  Arrays linears(const Backend&, const mx::array& x, const std::vector<LinearBranch>& branches,   \
                 const std::optional<mx::array>& residual);                                       \
  mx::array rms_norm(const Backend&, const mx::array& x, const mx::array& weight, float eps);     \
  mx::array rope(const Backend&, const mx::array& x, const SegmentsPtr& segments,                 \
                 const mx::array& inv_freq, int head_dim);                                        \
  mx::array swiglu(const Backend&, const mx::array& gate, const mx::array& up);                   \
  mx::array attention(const Backend&, const mx::array& q, const mx::array& k, const mx::array& v, \
                      const SegmentsPtr& segments, int head_dim);                                 \
  mx::array select_rows(const Backend&, const mx::array& x, const Rows& rows);                    \
  Arrays cross_entropy(const Backend&, const mx::array& h, const Weight& head,                    \
                       const mx::array& targets, const mx::array& weights, bool with_grad);       \
  Arrays adamw(const Backend&, const Arrays& state, const kernels::AdamWParams& params);          \
  mx::array l2_norm(const Backend&, const mx::array& x);

namespace cpu {  // one primitive each, with a kernel of ops/kernels.h and its own gradient
GAVEL_DECLARE_OPERATIONS
}
namespace composed {  // of MLX's operations, with their gradients
GAVEL_DECLARE_OPERATIONS
}
namespace cuda {  // bfloat16 on an NVIDIA card: kernels of ops/cuda and cuBLAS
GAVEL_DECLARE_OPERATIONS
Arrays normed_linears(const Backend&, const mx::array& x, const mx::array& norm, float eps,
                      const std::vector<LinearBranch>& branches);
mx::array swiglu_linear(const Backend&, const mx::array& gate, const mx::array& up,
                        const LinearBranch& branch, const mx::array& residual);
SegmentsPtr prepare(const SegmentsPtr& segments);
mx::array place(const mx::array& loaded);
}  // namespace cuda

// x [T, k] through a LoRA branch alone, in x's type: with its dropout.
mx::array lora_branch(const mx::array& x, const LoraBranch& lora);

// Cross-entropy of h [T, k], some rows of logits at a time, its gradient made in the same pass.
// `dense_head` gives the head [V, k] in h's type; `loss_of_rows` takes logits [rows, V], targets
// and weights [rows] and gives {losses [rows], with_grad: their weighted gradient by the logits}.
using LossOfRows =
    std::function<Arrays(const mx::array&, const mx::array&, const mx::array&, bool)>;
Arrays chunked_cross_entropy(const mx::array& h, const std::function<mx::array()>& dense_head,
                             const mx::array& targets, const mx::array& weights, bool with_grad,
                             const LossOfRows& loss_of_rows);

#undef GAVEL_DECLARE_OPERATIONS

}  // namespace gavel
