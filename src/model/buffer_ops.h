// The operations of a decoder layer on plain memory, with the CPU's kernels: no graph is built for
// them, which for one token took longer than the arithmetic.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "model/transformer.h"
#include "ops/kv_cache.h"

namespace gavel {

// Memory of activations that are no longer needed, for those to come.
class BufferPool {
 public:
  std::vector<float> take(int64_t size);
  void give_back(std::vector<float> memory) { free_.push_back(std::move(memory)); }

 private:
  std::vector<std::vector<float>> free_;
};

// Rows of float32 values; the memory goes back to the pool with it.
class Buffer {
 public:
  Buffer(BufferPool& pool, int64_t row_count, int64_t row_width)
      : rows(row_count), width(row_width), pool_(&pool), memory_(pool.take(rows * width)) {}
  Buffer(Buffer&& other) noexcept
      : rows(other.rows),
        width(other.width),
        pool_(std::exchange(other.pool_, nullptr)),
        memory_(std::move(other.memory_)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(rows, other.rows);
    std::swap(width, other.width);
    std::swap(pool_, other.pool_);
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~Buffer() {
    if (pool_ != nullptr) pool_->give_back(std::move(memory_));
  }
  float* data() { return memory_.data(); }
  const float* data() const { return memory_.data(); }

  int64_t rows, width;

 private:
  BufferPool* pool_;
  std::vector<float> memory_;
};

// For one layer; the things pointed to must outlive it.
struct BufferOps {
  using Tensor = Buffer;

  const Model& model;
  size_t index;           // of the layer
  const LayerLora* lora;  // null: none
  const Segments& segments;
  KvCaches caches;
  std::optional<std::span<const int32_t>> wanted;  // nothing: all rows
  BufferPool& pool;

  Buffer rms_norm(const Buffer& x, const mx::array& weight, float eps) const;
  template <size_t N>
  std::array<Buffer, N> normed_linears(const Buffer& x, const mx::array& norm,
                                       const std::array<Projection, N>& projections) const {
    const Buffer h = rms_norm(x, norm, model.config.rms_norm_eps);
    auto out = [&]<size_t... I>(std::index_sequence<I...>) {
      return std::array<Buffer, N>{Buffer(pool, x.rows, out_features(projections[I]))...};
    }
    (std::make_index_sequence<N>());
    std::array<float*, N> to;
    for (size_t i = 0; i < N; ++i) to[i] = out[i].data();
    multiply(h, projections, to, nullptr);
    return out;
  }
  // The residual's memory becomes the result's.
  Buffer linear(const Buffer& x, Projection p, Buffer residual) const;
  Buffer rope(Buffer x) const;
  Buffer attention(const Buffer& q, const Buffer& k, const Buffer& v) const;
  Buffer swiglu_linear(Buffer gate, const Buffer& up, Projection p, Buffer residual) const {
    return linear(swiglu(std::move(gate), up), p, std::move(residual));
  }
  void keep_wanted_rows(Buffer& attended, Buffer& x) const;

 private:
  Buffer swiglu(Buffer gate, const Buffer& up) const;
  int64_t out_features(Projection p) const;
  void multiply(const Buffer& x, std::span<const Projection> projections,
                std::span<float* const> to, const float* residual) const;
};

}  // namespace gavel
