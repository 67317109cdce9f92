// How a batch is run: in parts, each forward and backward. The result is the same but for rounding.
#pragma once

#include <cstdint>

#include "model/transformer.h"

namespace gavel {

struct Passes {
  int64_t micro_batch_tokens = 0;  // of a part, about
  Recompute recompute = Recompute::none;
  int recompute_group = 1;  // layers computed again together, with Recompute::layer
};

inline const char* to_string(Recompute recompute) {
  const char* names[] = {"none", "mlp", "layer"};
  return names[static_cast<int>(recompute)];
}

}  // namespace gavel
