#include "ops/blas.h"

#ifdef __APPLE__

namespace gavel {

void prepare_blas() {}

std::string blas_name() { return "Accelerate"; }

std::string blas_core() { return ""; }

}  // namespace gavel

#else

#include <dlfcn.h>

#include <cstring>

#include "base/error.h"
#include "base/threads.h"

extern "C" void openblas_set_num_threads(int);
extern "C" char* openblas_get_config();
extern "C" char* openblas_get_corename();

namespace gavel {

void prepare_blas() {
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
}

std::string blas_name() { return openblas_get_config(); }

std::string blas_core() { return openblas_get_corename(); }

}  // namespace gavel

#endif
