// Keys and values of a sequence, layer by layer, and attention over them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ops/ops.h"

namespace gavel {

// The cache of one sequence. A shared prefix, where there is one, belongs to another cache, which
// is not written any more; rows of this one follow it.
class KvCache {
 public:
  // width: num_key_value_heads * head_dim. `type`: what the CPU's kernels keep, f32 or f16. The
  // prefix's first prefix_length rows are used; it must be of the same type.
  KvCache(size_t layers, int width, kernels::ScalarType type,
          std::shared_ptr<const KvCache> prefix = nullptr, int64_t prefix_length = 0);

  // A cache of its own with the first `rows` rows of `other`, which may have a prefix.
  static std::shared_ptr<KvCache> copy_of(const KvCache& other, int64_t rows);

  int64_t length() const { return prefix_length_ + own_length_; }  // rows, the prefix included
  int64_t prefix_length() const { return prefix_length_; }
  // Makes room for `rows` more, to be written by the next forward pass, and counts them as there.
  void extend(int64_t rows);
  // Forgets rows from `length` on (not into the prefix).
  void truncate(int64_t length);
  size_t bytes() const;

 private:
  friend mx::array cached_attention(const mx::array&, const mx::array&, const mx::array&,
                                    const std::vector<std::shared_ptr<KvCache>>&,
                                    const SegmentsPtr&, size_t, int);
  friend void cached_attention(const float*, const float*, const float*,
                               std::span<const std::shared_ptr<KvCache>>, std::span<const int32_t>,
                               size_t, int64_t, int64_t, float*);
  struct Layer {
    std::vector<uint8_t> k, v;  // [capacity, width] of `type_`: the CPU kernels'
    Arrays composed;            // {k, v}: other devices'
  };
  size_t row_bytes() const {
    return static_cast<size_t>(width_) * (type_ == kernels::ScalarType::f16 ? 2 : 4);
  }
  int width_;
  kernels::ScalarType type_;
  std::shared_ptr<const KvCache> prefix_;
  int64_t prefix_length_;
  int64_t own_length_ = 0;
  int64_t capacity_ = 0;
  std::vector<Layer> layers_;
};

// Attention of new rows over the caches: segment s of the packed q, k, v [T, heads * d] are the
// newest rows of caches[s], which were extended for them and into which k and v are written.
// Must be evaluated before the caches change again. Not differentiable.
mx::array cached_attention(const mx::array& q, const mx::array& k, const mx::array& v,
                           const std::vector<std::shared_ptr<KvCache>>& caches,
                           const SegmentsPtr& segments, size_t layer, int head_dim);
// The same on plain memory, with the CPU's kernels: out [T, heads * head_dim].
void cached_attention(const float* q, const float* k, const float* v,
                      std::span<const std::shared_ptr<KvCache>> caches,
                      std::span<const int32_t> starts, size_t layer, int64_t heads,
                      int64_t head_dim, float* out);

}  // namespace gavel
