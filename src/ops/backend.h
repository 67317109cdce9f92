// Where a model computes, in which type and how exactly: one value, which the model holds.
#pragma once

#include "ops/tensors.h"

namespace gavel {

struct Backend;
using Rows = std::shared_ptr<const std::vector<int32_t>>;

// How each operation of ops/ops.h is done. A table a kind of device (ops/backend.cpp) says which
// are kernels of ours and which are composed of MLX's operations.
struct Operations {
  const char* name;
  mx::array (*embedding)(const Backend&, const Weight& table, const mx::array& ids);
  Arrays (*linears)(const Backend&, const mx::array& x, const std::vector<LinearBranch>& branches,
                    const std::optional<mx::array>& residual);
  // {y of each branch, x}; null: rms_norm, then linears.
  Arrays (*normed_linears)(const Backend&, const mx::array& x, const mx::array& norm, float eps,
                           const std::vector<LinearBranch>& branches);
  // null: swiglu, then linears.
  mx::array (*swiglu_linear)(const Backend&, const mx::array& gate, const mx::array& up,
                             const LinearBranch& branch, const mx::array& residual);
  mx::array (*rms_norm)(const Backend&, const mx::array& x, const mx::array& weight, float eps);
  mx::array (*rope)(const Backend&, const mx::array& x, const SegmentsPtr& segments,
                    const mx::array& inv_freq, int head_dim);
  mx::array (*swiglu)(const Backend&, const mx::array& gate, const mx::array& up);
  mx::array (*attention)(const Backend&, const mx::array& q, const mx::array& k, const mx::array& v,
                         const SegmentsPtr& segments, int head_dim);
  mx::array (*select_rows)(const Backend&, const mx::array& x, const Rows& rows);
  Arrays (*cross_entropy)(const Backend&, const mx::array& h, const Weight& head,
                          const mx::array& targets, const mx::array& weights, bool with_grad);
  // One step of AdamW or Adam: {parameters, gradient, m, v} flat -> {parameters, m, v}.
  Arrays (*adamw)(const Backend&, const Arrays& state, const kernels::AdamWParams& params);
  // sqrt(sum of squares) of a flat float32 array, as a float32 scalar.
  mx::array (*l2_norm)(const Backend&, const mx::array& x);
  // What the others want to have of the segments beforehand; null: nothing.
  SegmentsPtr (*prepare)(const SegmentsPtr& segments);
  // A loaded array in the device's own memory; null: where it is.
  mx::array (*place)(const mx::array& loaded);
};

struct Backend {
  const Operations* operations;
  mx::Dtype dtype = mx::float32;  // of activations
  // Of products with quantized weights, where they are kernels of the CPU.
  kernels::Precision precision = kernels::Precision::float32;
};

// The CPU with our kernels: float32 activations.
Backend cpu_backend(kernels::Precision precision = kernels::Precision::float32);
// MLX's operations throughout, on its default device.
Backend composed_backend(mx::Dtype dtype = mx::float32);

// An NVIDIA card: bfloat16 activations.
Backend cuda_backend();

// True where the backend computes on plain memory that our CPU kernels read: then inference calls
// them one after another and builds no graph.
bool on_cpu_memory(const Backend& backend);
// True for the kernels of an NVIDIA card.
bool on_card(const Backend& backend);

}  // namespace gavel
