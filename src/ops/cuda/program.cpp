#include "ops/cuda/program.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <map>
#include <mutex>

#include "base/cache.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "ops/cuda/sources.h"

namespace gavel::cuda {
namespace fs = std::filesystem;
namespace {

// NVRTC's functions (nvrtc.h), found in the process: the CPU's libmlx comes without them.
struct Nvrtc {
  using Program = void*;
  int (*create)(Program*, const char*, const char*, int, const char* const*, const char* const*);
  int (*destroy)(Program*);
  int (*add_name)(Program, const char*);
  int (*compile)(Program, int, const char* const*);
  int (*lowered_name)(Program, const char*, const char**);
  int (*cubin_size)(Program, size_t*);
  int (*cubin)(Program, char*);
  int (*log_size)(Program, size_t*);
  int (*log)(Program, char*);
};

const Nvrtc& nvrtc() {
  static const Nvrtc found = [] {
    void* library = RTLD_DEFAULT;
    if (dlsym(library, "nvrtcCreateProgram") == nullptr)
      for (const char* name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"})
        if (void* opened = dlopen(name, RTLD_NOW); opened != nullptr) {
          library = opened;
          break;
        }
    const auto get = [&](auto& function, const char* name) {
      void* symbol = dlsym(library, name);
      if (symbol == nullptr)
        fail("NVIDIA's run-time compiler (libnvrtc) was not found: {} is missing", name);
      function = reinterpret_cast<std::decay_t<decltype(function)>>(symbol);
    };
    Nvrtc n;
    get(n.create, "nvrtcCreateProgram");
    get(n.destroy, "nvrtcDestroyProgram");
    get(n.add_name, "nvrtcAddNameExpression");
    get(n.compile, "nvrtcCompileProgram");
    get(n.lowered_name, "nvrtcGetLoweredName");
    get(n.cubin_size, "nvrtcGetCUBINSize");
    get(n.cubin, "nvrtcGetCUBIN");
    get(n.log_size, "nvrtcGetProgramLogSize");
    get(n.log, "nvrtcGetProgramLog");
    return n;
  }();
  return found;
}

std::string text_of(Source source) {
  std::string_view text;
  switch (source) {
    case Source::attention:
      return std::string(kCommon) + std::string(kTiles) + std::string(kAttention);
    case Source::cross_entropy:
      text = kCrossEntropy;
      break;
    case Source::dequantize:
      text = kDequantize;
      break;
    case Source::elementwise:
      text = kElementwise;
      break;
    case Source::fp8:
      text = kFp8;
      break;
    case Source::inference:
      text = kInference;
      break;
    case Source::paged_attention:  // goes on from the other
      return text_of(Source::attention) + std::string(kPagedAttention);
    case Source::products:
      text = kProducts;
      break;
    case Source::rows:
      text = kRows;
      break;
    case Source::wide_products:
      return std::string(kCommon) + std::string(kTiles) + std::string(kProducts) +
             std::string(kWideProducts);
  }
  return std::string(kCommon) + std::string(text);
}

// The file is the kernel's name, a NUL, and the machine code.
std::optional<Kernel> read_kept(const fs::path& file) {
  std::error_code ignored;
  if (file.empty() || !fs::exists(file, ignored)) return std::nullopt;
  const std::string kept = read_file(file, 64 << 20);
  const size_t end = kept.find('\0');
  if (end == std::string::npos || kept.substr(end + 1, 4) !=
                                      "\x7f"
                                      "ELF")
    return std::nullopt;
  return Kernel{kept.substr(0, end), kept.substr(end + 1)};
}

void keep(const fs::path& file, const Kernel& kernel) {
  if (file.empty()) return;
  try {
    fs::create_directories(file.parent_path());
    write_file_atomic(file, kernel.name + '\0' + kernel.cubin);
  } catch (const std::exception& e) {  // the next run compiles again
    spdlog::warn("cannot keep a compiled kernel: {}", e.what());
  }
}

}  // namespace

const char* type_name(mx::Dtype dtype) {
  if (dtype == mx::float32) return "float";
  if (dtype == mx::float16) return "half";
  if (dtype == mx::bfloat16) return "bf16";
  fail("a weight is neither float32, float16 nor bfloat16");
}

int compute_capability() {
  const auto& info = mx::device_info(mx::Device(mx::Device::gpu));
  const auto number = [&](const char* key) {
    const auto it = info.find(key);
    if (it == info.end() || !std::holds_alternative<size_t>(it->second))
      fail("MLX does not say which compute capability the GPU has");
    return static_cast<int>(std::get<size_t>(it->second));
  };
  return 10 * number("compute_capability_major") + number("compute_capability_minor");
}

std::string architecture(int compute_capability) {
  return fmt::format("sm_{}{}", compute_capability, compute_capability == 90 ? "a" : "");
}

Kernel compile(Source source, const std::string& expression, const std::string& architecture) {
  const Nvrtc& n = nvrtc();
  Nvrtc::Program program = nullptr;
  const std::string text = text_of(source);
  if (n.create(&program, text.c_str(), "gavel.cu", 0, nullptr, nullptr) != 0)
    fail("NVIDIA's run-time compiler could not be started");
  const std::string target = "--gpu-architecture=" + architecture;
  const char* options[] = {target.c_str(), "--std=c++17"};
  n.add_name(program, expression.c_str());
  if (n.compile(program, 2, options) != 0) {
    size_t size = 0;
    n.log_size(program, &size);
    std::string log(size, '\0');
    n.log(program, log.data());
    n.destroy(&program);
    fail("the kernel {} does not compile for {}:\n{}", expression, architecture, log);
  }
  const char* name = nullptr;
  size_t size = 0;
  n.lowered_name(program, expression.c_str(), &name);
  n.cubin_size(program, &size);
  Kernel kernel{name != nullptr ? name : "", std::string(size, '\0')};
  n.cubin(program, kernel.cubin.data());
  n.destroy(&program);
  return kernel;
}

const Kernel& kernel(Source source, const std::string& expression) {
  static std::mutex mutex;
  static std::map<std::pair<Source, std::string>, Kernel> kernels;
  const std::lock_guard lock(mutex);
  const auto key = std::pair(source, expression);
  if (const auto it = kernels.find(key); it != kernels.end()) return it->second;
  const std::string target = architecture(compute_capability());
  fs::path file = cache_directory();
  if (!file.empty())
    file /= fmt::format("kernels/{:016x}.cubin",
                        stable_hash(expression + '\n' + target + '\n' + text_of(source), 0));
  auto made = read_kept(file);
  if (!made) {
    made = compile(source, expression, target);
    keep(file, *made);
  }
  return kernels.emplace(key, std::move(*made)).first->second;
}

Arrays launch(const Kernel& kernel, const Launch& l, const Arrays& inputs,
              const std::vector<mx::Shape>& shapes, const std::vector<mx::Dtype>& dtypes,
              const std::vector<mx::fast::ScalarArg>& scalars) {
  return mx::fast::precompiled_cuda_kernel(
      kernel.name, kernel.cubin, inputs, shapes, dtypes, scalars,
      {l.blocks_x * l.threads, l.blocks_y, 1}, {l.threads, 1, 1}, l.shared_bytes, std::nullopt,
      /*ensure_row_contiguous=*/true, mx::Device(mx::Device::gpu));
}

}  // namespace gavel::cuda
