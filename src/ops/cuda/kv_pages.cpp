#include "ops/cuda/kv_pages.h"

#include <algorithm>

#include "base/error.h"
#include "ops/cuda/queue.h"

namespace gavel::cuda {

std::shared_ptr<const uint64_t> PagePool::take() {
  if (free_.empty()) {
    const int64_t count = std::clamp<int64_t>(pages_ / 2, 32, 256);
    const size_t page = static_cast<size_t>(sizes_.page());
    const size_t bytes = static_cast<size_t>(count) * page;
    uint64_t base = 0;
    if (allocate_) {
      base = allocate_(bytes);
    } else {
      slabs_.push_back(device_memory(bytes));
      base = reinterpret_cast<uint64_t>(address(slabs_.back()));
    }
    for (int64_t i = count; i-- > 0;) free_.push_back(base + static_cast<size_t>(i) * page);
    pages_ += count;
  }
  const uint64_t page = free_.back();
  free_.pop_back();
  return {new uint64_t(page), [pool = shared_from_this()](const uint64_t* p) {
            pool->free_.push_back(*p);
            delete p;
          }};
}

std::unique_ptr<KvStorage> PagedStorage::make_empty() const {
  return std::make_unique<PagedStorage>(pool_);
}

void PagedStorage::extend(int64_t, int64_t rows) {
  while (rows > 0) {
    // Others that share the last page see no more of its rows than there were when they came; but
    // they may write to it themselves.
    if (entries_.empty() || entries_.back().rows == kPageRows ||
        entries_.back().page.use_count() > 1)
      entries_.push_back({pool_->take(), 0});
    const auto here = std::min<int64_t>(rows, kPageRows - entries_.back().rows);
    entries_.back().rows += static_cast<int32_t>(here);
    rows -= here;
  }
}

void PagedStorage::append(const KvStorage& from, int64_t count, int64_t) {
  for (const Entry& entry : dynamic_cast<const PagedStorage&>(from).entries_) {
    if (count <= 0) return;
    entries_.push_back({entry.page, static_cast<int32_t>(std::min<int64_t>(count, entry.rows))});
    count -= entry.rows;
  }
}

void PagedStorage::truncate(int64_t rows) {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (rows <= 0) return entries_.resize(i);
    entries_[i].rows = static_cast<int32_t>(std::min<int64_t>(rows, entries_[i].rows));
    rows -= entries_[i].rows;
  }
}

size_t PagedStorage::bytes() const {
  return entries_.size() * static_cast<size_t>(pool_->sizes().page());
}

namespace {

// The entries of a cache with the positions of their first rows, its prefix's included.
void list_entries(const KvCache& cache, std::vector<PageEntry>& to) {
  int32_t at = 0;
  const auto add = [&](const KvStorage& storage, int64_t rows) {
    for (const auto& entry : dynamic_cast<const PagedStorage&>(storage).entries()) {
      if (rows <= 0) break;
      const auto count = static_cast<int32_t>(std::min<int64_t>(rows, entry.rows));
      to.push_back({*entry.page, at, count});
      at += count;
      rows -= count;
    }
  };
  if (cache.prefix() != nullptr) add(cache.prefix()->storage(), cache.prefix_length());
  add(cache.storage(), cache.own_length());
}

// Tiles of 64 of a sequence's rows, each with the entries up to its last row.
void add_tiles(PageTables& t, PageTask whole) {
  for (int32_t done = 0; done < whole.rows; done += kPageRows) {
    PageTask tile = whole;
    tile.row += done;
    tile.place += done;
    tile.rows = std::min(kPageRows, whole.rows - done);
    const int32_t last = tile.place + tile.rows - 1;
    while (tile.end > tile.begin + 1 && t.entries[static_cast<size_t>(tile.end) - 1].first > last)
      --tile.end;
    t.many.push_back(tile);
  }
}

void add_splits(PageTables& t, const PageTask& whole, int32_t pages) {
  constexpr int32_t kMostSplits = 128;  // that the kernel adds up
  const int32_t count = whole.end - whole.begin;
  pages = std::max(pages, (count + kMostSplits - 1) / kMostSplits);
  PageTask part = whole;
  part.splits = (count + pages - 1) / pages;
  part.slot = t.slots;
  for (part.split = 0; part.split < part.splits; ++part.split) {
    part.begin = whole.begin + part.split * pages;
    part.end = std::min(part.begin + pages, whole.end);
    t.few.push_back(part);
  }
  t.slots += part.splits;
}

}  // namespace

PageTables page_tables(KvCaches caches, const std::vector<int32_t>& starts, int group,
                       int64_t kv_heads, int64_t head_dim) {
  PageTables t;
  std::vector<PageTask> few;
  int64_t pages = 0;
  for (size_t s = 0; s < caches.size(); ++s) {
    const KvCache& cache = *caches[s];
    PageTask task{.row = starts[s], .rows = starts[s + 1] - starts[s], .splits = 1};
    if (task.rows == 0) continue;
    task.place = static_cast<int32_t>(cache.length()) - task.rows;
    task.begin = static_cast<int32_t>(t.entries.size());
    list_entries(cache, t.entries);
    task.end = static_cast<int32_t>(t.entries.size());
    auto e = t.entries.begin() + task.begin;
    for (int32_t i = 0; i < task.rows; ++i) {
      while (e->first + e->count <= task.place + i) ++e;
      t.rows.push_back(e->address +
                       static_cast<uint64_t>((task.place + i - e->first) * head_dim * 2));
    }
    if (task.rows * group <= 16) {
      few.push_back(task);
      pages += task.end - task.begin;
    } else {
      add_tiles(t, task);
    }
  }
  // About four blocks for each of a large card's multiprocessors.
  constexpr int64_t kBlocks = 512;
  const auto in_part = static_cast<int32_t>(std::clamp<int64_t>(pages * kv_heads / kBlocks, 1, 16));
  for (const PageTask& task : few) add_splits(t, task, in_part);
  // Those with most to do come first.
  std::stable_sort(t.many.begin(), t.many.end(), [](const PageTask& a, const PageTask& b) {
    return a.end - a.begin > b.end - b.begin;
  });
  return t;
}

}  // namespace gavel::cuda
