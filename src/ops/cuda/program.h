// CUDA kernels of ours: compiled at run time for the card at hand (NVRTC, which MLX's CUDA library
// brings), kept on disk for the next run, and launched as operations of MLX's graph.
#pragma once

#include <string>
#include <string_view>

#include "mlx/fast.h"
#include "ops/tensors.h"

namespace gavel::cuda {

// The sources, common.cuh before each.
enum class Source {
  attention,
  cross_entropy,
  dequantize,
  elementwise,
  fp8,
  inference,
  paged_attention,
  products,
  rows,
  wide_products
};

struct Kernel {
  std::string name;   // as it stands in the code
  std::string cubin;  // machine code
};
// The kernel `expression` of a source, such as "attention<128>"; made once in a process. Throws
// Error where it cannot be compiled.
const Kernel& kernel(Source source, const std::string& expression);

// A weight's type in the kernels' code; throws Error for others than float32, float16 and bfloat16.
const char* type_name(mx::Dtype dtype);

// Ten times the major plus the minor compute capability of the default GPU.
int compute_capability();

// What kernels are compiled for: "sm_80"; "sm_90a" with what that card alone has.
std::string architecture(int compute_capability);

// What `kernel` does for a given architecture, without card or cache.
Kernel compile(Source source, const std::string& expression, const std::string& architecture);

struct Launch {
  int blocks_x = 1, blocks_y = 1;
  int threads = 256;
  int shared_bytes = 0;
  // On a queue (queue.h): may start while the kernel before it runs, for which it waits itself.
  bool early = false;
};
// Blocks that hold so many items.
inline int blocks_for(int64_t items, int per_block) {
  return static_cast<int>((items + per_block - 1) / per_block);
}
// Its arguments are the inputs, the outputs, then the scalars. Inputs must be row-contiguous where
// the kernel reads them so, and are copied where they are not.
Arrays launch(const Kernel& kernel, const Launch& launch, const Arrays& inputs,
              const std::vector<mx::Shape>& shapes, const std::vector<mx::Dtype>& dtypes,
              const std::vector<mx::fast::ScalarArg>& scalars);

}  // namespace gavel::cuda
