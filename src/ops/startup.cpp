#include "ops/startup.h"

#include <dlfcn.h>

#include <cstring>

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "mlx/mlx.h"
#include "ops/device.h"

#ifndef __APPLE__
extern "C" void openblas_set_num_threads(int);
#endif

namespace gavel {
namespace mx = mlx::core;

void start_up() {
  prepare_heap();
  if (!gpu_available()) mx::set_cache_limit(0);  // the heap keeps what is freed
  mx::set_default_device(mx::Device::cpu);       // make_backend() chooses another
#ifndef __APPLE__
  openblas_set_num_threads(num_threads());
  // libmlx binds cblas_sgemm to the first library in the search order that has it.
  Dl_info found{};
  void* symbol = dlsym(RTLD_DEFAULT, "cblas_sgemm");
  if (symbol == nullptr || dladdr(symbol, &found) == 0 || found.dli_fname == nullptr ||
      std::strstr(found.dli_fname, "openblas") == nullptr)
    fail(
        "libmlx would use {} for its matrix products, about 100 times slower than OpenBLAS; this "
        "program must be linked with OpenBLAS before libmlx",
        found.dli_fname != nullptr ? found.dli_fname : "no BLAS");
#endif
}

}  // namespace gavel
