#include "train/matmul.h"

#include "base/error.h"
#include "ops/device.h"

namespace gavel {

Model with_matmul(Model model, Matmul matmul) {
  Backend& backend = model.backend;
  if (matmul == Matmul::int16 && !on_cpu_memory(backend))
    fail("--matmul int16 is for the CPU (--device cpu); this run would compute on a GPU");
  if (matmul == Matmul::fp8 && !has_fp8(backend))
    fail(
        "--matmul fp8 needs an NVIDIA card of compute capability 9.0 (H100, H200) and bfloat16 "
        "activations; gavel devices says what there is");
  if (matmul == Matmul::fp8 && !model.layers.front().weights.front().quantized())
    fail(
        "--matmul fp8 is for models with quantized weights; gavel convert -q makes one of this "
        "model");
  backend.precision =
      matmul == Matmul::int16 ? kernels::Precision::int16 : kernels::Precision::float32;
  if (matmul == Matmul::fp8)
    for (auto& layer : model.layers)
      for (auto& weight : layer.weights) weight = with_fp8(weight);
  return model;
}

}  // namespace gavel
