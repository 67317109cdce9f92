#include "doctor/doctor.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <system_error>

#include "base/cache.h"
#include "base/system.h"
#include "base/threads.h"
#include "doctor/nvidia.h"
#include "mlx/version.h"
#include "ops/blas.h"
#include "ops/device.h"
#include "ops/library.h"

namespace gavel {
namespace fs = std::filesystem;
namespace {

constexpr double kGB = 1e9;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Finding kernels_finding() {
  Finding f{"kernels", fmt::format("{}, {} threads", kernels::simd_name(), num_threads()), "", ""};
  const std::string asked = environment("GAVEL_SIMD");
  if (!asked.empty() && asked != kernels::simd_name()) {
    f.problem = fmt::format("GAVEL_SIMD={} is not what is used", asked);
    f.remedy = "use portable, avx2 or avx512, as far as the processor has it, or unset it";
  }
  return f;
}

Finding threads_finding() {
  const long processors = ::sysconf(_SC_NPROCESSORS_ONLN);
  Finding f{"processors", fmt::format("{}", processors), "", ""};
  if (num_threads() > processors) {
    f.problem = fmt::format("{} threads share {} processors", num_threads(), processors);
    f.remedy = "lower or unset GAVEL_NUM_THREADS and OMP_NUM_THREADS";
  }
  return f;
}

// The version of MLX whose headers gavel was compiled with.
std::string built_for() {
  return fmt::format("{}.{}.{}", MLX_VERSION_MAJOR, MLX_VERSION_MINOR, MLX_VERSION_PATCH);
}

Finding mlx_finding() {
  Dl_info found{};
  std::string where = "the program itself";
  if (::dladdr(reinterpret_cast<const void*>(&mx::version), &found) != 0 &&
      found.dli_fname != nullptr) {
    std::error_code ec;
    const fs::path path = fs::canonical(found.dli_fname, ec);
    where = ec ? found.dli_fname : path.string();
  }
  Finding f{"MLX", fmt::format("{} in {}", mx::version(), where), "", ""};
  const std::string built = built_for();
  if (!std::string(mx::version()).starts_with(built)) {
    f.problem = fmt::format("gavel was built for MLX {}", built);
    f.remedy = fmt::format("install mlx=={}, or build gavel again", built);
  }
  return f;
}

Finding blas_finding() {
  Finding f{"BLAS", blas_name(), "", ""};  // start_up() has seen that MLX uses it
  const std::string core = blas_core();
  const std::string sets = instruction_sets();
  // What OpenBLAS takes for processors that it does not know.
  if (sets.find("avx2") != std::string::npos && (core == "Prescott" || core == "Core2")) {
    f.problem = fmt::format("OpenBLAS does not know this processor and uses kernels for {}", core);
    f.remedy = fmt::format("set OPENBLAS_CORETYPE={}",
                           sets.find("avx512f") != std::string::npos ? "SkylakeX" : "Haswell");
  }
  return f;
}

// Of MLX's CUDA library, loaded or not: which of NVIDIA's it needs, and the remedy for those that
// are not there. No finding where the CPU's is the only one.
std::optional<Finding> nvidia_finding() {
  const bool skipped = !mlx_library().skipped.empty();
  const std::string path = skipped ? mlx_library().skipped : mlx_library().path;
  const auto needed = nvidia_libraries(path);
  if (needed.empty() && !skipped) return std::nullopt;
  Finding f{"MLX for CUDA", path, "", ""};
  std::string missing, wheels;
  bool driver = true;
  for (const auto& library : needed) {
    if (!library.path.empty()) {
      f.value +=
          fmt::format("; {} in {}", library.name, fs::path(library.path).parent_path().string());
      continue;
    }
    missing += (missing.empty() ? "" : ", ") + library.name;
    if (library.wheel.empty())
      driver = false;
    else
      wheels += " " + library.wheel;
  }
  if (!skipped) return f;
  f.problem =
      missing.empty()
          ? fmt::format("it cannot be loaded: {}", mlx_library().reason)
          : fmt::format("it is not used, since {} not there",
                        missing + (missing.find(',') == std::string::npos ? " is" : " are"));
  // FOLDER/mlx/lib/libmlx.so: its RPATH looks for FOLDER/nvidia.
  const std::string folder = fs::path(path).parent_path().parent_path().parent_path().string();
  if (!driver) f.remedy = "install NVIDIA's driver, for CUDA 13 or newer";
  if (!wheels.empty())
    f.remedy += fmt::format("{}pip install --target {}{}", driver ? "" : "; ", folder, wheels);
  if (missing.empty()) f.remedy = fmt::format("install mlx-cuda-13=={} anew", built_for());
  f.remedy += "; without a card, nothing needs to be done: the CPU is used";
  return f;
}

Finding driver_finding() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string driver;
  std::getline(file, driver);
  if (driver.empty()) return {"NVIDIA driver", "none", "", ""};
  Finding f{"NVIDIA driver", driver, "", ""};
  if (!gpu_available() && mlx_library().skipped.empty()) {
    f.problem = "there is a driver, but MLX's CPU library is loaded";
    f.remedy = fmt::format(
        "pip install --target FOLDER mlx-cuda-13=={0}, with FOLDER .cuda where ./run was used "
        "(which does so from CUDA 13 on), or lib/gavel/cuda of an unpacked bundle; in a Python "
        "environment pip install gavel[cuda], then pip install --force-reinstall --no-deps "
        "mlx-cuda-13=={0}",
        built_for());
  }
  return f;
}

Finding device_finding(const DeviceInfo& device) {
  Finding f{
      device.kind == "cpu" ? "memory" : "GPU",
      fmt::format("{}: {:.1f} GB, {:.1f} free{}", device.name,
                  static_cast<double>(device.memory) / kGB, static_cast<double>(device.free) / kGB,
                  device.chosen ? "; used by default" : ""),
      "", ""};
  if (device.free > 0 && device.free < size_t{1} << 30) {
    f.problem = "less than 1 GB is free: a small model fits, a 7B model does not";
    f.remedy = "end what else uses it, or take --memory-limit down";
  }
  return f;
}

// The nearest folder upwards that exists.
fs::path existing(fs::path folder) {
  std::error_code ec;
  while (!folder.empty() && !fs::exists(folder, ec) && folder != folder.parent_path())
    folder = folder.parent_path();
  return folder;
}

Finding folder_finding(const std::string& name, const fs::path& folder, const char* variable) {
  if (folder.empty())
    return {name, "none", "there is no home folder", fmt::format("set {} to a folder", variable)};
  const fs::path there = existing(folder);
  std::error_code ec;
  const auto space = fs::space(there, ec);
  Finding f{name,
            fmt::format("{}, {:.1f} GB free", folder.string(),
                        ec ? 0.0 : static_cast<double>(space.available) / kGB),
            "", ""};
  if (::access(there.c_str(), W_OK) != 0) {
    f.problem = "it cannot be written to";
    f.remedy = fmt::format("change its owner, or set {} to another folder", variable);
  } else if (!ec && space.available < size_t{1} << 30) {
    f.problem = "less than 1 GB of disk is free";
    f.remedy = fmt::format("make room, or set {} to another disk", variable);
  }
  return f;
}

Finding offline_finding() {
  Finding f{
      "hub",
      environment("HF_ENDPOINT").empty() ? "https://huggingface.co" : environment("HF_ENDPOINT"),
      "", ""};
  if (!environment("HF_HUB_OFFLINE").empty())
    f.value += ", HF_HUB_OFFLINE=" + environment("HF_HUB_OFFLINE");
  return f;
}

}  // namespace

std::vector<Finding> examine(const std::string& version, const fs::path& hub_cache) {
  std::vector<Finding> out{{"gavel", version, "", ""},
                           {"instruction sets", instruction_sets(), "", ""},
                           kernels_finding(),
                           threads_finding(),
                           mlx_finding(),
                           blas_finding(),
                           driver_finding()};
  if (const auto nvidia = nvidia_finding()) out.push_back(*nvidia);
  for (const auto& device : list_devices()) out.push_back(device_finding(device));
  std::error_code ec;
  Finding here = folder_finding("working folder", fs::current_path(ec), "the working folder");
  if (!here.problem.empty()) here.remedy = "work in another folder";
  out.push_back(here);
  out.push_back(folder_finding("cache", cache_directory(), "GAVEL_CACHE_DIR"));
  out.push_back(folder_finding("models of the hub", hub_cache, "HF_HOME"));
  out.push_back(offline_finding());
  return out;
}

size_t count_wrong(const std::vector<Finding>& findings) {
  size_t wrong = 0;
  for (const auto& f : findings) wrong += f.problem.empty() ? 0 : 1;
  return wrong;
}

std::string findings_text(const std::vector<Finding>& findings) {
  std::string out;
  for (const auto& f : findings) {
    out += fmt::format("{} {:18} {}\n", f.problem.empty() ? " " : "!", f.name, f.value);
    if (!f.problem.empty()) out += fmt::format("    {}: {}\n", f.problem, f.remedy);
  }
  return out;
}

std::string findings_json(const std::vector<Finding>& findings) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& f : findings) {
    nlohmann::ordered_json entry{{"name", f.name}, {"value", f.value}};
    if (!f.problem.empty()) {
      entry["problem"] = f.problem;
      entry["remedy"] = f.remedy;
    }
    list.push_back(entry);
  }
  return nlohmann::ordered_json{{"findings", list}, {"wrong", count_wrong(findings)}}.dump(
             2, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

}  // namespace gavel
