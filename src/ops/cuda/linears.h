// Frozen weights on a card.
#pragma once

#include "ops/tensors.h"

namespace gavel::cuda {

// The whole matrix [n, k] in bfloat16.
mx::array dequantized(const Weight& weight);

}  // namespace gavel::cuda
