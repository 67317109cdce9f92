#include "ops/startup.h"

#include "base/memory.h"
#include "mlx/mlx.h"
#include "ops/blas.h"
#include "ops/device.h"

namespace gavel {
namespace mx = mlx::core;

void start_up() {
  prepare_heap();
  if (!gpu_available()) mx::set_cache_limit(0);  // the heap keeps what is freed
  mx::set_default_device(mx::Device::cpu);       // make_backend() chooses another
  prepare_blas();
}

}  // namespace gavel
