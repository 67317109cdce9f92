// The program `gavel`: takes the first libmlx of its search path that can be loaded here (a CUDA
// one needs NVIDIA's driver, and the dynamic linker would end the program without it), then
// libgavel, which is the rest of the program and finds MLX's symbols there. OpenBLAS is linked to
// this program, so libmlx finds its cblas_* functions before those of the BLAS that it carries.
#include "launcher/loaded.h"

#ifdef __APPLE__
int main(int argc, char** argv) {
  const GavelLibrary library{"", "", ""};
  return gavel_main(argc, argv, &library);
}
#else
#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

namespace {

// The program's RPATH, LD_LIBRARY_PATH and the system's folders, in the dynamic linker's order.
std::vector<std::string> search_path() {
  void* self = dlopen(nullptr, RTLD_LAZY);
  Dl_serinfo size{};
  if (self == nullptr || dlinfo(self, RTLD_DI_SERINFOSIZE, &size) != 0) return {};
  std::vector<char> memory(size.dls_size);
  auto* list = reinterpret_cast<Dl_serinfo*>(memory.data());
  if (dlinfo(self, RTLD_DI_SERINFOSIZE, list) != 0 || dlinfo(self, RTLD_DI_SERINFO, list) != 0)
    return {};
  std::vector<std::string> folders;
  for (unsigned i = 0; i < list->dls_cnt; ++i) folders.emplace_back(list->dls_serpath[i].dls_name);
  return folders;
}

int refuse(const std::string& what) {
  std::fprintf(stderr, "gavel: %s\n", what.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string chosen, skipped, reason;
  for (const auto& folder : search_path()) {
    const std::string path = folder + "/libmlx.so";
    if (access(path.c_str(), R_OK) != 0) continue;
    if (dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL) != nullptr) {
      chosen = path;
      break;
    }
    if (skipped.empty()) {
      skipped = path;
      reason = dlerror();
    }
  }
  if (chosen.empty() && skipped.empty())
    return refuse("MLX's library, libmlx.so, is not there: pip install mlx-cpu==" GAVEL_MLX_VERSION
                  ", or unpack the bundle again");
  if (chosen.empty())
    return refuse(skipped + " cannot be loaded (" + reason +
                  "). Where MLX's CUDA library is installed and NVIDIA's driver is not, take the "
                  "CPU's: pip install --force-reinstall --no-deps mlx-cpu==" GAVEL_MLX_VERSION);
  void* program = dlopen("libgavel.so", RTLD_NOW);
  if (program == nullptr)
    return refuse(std::string("the program's library cannot be loaded beside ") + chosen + " (" +
                  dlerror() + "): it was built for MLX " GAVEL_MLX_VERSION);
  const auto run = reinterpret_cast<decltype(&gavel_main)>(dlsym(program, "gavel_main"));
  if (run == nullptr) return refuse("libgavel.so is another program's: gavel_main is not in it");
  const GavelLibrary library{chosen.c_str(), skipped.c_str(), reason.c_str()};
  return run(argc, argv, &library);
}
#endif
