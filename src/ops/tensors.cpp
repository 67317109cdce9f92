#include "ops/tensors.h"

#include <utility>

#include "base/error.h"

namespace gavel {
namespace {

kernels::ScalarType scalar_type(mx::Dtype dtype) {
  if (dtype == mx::float32) return kernels::ScalarType::f32;
  if (dtype == mx::float16) return kernels::ScalarType::f16;
  if (dtype == mx::bfloat16) return kernels::ScalarType::bf16;
  fail("a weight is neither float32, float16 nor bfloat16");
}

}  // namespace

kernels::WeightView view(const Weight& w) {
  kernels::WeightView v;
  v.n = w.out_features();
  v.k = w.in_features();
  v.data = w.data.data<void>();
  if (w.quantized()) {
    v.type = scalar_type(w.scales->dtype());
    v.scales = w.scales->data<void>();
    v.biases = w.biases->data<void>();
    v.bits = w.bits;
    v.group_size = w.group_size;
  } else {
    v.type = scalar_type(w.data.dtype());
  }
  return v;
}

mx::array dequantize(const Weight& w) {
  if (!w.quantized()) return mx::astype(w.data, mx::float32);
  return mx::astype(mx::dequantize(w.data, mx::astype(*w.scales, mx::float32),
                                   mx::astype(*w.biases, mx::float32), w.group_size, w.bits),
                    mx::float32);
}

SegmentsPtr make_segments(const std::vector<int32_t>& lengths, std::vector<int32_t> parents) {
  if (!parents.empty() && parents.size() != lengths.size())
    fail("{} parents for {} segments", parents.size(), lengths.size());
  auto s = std::make_shared<Segments>();
  std::vector<int32_t> ends;  // the position after each segment's last
  s->starts.push_back(0);
  for (size_t i = 0; i < lengths.size(); ++i) {
    const int32_t parent = parents.empty() ? -1 : parents[i];
    if (parent >= static_cast<int32_t>(i)) fail("segment {} goes on from a later one", i);
    const int32_t first = parent < 0 ? 0 : ends[static_cast<size_t>(parent)];
    ends.push_back(first + lengths[i]);
    for (int32_t p = first; p < ends.back(); ++p) s->positions.push_back(p);
    s->starts.push_back(s->starts.back() + lengths[i]);
  }
  s->parents = std::move(parents);
  return s;
}

}  // namespace gavel
