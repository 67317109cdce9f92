// Which rows see which, as the attention kernels read it: tiles and the ranges that each meets.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/tensors.h"

namespace gavel::cuda {

constexpr int32_t kAttentionTile = 64;

struct AttentionTiles {
  std::vector<int32_t> tiles;   // [n][4]: first row, rows, first range, end of ranges
  std::vector<int32_t> ranges;  // [m][2]: rows [begin, end)
};
// Tiles of queries with the keys that they see, and tiles of keys with the queries that see them;
// those with most to do come first. Within a range only "a key is not after its query" is masked.
AttentionTiles query_tiles(const Segments& segments);
AttentionTiles key_tiles(const Segments& segments);

}  // namespace gavel::cuda
