#include "ops/device.h"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "base/cache.h"
#include "base/error.h"
#include "base/system.h"
#include "base/threads.h"
#include "ops/cuda/fp8.h"
#include "ops/library.h"

namespace gavel {
namespace {

std::string asked_device(const std::string& option) {
  if (!option.empty()) return option;
  const char* variable = std::getenv("GAVEL_DEVICE");
  return variable != nullptr ? variable : "";
}

// Sets an environment variable that MLX reads once, unless the user has.
void suggest(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 0); }

void set_up_gpu(bool float32) {
  // cuBLAS would round the factors of float32 products to 10 bits.
  if (float32) suggest("MLX_ENABLE_TF32", "0");
  // MLX frees a buffer once the batch of operations that used it is done: small batches keep a
  // training step's memory small, at no cost in time.
  suggest("MLX_MAX_OPS_PER_BUFFER", "8");
  suggest("MLX_MAX_MB_PER_BUFFER", "200");
  if (const auto cache = cache_directory(); !cache.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(cache / "mlx", ignored);
    suggest("MLX_PTX_CACHE_DIR", (cache / "mlx").string());
  }
  mx::set_default_device(mx::Device::gpu);
}

std::string text_of(const mx::Device& device, const char* key) {
  const auto& info = mx::device_info(device);
  const auto it = info.find(key);
  if (it == info.end()) return "";
  if (const auto* text = std::get_if<std::string>(&it->second)) return *text;
  return std::to_string(std::get<size_t>(it->second));
}

size_t number_of(const mx::Device& device, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const auto& info = mx::device_info(device);
    const auto it = info.find(key);
    if (it != info.end() && std::holds_alternative<size_t>(it->second))
      return std::get<size_t>(it->second);
  }
  return 0;
}

bool is_cuda() {
  return gpu_available() && number_of(mx::Device::gpu, {"compute_capability_major"}) > 0;
}

}  // namespace

bool gpu_available() {
  return mx::is_available(mx::Device::gpu) && mx::device_count(mx::Device::gpu) > 0;
}

Backend make_backend(const DeviceOptions& options) {
  const std::string device = asked_device(options.device);
  if (!device.empty() && device != "cpu" && device != "gpu")
    throw UsageError(fmt::format("there is no device '{}': use cpu or gpu", device));
  const MlxLibrary& library = mlx_library();
  if (device == "gpu" && !gpu_available()) {
    if (!library.skipped.empty())
      fail("no GPU can be used here: {} cannot be loaded ({}); gavel doctor says what is missing",
           library.skipped, library.reason);
    fail("no GPU can be used here: gavel devices says what there is");
  }
  static std::once_flag said;
  if (device.empty() && !library.skipped.empty())
    std::call_once(said, [&] {
      spdlog::warn(
          "using the CPU: MLX's CUDA library cannot be loaded ({}); gavel doctor says what is "
          "missing",
          library.reason);
    });
  if (device == "cpu" || !gpu_available()) {
    if (!options.dtype.empty() && options.dtype != "float32")
      fail("the CPU computes in float32: --dtype {} is for a GPU", options.dtype);
    mx::set_default_device(mx::Device::cpu);
    return cpu_backend(options.precision);
  }
  set_up_gpu(options.dtype == "float32");
  if (options.dtype == "float32") return composed_backend(mx::float32);
  return is_cuda() ? cuda_backend() : composed_backend(mx::bfloat16);
}

bool has_fp8(const Backend& backend) {
  return on_card(backend) && number_of(mx::Device::gpu, {"compute_capability_major"}) == 9 &&
         number_of(mx::Device::gpu, {"compute_capability_minor"}) == 0;
}

Weight with_fp8(Weight weight) {
  if (cuda::fits_fp8(weight)) weight.fp8 = cuda::fp8_scales(weight);
  return weight;
}

std::vector<DeviceInfo> list_devices() {
  const bool gpu = gpu_available();
  std::string chosen = asked_device("");
  if (chosen.empty()) chosen = gpu ? "gpu" : "cpu";
  DeviceInfo cpu{.kind = "cpu", .chosen = chosen == "cpu"};
  cpu.name = processor_name();
  cpu.detail = fmt::format("{} kernels, {} threads", kernels::simd_name(), num_threads());
  cpu.memory = memory_size();
  cpu.free = free_memory();
  std::vector<DeviceInfo> all{cpu};
  for (int i = 0; gpu && i < mx::device_count(mx::Device::gpu); ++i) {
    const mx::Device device(mx::Device::gpu, i);
    const std::string capability = text_of(device, "compute_capability_major");
    all.push_back({.kind = "gpu",
                   .name = text_of(device, "device_name"),
                   .detail = capability.empty()
                                 ? text_of(device, "architecture")
                                 : fmt::format("CUDA, compute capability {}.{}", capability,
                                               text_of(device, "compute_capability_minor")),
                   .memory = number_of(device, {"total_memory", "memory_size"}),
                   .free = number_of(device, {"free_memory"}),
                   .chosen = i == 0 && chosen == "gpu"});
  }
  return all;
}

size_t peak_memory(const Backend& backend) {
  if (!on_cpu_memory(backend)) return mx::get_peak_memory();
  return most_resident_memory();
}

}  // namespace gavel
