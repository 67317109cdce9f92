// Functions of NVIDIA's libraries and MLX's, which are found when the program runs.
#pragma once

#include <dlfcn.h>

#include "base/error.h"

namespace gavel::cuda {

// Sets `function`; throws Error where the library, which the sentence calls `where`, has none.
template <typename F>
void find_function(void* library, const char* where, F& function, const char* name) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) fail("{} has no {}", where, name);
  function = reinterpret_cast<F>(symbol);
}

}  // namespace gavel::cuda
