// Choosing where to compute, and what there is to choose from.
#pragma once

#include <string>
#include <vector>

#include "ops/backend.h"

namespace gavel {

struct DeviceOptions {
  std::string device;  // "cpu", "gpu", or "": GAVEL_DEVICE, else the GPU where there is one
  std::string dtype;   // of activations on a GPU: "bfloat16", "float32", or "": bfloat16
  // Of products with quantized weights on the CPU.
  kernels::Precision precision = kernels::kInferencePrecision;
};

// Sets MLX up for the device and says how a model computes there. Throws Error where there is no
// such device, UsageError for another name.
Backend make_backend(const DeviceOptions& options);

// Whether the backend can multiply with frozen weights in 8-bit floating point.
bool has_fp8(const Backend& backend);
// The weight as such products take it (Weight::fp8); as it is where they cannot.
Weight with_fp8(Weight weight);

// Whether MLX has a GPU that it can compute on.
bool gpu_available();

struct DeviceInfo {
  std::string kind;     // "cpu" or "gpu"
  std::string name;     // "NVIDIA H100 80GB HBM3"
  std::string detail;   // instruction set and threads, or the compute capability
  size_t memory = 0;    // bytes in all
  size_t free = 0;      // bytes not in use
  bool chosen = false;  // where nothing else is asked for
};
std::vector<DeviceInfo> list_devices();

// Bytes of the device's memory (or, on the CPU, of the process) at most in use so far.
size_t peak_memory(const Backend& backend);

}  // namespace gavel
