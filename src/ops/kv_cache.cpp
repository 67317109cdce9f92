#include "ops/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace gavel {

KvCache::KvCache(size_t layers, int width, kernels::ScalarType type,
                 std::shared_ptr<const KvCache> prefix, int64_t prefix_length)
    : width_(width),
      type_(type),
      prefix_(std::move(prefix)),
      prefix_length_(prefix_ ? prefix_length : 0),
      layers_(layers) {
  if (prefix_ && prefix_->prefix_length_ != 0) fail("a prefix cannot have a prefix itself");
  if (prefix_ && prefix_->type_ != type_) fail("a prefix must be of its cache's type");
  if (prefix_ && prefix_length_ > prefix_->own_length_)
    fail("a prefix of {} rows is asked of a cache of {}", prefix_length_, prefix_->own_length_);
}

std::shared_ptr<KvCache> KvCache::copy_of(const KvCache& other, int64_t rows) {
  if (rows > other.length()) fail("a cache of {} rows has no {} to copy", other.length(), rows);
  auto copy = std::make_shared<KvCache>(other.layers_.size(), other.width_, other.type_);
  copy->extend(rows);
  const int64_t from_prefix = std::min(rows, other.prefix_length_);
  const size_t row = other.row_bytes();
  for (size_t l = 0; l < copy->layers_.size(); ++l) {
    const Layer& own = other.layers_[l];
    Layer& to = copy->layers_[l];
    if (!use_cpu_kernels()) {
      for (size_t i = 0; i < 2 && rows > 0; ++i) {
        Arrays parts;
        if (from_prefix > 0) parts.push_back(other.prefix_->layers_[l].composed[i]);
        if (rows > from_prefix) parts.push_back(own.composed[i]);
        to.composed.push_back(
            mx::slice(mx::concatenate(parts, 0), {0, 0}, {static_cast<int>(rows), other.width_}));
      }
      continue;
    }
    const auto copy_rows = [&](const std::vector<uint8_t>& from, std::vector<uint8_t>& into,
                               int64_t at, int64_t count) {
      if (count > 0)
        std::memcpy(into.data() + static_cast<size_t>(at) * row, from.data(),
                    static_cast<size_t>(count) * row);
    };
    if (from_prefix > 0) {
      copy_rows(other.prefix_->layers_[l].k, to.k, 0, from_prefix);
      copy_rows(other.prefix_->layers_[l].v, to.v, 0, from_prefix);
    }
    copy_rows(own.k, to.k, from_prefix, rows - from_prefix);
    copy_rows(own.v, to.v, from_prefix, rows - from_prefix);
  }
  return copy;
}

void KvCache::extend(int64_t rows) {
  own_length_ += rows;
  if (own_length_ <= capacity_) return;
  capacity_ = std::max(own_length_, capacity_ + capacity_ / 2 + 32);
  if (!use_cpu_kernels()) return;
  for (auto& layer : layers_) {
    layer.k.resize(static_cast<size_t>(capacity_) * row_bytes());
    layer.v.resize(static_cast<size_t>(capacity_) * row_bytes());
  }
}

void KvCache::truncate(int64_t length) {
  if (length < prefix_length_ || length > this->length())
    fail("a cache of {} rows cannot be cut to {}", this->length(), length);
  own_length_ = length - prefix_length_;
  for (auto& layer : layers_)
    for (auto& a : layer.composed)
      a = mx::slice(a, {0, 0}, {static_cast<int>(own_length_), width_});
}

size_t KvCache::bytes() const {
  return layers_.size() * 2 * static_cast<size_t>(capacity_) * row_bytes();
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
                           const std::vector<std::shared_ptr<KvCache>>& caches,
                           const SegmentsPtr& segments, size_t layer, int head_dim) {
  const auto& starts = segments->starts;
  if (caches.size() + 1 != starts.size() || q.shape(0) != segments->rows())
    fail("[cached_attention] {} caches for {} segments", caches.size(), starts.size() - 1);
  if (!use_cpu_kernels()) {
    Arrays parts;
    for (size_t s = 0; s < caches.size(); ++s) {
      KvCache& c = *caches[s];
      const auto rows = [&](const mx::array& x) {
        return mx::slice(x, {starts[s], 0}, {starts[s + 1], x.shape(1)});
      };
      auto& own = c.layers_[layer].composed;
      own = own.empty() ? Arrays{rows(k), rows(v)}
                        : Arrays{mx::concatenate({own[0], rows(k)}, 0),
                                 mx::concatenate({own[1], rows(v)}, 0)};
      Arrays keys, values;
      if (c.prefix_length_ > 0) {
        const auto& shared = c.prefix_->layers_[layer].composed;
        const mx::Shape end{static_cast<int>(c.prefix_length_), c.width_};
        keys.push_back(mx::slice(shared[0], {0, 0}, end));
        values.push_back(mx::slice(shared[1], {0, 0}, end));
      }
      keys.push_back(own[0]);
      values.push_back(own[1]);
      parts.push_back(attend_composed(rows(q), keys, values, head_dim));
    }
    return mx::concatenate(parts, 0);
  }
  const int64_t heads = q.shape(1) / head_dim;
  auto kernel = [=](const Arrays& in, Arrays& out) {
    cached_attention(in[0].data<float>(), in[1].data<float>(), in[2].data<float>(), caches, starts,
                     layer, heads, head_dim, out[0].data<float>());
  };
  return fused({.name = "CachedAttention", .cpu = kernel, .vjp = nullptr}, {q, k, v}, q.shape());
}

void cached_attention(const float* q, const float* k, const float* v,
                      std::span<const std::shared_ptr<KvCache>> caches,
                      std::span<const int32_t> starts, size_t layer, int64_t heads,
                      int64_t head_dim, float* out) {
  static thread_local std::vector<kernels::CachedSequence> sequences;
  sequences.clear();
  for (size_t s = 0; s < caches.size(); ++s) {
    KvCache& c = *caches[s];
    auto& own = c.layers_[layer];
    const int64_t rows = starts[s + 1] - starts[s];
    const size_t at = static_cast<size_t>(c.own_length_ - rows) * c.row_bytes();
    const int64_t from = int64_t{starts[s]} * c.width_, count = rows * c.width_;
    for (const auto& [numbers, to] :
         {std::pair(k + from, own.k.data() + at), std::pair(v + from, own.v.data() + at)}) {
      if (c.type_ == kernels::ScalarType::f16)
        kernels::to_halves(numbers, count, reinterpret_cast<uint16_t*>(to));
      else
        std::memcpy(to, numbers, static_cast<size_t>(count) * sizeof(float));
    }
    const bool has_prefix = c.prefix_length_ > 0;
    sequences.push_back({.prefix_k = has_prefix ? c.prefix_->layers_[layer].k.data() : nullptr,
                         .prefix_v = has_prefix ? c.prefix_->layers_[layer].v.data() : nullptr,
                         .prefix_len = c.prefix_length_,
                         .own_k = own.k.data(),
                         .own_v = own.v.data(),
                         .own_len = c.own_length_,
                         .type = c.type_});
  }
  if (caches.empty()) return;
  kernels::attention_cached(q, starts, sequences, heads, caches[0]->width_ / head_dim, head_dim,
                            1.0f / std::sqrt(static_cast<float>(head_dim)), out);
}

}  // namespace gavel
