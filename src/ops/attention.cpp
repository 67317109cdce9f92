// Causal grouped-query attention over packed sequences.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/fused.h"
#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {

mx::array cpu::attention(const Backend&, const mx::array& q, const mx::array& k, const mx::array& v,
                         const SegmentsPtr& segments, int head_dim) {
  const int64_t heads = q.shape(1) / head_dim, kv_heads = k.shape(1) / head_dim;
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  auto forward = [=](const Arrays& in, Arrays& out) {
    kernels::attention_forward(in[0].data<float>(), in[1].data<float>(), in[2].data<float>(),
                               {segments->starts, segments->parents}, heads, kv_heads, head_dim,
                               scale, out[0].data<float>(), out[1].data<float>());
  };
  auto backward = [=](const Arrays& in, Arrays& out) {
    kernels::attention_backward(in[0].data<float>(), in[1].data<float>(), in[2].data<float>(),
                                in[3].data<float>(), in[4].data<float>(), in[5].data<float>(),
                                {segments->starts, segments->parents}, heads, kv_heads, head_dim,
                                scale, out[0].data<float>(), out[1].data<float>(),
                                out[2].data<float>());
  };
  auto vjp = [backward](const Arrays& in, const Arrays& cotangents, const std::vector<int>& argnums,
                        const Arrays& outputs) {
    auto grads = fused({.name = "AttentionBackward", .cpu = backward, .vjp = nullptr},
                       {in[0], in[1], in[2], outputs[0], outputs[1], cotangents[0]},
                       {in[0].shape(), in[1].shape(), in[2].shape()},
                       {mx::float32, mx::float32, mx::float32});
    Arrays result;
    for (int n : argnums) result.push_back(grads[static_cast<size_t>(n)]);
    return result;
  };
  return fused({.name = "Attention", .cpu = forward, .vjp = vjp}, {q, k, v},
               {q.shape(), {q.shape(0), static_cast<int>(heads)}}, {mx::float32, mx::float32})[0];
}

mx::array composed::attention(const Backend&, const mx::array& q, const mx::array& k,
                              const mx::array& v, const SegmentsPtr& packed, int head_dim) {
  const Segments& segments = *packed;
  const int rows = q.shape(0);
  std::vector<float> mask(static_cast<size_t>(rows) * static_cast<size_t>(rows), -INFINITY);
  for (size_t s = 0; s + 1 < segments.starts.size(); ++s)
    for (int i = segments.starts[s]; i < segments.starts[s + 1]; ++i) {
      float* row = mask.data() + static_cast<size_t>(i) * static_cast<size_t>(rows);
      std::fill(row + segments.starts[s], row + i + 1, 0.0f);
      if (segments.parents.empty()) continue;
      for (int p = segments.parents[s]; p >= 0; p = segments.parents[static_cast<size_t>(p)])
        std::fill(row + segments.starts[static_cast<size_t>(p)],
                  row + segments.starts[static_cast<size_t>(p) + 1], 0.0f);
    }
  const auto split = [&](const mx::array& x) {
    return mx::transpose(mx::reshape(x, {1, rows, -1, head_dim}), {0, 2, 1, 3});
  };
  const auto out = mx::fast::scaled_dot_product_attention(
      split(q), split(k), split(v), 1.0f / std::sqrt(static_cast<float>(head_dim)), "",
      mx::astype(mx::array(mask.begin(), {1, 1, rows, rows}), q.dtype()));
  return mx::reshape(mx::transpose(out, {0, 2, 1, 3}), q.shape());
}

mx::array attention(const Backend& backend, const mx::array& q, const mx::array& k,
                    const mx::array& v, const SegmentsPtr& segments, int head_dim) {
  if (q.shape(0) != segments->rows() || k.shape(0) != segments->rows())
    fail("[attention] {} rows but segments of {}", q.shape(0), segments->rows());
  return backend.operations->attention(backend, q, k, v, segments, head_dim);
}

}  // namespace gavel
