#include "ops/cuda/attention_plan.h"

#include <algorithm>
#include <numeric>

namespace gavel::cuda {
namespace {

struct Range {
  int32_t begin, end;
};

// Joins ranges that touch.
void add(std::vector<Range>& ranges, Range range) {
  if (range.begin == range.end) return;
  if (!ranges.empty() && ranges.back().end == range.begin)
    ranges.back().end = range.end;
  else
    ranges.push_back(range);
}

Range rows_of(const Segments& s, size_t segment) {
  return {s.starts[segment], s.starts[segment + 1]};
}

int32_t parent_of(const Segments& s, size_t segment) {
  return s.parents.empty() ? -1 : s.parents[segment];
}

struct Tile {
  int32_t first, rows;
  std::vector<Range> ranges;
  int64_t work() const {
    int64_t sum = 0;
    for (const Range& r : ranges) sum += (r.end - r.begin + kAttentionTile - 1) / kAttentionTile;
    return sum;
  }
};

AttentionTiles flatten(std::vector<Tile> tiles) {
  std::stable_sort(tiles.begin(), tiles.end(),
                   [](const Tile& a, const Tile& b) { return a.work() > b.work(); });
  AttentionTiles flat;
  for (const Tile& t : tiles) {
    const auto begin = static_cast<int32_t>(flat.ranges.size() / 2);
    for (const Range& r : t.ranges) flat.ranges.insert(flat.ranges.end(), {r.begin, r.end});
    flat.tiles.insert(flat.tiles.end(),
                      {t.first, t.rows, begin, static_cast<int32_t>(flat.ranges.size() / 2)});
  }
  return flat;
}

// Calls f(first, rows) for the tiles of a segment.
template <typename F>
void for_tiles(Range segment, F&& f) {
  for (int32_t first = segment.begin; first < segment.end; first += kAttentionTile)
    f(first, std::min(kAttentionTile, segment.end - first));
}

}  // namespace

AttentionTiles query_tiles(const Segments& s) {
  std::vector<Tile> tiles;
  for (size_t segment = 0; segment + 1 < s.starts.size(); ++segment) {
    std::vector<int32_t> chain;
    for (int32_t p = parent_of(s, segment); p >= 0; p = parent_of(s, static_cast<size_t>(p)))
      chain.push_back(p);
    std::vector<Range> seen;
    for (auto p = chain.rbegin(); p != chain.rend(); ++p)
      add(seen, rows_of(s, static_cast<size_t>(*p)));
    const Range own = rows_of(s, segment);
    for_tiles(own, [&](int32_t first, int32_t rows) {
      Tile tile{first, rows, seen};
      add(tile.ranges, {own.begin, first + rows});
      tiles.push_back(std::move(tile));
    });
  }
  return flatten(std::move(tiles));
}

AttentionTiles key_tiles(const Segments& s) {
  const size_t count = s.starts.empty() ? 0 : s.starts.size() - 1;
  // The segments below each one, in the order of their rows.
  std::vector<std::vector<int32_t>> below(count);
  for (size_t segment = 0; segment < count; ++segment)
    for (int32_t p = parent_of(s, segment); p >= 0; p = parent_of(s, static_cast<size_t>(p)))
      below[static_cast<size_t>(p)].push_back(static_cast<int32_t>(segment));
  std::vector<Tile> tiles;
  for (size_t segment = 0; segment < count; ++segment) {
    const Range own = rows_of(s, segment);
    for_tiles(own, [&](int32_t first, int32_t rows) {
      Tile tile{first, rows, {}};
      add(tile.ranges, {first, own.end});
      for (const int32_t b : below[segment]) add(tile.ranges, rows_of(s, static_cast<size_t>(b)));
      tiles.push_back(std::move(tile));
    });
  }
  return flatten(std::move(tiles));
}

}  // namespace gavel::cuda
