// What the operations take beside arrays: weights, LoRA branches, and how sequences lie in a batch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "mlx/mlx.h"
#include "ops/kernels.h"

namespace gavel {

namespace mx = mlx::core;
using Arrays = std::vector<mx::array>;

// Of a quantized weight w [n, k] for products in 8-bit floating point, w = scale * e4m3, float32.
struct Fp8Scales {
  mx::array rows;     // [n]
  mx::array columns;  // [k], of the transpose: one value throughout
};

// One weight matrix [out_features, in_features]: dense (f32, f16, bf16), or MLX-affine quantized:
// w = scale * q + bias, with q packed little-endian into uint32, `bits` bits each, and one scale
// and bias for each `group_size` consecutive weights of a row.
struct Weight {
  mx::array data;                   // dense [n, k], or packed uint32 [n, k * bits / 32]
  std::optional<mx::array> scales;  // [n, k / group_size], f32, f16 or bf16
  std::optional<mx::array> biases;  // same
  int group_size = 0;               // 0: dense
  int bits = 0;
  std::optional<Fp8Scales> fp8;  // such products are wanted (with_fp8 of ops/device.h)
  bool quantized() const { return scales.has_value(); }
  int out_features() const { return data.shape(0); }
  int in_features() const {
    return quantized() ? static_cast<int>(int64_t{data.shape(1)} * 32 / bits) : data.shape(1);
  }
};

// The view of an evaluated weight that the kernels take. The weight must outlive it.
kernels::WeightView view(const Weight& w);
// The whole matrix as float32 [n, k].
mx::array dequantize(const Weight& w);

// The low-rank branch of a linear layer: y += scale * (x a) b.
struct LoraBranch {
  mx::array a;  // [in_features, r]
  mx::array b;  // [r, out_features]
  float scale = 1.0f;
  float dropout = 0.0f;          // probability that an input of the branch is dropped
  std::optional<mx::array> key;  // random key of this call; needed where dropout > 0
};

// What the kernels of a card read of the segments (ops/cuda/attention_plan.h), int32.
struct SegmentArrays {
  mx::array positions;  // [T, 1]
  mx::array query_tiles, query_ranges, key_tiles, key_ranges;
};

// How packed sequences lie in a batch: segment s is rows [starts[s], starts[s + 1]).
struct Segments {
  std::vector<int32_t> starts;     // segments + 1 values, first 0, last the number of rows
  std::vector<int32_t> parents;    // as kernels::Packing has them
  std::vector<int32_t> positions;  // position of each row within its sequence
  std::shared_ptr<const SegmentArrays> arrays;  // see prepare() of ops/ops.h
  int64_t rows() const { return starts.empty() ? 0 : starts.back(); }
};
using SegmentsPtr = std::shared_ptr<const Segments>;
// Segments of these lengths, positions counted from 0, or from where the parent ends.
SegmentsPtr make_segments(const std::vector<int32_t>& lengths, std::vector<int32_t> parents = {});

// One of the linear layers that read the same input.
struct LinearBranch {
  Weight weight;
  std::optional<mx::array> bias;  // [n], float32
  std::optional<LoraBranch> lora;
};

}  // namespace gavel
