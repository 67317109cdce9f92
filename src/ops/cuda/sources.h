// The text of the kernels' sources, embedded by cmake/embed.cmake.
#pragma once

#include <string_view>

namespace gavel::cuda {

extern const std::string_view kCommon, kTiles, kAttention, kCrossEntropy, kDequantize, kElementwise,
    kFp8, kInference, kPagedAttention, kProducts, kRows, kWideProducts;

}  // namespace gavel::cuda
