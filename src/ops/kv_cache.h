// Keys and values of a sequence, layer by layer, and attention over them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ops/backend.h"

namespace gavel {

// Where a cache keeps its rows: one for each kind of backend.
class KvStorage {
 public:
  virtual ~KvStorage() = default;
  // An empty one of the same kind and sizes.
  virtual std::unique_ptr<KvStorage> make_empty() const = 0;
  // What memory rows will take may be had at once.
  virtual void reserve(int64_t) {}
  // Makes room for `rows` more after the first `length`, to be written by the next forward pass.
  virtual void extend(int64_t length, int64_t rows) = 0;
  // Appends rows [0, count) of `from`, which is of the same kind, after the `at` rows here.
  virtual void append(const KvStorage& from, int64_t count, int64_t at) = 0;
  virtual void truncate(int64_t rows) = 0;
  virtual size_t bytes() const = 0;
};

// The cache of one sequence. A shared prefix, where there is one, belongs to another cache, which
// is not written any more; rows of this one follow it.
class KvCache {
 public:
  // Rows of `width` = num_key_value_heads * head_dim. On the CPU's memory they are float32, or
  // binary16 where the backend's products are rounded to 8 bits. The prefix's first prefix_length
  // rows are used; it must be of the same backend.
  KvCache(const Backend& backend, size_t layers, int width,
          std::shared_ptr<const KvCache> prefix = nullptr, int64_t prefix_length = 0);
  // The same over a storage that is empty.
  explicit KvCache(std::unique_ptr<KvStorage> storage,
                   std::shared_ptr<const KvCache> prefix = nullptr, int64_t prefix_length = 0);

  // A cache of its own with the first `rows` rows of `other`, which may have a prefix.
  static std::shared_ptr<KvCache> copy_of(const KvCache& other, int64_t rows);

  int64_t length() const { return prefix_length_ + own_length_; }  // rows, the prefix included
  int64_t prefix_length() const { return prefix_length_; }
  int64_t own_length() const { return own_length_; }
  const KvCache* prefix() const { return prefix_.get(); }
  // Makes room for `rows` more, to be written by the next forward pass, and counts them as there.
  void extend(int64_t rows);
  // Forgets rows from `length` on (not into the prefix).
  void truncate(int64_t length);
  size_t bytes() const { return storage_->bytes(); }

  KvStorage& storage() { return *storage_; }
  const KvStorage& storage() const { return *storage_; }

 private:
  std::unique_ptr<KvStorage> storage_;
  std::shared_ptr<const KvCache> prefix_;
  int64_t prefix_length_ = 0, own_length_ = 0;
};
using KvCaches = std::span<const std::shared_ptr<KvCache>>;

// Attention of new rows over the caches: segment s of the packed q, k, v [T, heads * d] are the
// newest rows of caches[s], which were extended for them and into which k and v are written.
// Must be evaluated before the caches change again. Not differentiable.
mx::array cached_attention(const mx::array& q, const mx::array& k, const mx::array& v,
                           KvCaches caches, const Segments& segments, size_t layer, int head_dim);
// The same on plain memory, with the CPU's kernels: out [T, heads * head_dim].
void cached_attention(const float* q, const float* k, const float* v, KvCaches caches,
                      std::span<const int32_t> starts, size_t layer, int64_t heads,
                      int64_t head_dim, float* out);

}  // namespace gavel
