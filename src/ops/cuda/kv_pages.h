// Keys and values on the card, in pages of 64 rows of all layers, which sequences that begin alike
// share: [layers][k, v][kv_heads][64][head_dim] bfloat16. No row is ever copied.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ops/kv_cache.h"

namespace gavel::cuda {

constexpr int32_t kPageRows = 64;

struct PageSizes {
  int64_t layers = 0, kv_heads = 0, head_dim = 0;
  int64_t plane() const { return kv_heads * kPageRows * head_dim * 2; }  // bytes of a layer's keys
  int64_t layer() const { return 2 * plane(); }
  int64_t page() const { return layers * layer(); }
};

// Pages in slabs of the card's memory, taken and given back one at a time.
class PagePool : public std::enable_shared_from_this<PagePool> {
 public:
  // Where slabs of so many bytes come from: the card, or a test's addresses.
  using Allocate = std::function<uint64_t(size_t bytes)>;
  explicit PagePool(const PageSizes& sizes, Allocate allocate = nullptr)
      : sizes_(sizes), allocate_(std::move(allocate)) {}
  const PageSizes& sizes() const { return sizes_; }
  // The address of a page, which goes back to the pool with the last owner.
  std::shared_ptr<const uint64_t> take();

 private:
  PageSizes sizes_;
  Allocate allocate_;
  std::vector<mx::array> slabs_;
  std::vector<uint64_t> free_;
  int64_t pages_ = 0;
};

// A row's place: entries in the order of positions, each the first rows of a page.
class PagedStorage final : public KvStorage {
 public:
  struct Entry {
    std::shared_ptr<const uint64_t> page;
    int32_t rows;
  };
  explicit PagedStorage(std::shared_ptr<PagePool> pool) : pool_(std::move(pool)) {}

  std::unique_ptr<KvStorage> make_empty() const override;
  void extend(int64_t length, int64_t rows) override;
  void append(const KvStorage& from, int64_t count, int64_t at) override;
  void truncate(int64_t rows) override;
  size_t bytes() const override;
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::shared_ptr<PagePool> pool_;
  std::vector<Entry> entries_;
};

// As the kernels read them (ops/cuda/paged_attention.cu).
struct PageEntry {
  uint64_t address;
  int32_t first, count;
};
struct PageTask {
  int32_t row, rows, place, begin, end, split, splits, slot;
};

// Where the new rows of a step go and what they see: the same for all layers.
struct PageTables {
  std::vector<uint64_t> rows;       // where each packed row's keys lie in layer 0, head 0
  std::vector<PageEntry> entries;   // of all sequences
  std::vector<PageTask> few, many;  // for the two kernels
  int32_t slots = 0;                // of the workspace of `few`
};
// The last rows [starts[s], starts[s + 1]) of caches[s] are new. A sequence with at most
// 16 / group of them is one of `few`, its keys split into parts so that the card has enough to do.
PageTables page_tables(KvCaches caches, const std::vector<int32_t>& starts, int group,
                       int64_t kv_heads, int64_t head_dim);

}  // namespace gavel::cuda
