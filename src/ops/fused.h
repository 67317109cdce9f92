// The frame of an operation on the CPU: one MLX primitive whose evaluation is a function of ours
// and whose gradient is given with it.
#pragma once

#include <functional>
#include <vector>

#include "ops/tensors.h"

namespace gavel {

struct FusedSpec {
  const char* name;
  // Computes the outputs; inputs are row-contiguous and outputs allocated. Runs on MLX's stream.
  std::function<void(const Arrays& inputs, Arrays& outputs)> cpu;
  // Gradients for the inputs numbered in argnums, in their order; null: not differentiable.
  std::function<Arrays(const Arrays& inputs, const Arrays& cotangents,
                       const std::vector<int>& argnums, const Arrays& outputs)>
      vjp;
  // Output 0 may take over the memory of this input where nobody else needs it; -1: never.
  int donate = -1;
};

// Outputs of the given shapes and types, evaluated by `spec` on the default CPU stream.
Arrays fused(FusedSpec spec, Arrays inputs, std::vector<mx::Shape> shapes,
             const std::vector<mx::Dtype>& dtypes);
// The same for one float32 output.
mx::array fused(FusedSpec spec, Arrays inputs, mx::Shape shape);

}  // namespace gavel
