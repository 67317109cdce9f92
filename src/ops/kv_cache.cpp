#include "ops/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace gavel {
namespace {

// Plain memory, for the CPU's kernels.
struct HostStorage final : KvStorage {
  struct Layer {
    std::vector<uint8_t> k, v;  // [capacity, width] of `type`
  };
  int width;
  kernels::ScalarType type;
  std::vector<Layer> layers;
  int64_t capacity = 0;

  HostStorage(size_t count, int row_width, kernels::ScalarType row_type)
      : width(row_width), type(row_type), layers(count) {}

  size_t row_bytes() const {
    return static_cast<size_t>(width) * (type == kernels::ScalarType::f16 ? 2 : 4);
  }
  std::unique_ptr<KvStorage> make_empty() const override {
    return std::make_unique<HostStorage>(layers.size(), width, type);
  }
  void extend(int64_t length, int64_t rows) override {
    if (length + rows > capacity) reserve(std::max(length + rows, capacity + capacity / 2 + 32));
  }
  void reserve(int64_t rows) override {
    capacity = rows;
    for (auto& layer : layers)
      for (auto* rows_of : {&layer.k, &layer.v})
        rows_of->resize(static_cast<size_t>(rows) * row_bytes());
  }
  void append(const KvStorage& other, int64_t count, int64_t at) override {
    if (count == 0) return;
    extend(at, count);
    const auto& from = dynamic_cast<const HostStorage&>(other);
    const auto copy = [&](const std::vector<uint8_t>& source, std::vector<uint8_t>& target) {
      std::memcpy(target.data() + static_cast<size_t>(at) * row_bytes(), source.data(),
                  static_cast<size_t>(count) * row_bytes());
    };
    for (size_t l = 0; l < layers.size(); ++l) {
      copy(from.layers[l].k, layers[l].k);
      copy(from.layers[l].v, layers[l].v);
    }
  }
  void truncate(int64_t) override {}
  size_t bytes() const override {
    return layers.empty() ? 0 : layers.size() * 2 * layers[0].k.size();
  }
};

// MLX's arrays, for the other devices.
struct ArrayStorage final : KvStorage {
  std::vector<Arrays> layers;  // {k, v} [rows, width], or nothing yet

  explicit ArrayStorage(size_t count) : layers(count) {}

  std::unique_ptr<KvStorage> make_empty() const override {
    return std::make_unique<ArrayStorage>(layers.size());
  }
  void extend(int64_t, int64_t) override {}
  static mx::array first(const mx::array& a, int64_t rows) {
    return mx::slice(a, {0, 0}, {static_cast<int>(rows), a.shape(1)});
  }
  void append(const KvStorage& other, int64_t count, int64_t) override {
    if (count == 0) return;
    const auto& from = dynamic_cast<const ArrayStorage&>(other);
    for (size_t l = 0; l < layers.size(); ++l)
      append(l, first(from.layers[l][0], count), first(from.layers[l][1], count));
  }
  void append(size_t layer, const mx::array& k, const mx::array& v) {
    auto& own = layers[layer];
    own = own.empty() ? Arrays{k, v}
                      : Arrays{mx::concatenate({own[0], k}, 0), mx::concatenate({own[1], v}, 0)};
  }
  void truncate(int64_t rows) override {
    for (auto& layer : layers)
      for (auto& a : layer) a = first(a, rows);
  }
  size_t bytes() const override {
    size_t sum = 0;
    for (const auto& layer : layers)
      for (const auto& a : layer) sum += a.nbytes();
    return sum;
  }
};

std::unique_ptr<KvStorage> make_storage(const Backend& backend, size_t layers, int width) {
  if (!on_cpu_memory(backend)) return std::make_unique<ArrayStorage>(layers);
  const bool halves = backend.precision == kernels::Precision::int8;
  return std::make_unique<HostStorage>(
      layers, width, halves ? kernels::ScalarType::f16 : kernels::ScalarType::f32);
}

}  // namespace

KvCache::KvCache(const Backend& backend, size_t layers, int width,
                 std::shared_ptr<const KvCache> prefix, int64_t prefix_length)
    : KvCache(make_storage(backend, layers, width), std::move(prefix), prefix_length) {}

KvCache::KvCache(std::unique_ptr<KvStorage> storage, std::shared_ptr<const KvCache> prefix,
                 int64_t prefix_length)
    : storage_(std::move(storage)),
      prefix_(std::move(prefix)),
      prefix_length_(prefix_ ? prefix_length : 0) {
  if (prefix_ && prefix_->prefix_length_ != 0) fail("a prefix cannot have a prefix itself");
  if (prefix_ && prefix_length_ > prefix_->own_length_)
    fail("a prefix of {} rows is asked of a cache of {}", prefix_length_, prefix_->own_length_);
}

std::shared_ptr<KvCache> KvCache::copy_of(const KvCache& other, int64_t rows) {
  if (rows > other.length()) fail("a cache of {} rows has no {} to copy", other.length(), rows);
  std::shared_ptr<KvCache> copy(new KvCache(other.storage_->make_empty()));
  copy->storage_->reserve(rows);
  copy->own_length_ = rows;
  const int64_t from_prefix = std::min(rows, other.prefix_length_);
  if (from_prefix > 0) copy->storage_->append(*other.prefix_->storage_, from_prefix, 0);
  copy->storage_->append(*other.storage_, rows - from_prefix, from_prefix);
  return copy;
}

void KvCache::extend(int64_t rows) {
  storage_->extend(own_length_, rows);
  own_length_ += rows;
}

void KvCache::truncate(int64_t length) {
  if (length < prefix_length_ || length > this->length())
    fail("a cache of {} rows cannot be cut to {}", this->length(), length);
  own_length_ = length - prefix_length_;
  storage_->truncate(own_length_);
}

namespace {

mx::array attend_composed(const mx::array& q, const Arrays& keys, const Arrays& values,
                          int head_dim) {
  const auto heads = [&](const mx::array& x) {
    return mx::transpose(mx::reshape(x, {1, x.shape(0), -1, head_dim}), {0, 2, 1, 3});
  };
  const auto out = mx::fast::scaled_dot_product_attention(
      heads(q), heads(mx::concatenate(keys, 0)), heads(mx::concatenate(values, 0)),
      1.0f / std::sqrt(static_cast<float>(head_dim)), "causal");
  return mx::reshape(mx::transpose(out, {0, 2, 1, 3}), q.shape());
}

}  // namespace

mx::array cached_attention(const mx::array& q, const mx::array& k, const mx::array& v,
                           KvCaches caches, const Segments& segments, size_t layer, int head_dim) {
  const auto& starts = segments.starts;
  if (caches.size() + 1 != starts.size() || q.shape(0) != segments.rows())
    fail("[cached_attention] {} caches for {} segments", caches.size(), starts.size() - 1);
  Arrays parts;
  for (size_t s = 0; s < caches.size(); ++s) {
    const KvCache& c = *caches[s];
    const auto rows = [&](const mx::array& x) {
      return mx::slice(x, {starts[s], 0}, {starts[s + 1], x.shape(1)});
    };
    auto& storage = dynamic_cast<ArrayStorage&>(caches[s]->storage());
    storage.append(layer, rows(k), rows(v));
    const Arrays& own = storage.layers[layer];
    Arrays keys, values;
    if (c.prefix_length() > 0) {
      const auto& shared = dynamic_cast<const ArrayStorage&>(c.prefix()->storage()).layers[layer];
      keys.push_back(ArrayStorage::first(shared[0], c.prefix_length()));
      values.push_back(ArrayStorage::first(shared[1], c.prefix_length()));
    }
    keys.push_back(own[0]);
    values.push_back(own[1]);
    parts.push_back(attend_composed(rows(q), keys, values, head_dim));
  }
  return mx::concatenate(parts, 0);
}

void cached_attention(const float* q, const float* k, const float* v, KvCaches caches,
                      std::span<const int32_t> starts, size_t layer, int64_t heads,
                      int64_t head_dim, float* out) {
  if (caches.empty()) return;
  static thread_local std::vector<kernels::CachedSequence> sequences;
  sequences.clear();
  int width = 0;
  for (size_t s = 0; s < caches.size(); ++s) {
    const KvCache& c = *caches[s];
    auto& storage = dynamic_cast<HostStorage&>(caches[s]->storage());
    auto& own = storage.layers[layer];
    width = storage.width;
    const int64_t rows = starts[s + 1] - starts[s];
    const size_t at = static_cast<size_t>(c.own_length() - rows) * storage.row_bytes();
    const int64_t from = int64_t{starts[s]} * width, count = rows * width;
    for (const auto& [numbers, to] :
         {std::pair(k + from, own.k.data() + at), std::pair(v + from, own.v.data() + at)}) {
      if (storage.type == kernels::ScalarType::f16)
        kernels::to_halves(numbers, count, reinterpret_cast<uint16_t*>(to));
      else
        std::memcpy(to, numbers, static_cast<size_t>(count) * sizeof(float));
    }
    kernels::CachedSequence sequence{.own_k = own.k.data(),
                                     .own_v = own.v.data(),
                                     .own_len = c.own_length(),
                                     .type = storage.type};
    if (c.prefix_length() > 0) {
      const auto& shared = dynamic_cast<const HostStorage&>(c.prefix()->storage()).layers[layer];
      sequence.prefix_k = shared.k.data();
      sequence.prefix_v = shared.v.data();
      sequence.prefix_len = c.prefix_length();
    }
    sequences.push_back(sequence);
  }
  kernels::attention_cached(q, starts, sequences, heads, width / head_dim, head_dim,
                            1.0f / std::sqrt(static_cast<float>(head_dim)), out);
}

}  // namespace gavel
