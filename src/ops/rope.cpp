// Rotary position embedding (Su et al. 2021), half-split layout.
#include "base/error.h"
#include "ops/fused.h"
#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {

namespace {

mx::array rope_kernel(const mx::array& x, const SegmentsPtr& segments, const mx::array& inv_freq,
                      int head_dim, bool inverse) {
  return fused(
      {.name = inverse ? "RoPEBackward" : "RoPE",
       .cpu =
           [=](const Arrays& in, Arrays& out) {
             kernels::rope(in[0].data<float>(), segments->positions.data(), in[1].data<float>(),
                           in[0].shape(0), in[0].shape(1) / head_dim, head_dim, inverse,
                           out[0].data<float>());
           },
       .vjp =
           [=](const Arrays&, const Arrays& cotangents, const std::vector<int>&, const Arrays&) {
             return Arrays{rope_kernel(cotangents[0], segments, inv_freq, head_dim, !inverse)};
           },
       .donate = 0},
      {x, inv_freq}, x.shape());
}

}  // namespace

mx::array cpu::rope(const Backend&, const mx::array& x, const SegmentsPtr& segments,
                    const mx::array& inv_freq, int head_dim) {
  return rope_kernel(x, segments, inv_freq, head_dim, false);
}

mx::array composed::rope(const Backend&, const mx::array& x, const SegmentsPtr& segments,
                         const mx::array& inv_freq, int head_dim) {
  const int rows = x.shape(0);
  const auto positions = mx::astype(mx::array(segments->positions.begin(), {rows, 1}), mx::float32);
  // Angles in float32: a position of thousands has no room in a bfloat16.
  const auto angle = mx::reshape(mx::multiply(positions, inv_freq), {rows, 1, head_dim / 2});
  const auto c = mx::cos(angle), s = mx::sin(angle);
  const auto halves =
      mx::split(mx::astype(mx::reshape(x, {rows, -1, head_dim}), mx::float32), 2, -1);
  const auto turned =
      mx::concatenate({mx::subtract(mx::multiply(halves[0], c), mx::multiply(halves[1], s)),
                       mx::add(mx::multiply(halves[1], c), mx::multiply(halves[0], s))},
                      -1);
  return mx::astype(mx::reshape(turned, x.shape()), x.dtype());
}

mx::array rope(const Backend& backend, const mx::array& x, const SegmentsPtr& segments,
               const mx::array& inv_freq, int head_dim) {
  if (x.shape(0) != segments->rows())
    fail("[rope] {} rows but segments of {}", x.shape(0), segments->rows());
  return backend.operations->rope(backend, x, segments, inv_freq, head_dim);
}

}  // namespace gavel
