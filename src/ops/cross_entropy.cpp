// Softmax cross-entropy under the output head, with the logits never whole.
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "mlx/transforms.h"
#include "ops/fused.h"
#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {

namespace {

// Sums of the rows, keeping the axis. A long row added up one by one in float32 loses all that is
// small beside the sum so far (1e-4 of the loss of 49,152 logits): blocks first, then their sums.
mx::array row_sums(const mx::array& x) {
  constexpr int kBlock = 256;
  const int missing = (kBlock - x.shape(1) % kBlock) % kBlock;
  const auto whole =
      missing == 0 ? x : mx::pad(x, std::vector<int>{1}, mx::Shape{0}, mx::Shape{missing});
  const auto blocks = mx::reshape(whole, {x.shape(0), -1, kBlock});
  return mx::sum(mx::sum(blocks, 2), 1, true);
}

// {losses, gradient by the logits} of some rows, float32.
Arrays loss_of_rows(const mx::array& logits, const mx::array& targets, const mx::array& weights,
                    bool with_grad) {
  const auto wide = mx::astype(logits, mx::float32);
  const auto at = mx::expand_dims(targets, 1), top = mx::max(wide, 1, true);
  const auto terms = mx::exp(mx::subtract(wide, top)), sums = row_sums(terms);
  const auto picked = mx::take_along_axis(wide, at, 1);
  const auto losses = mx::squeeze(mx::add(mx::subtract(top, picked), mx::log(sums)), 1);
  if (!with_grad) return {losses};
  const auto w = mx::expand_dims(weights, 1);
  const auto gradient = mx::multiply(terms, mx::divide(w, sums));
  const auto is_target = mx::equal(mx::arange(logits.shape(1), mx::int32), at);
  return {losses, mx::where(is_target, mx::subtract(gradient, w), gradient)};
}

// gradient [rows, V] times head [V, k]: in float32, the products of some columns at a time are
// added up, for the reason that row_sums gives.
mx::array through_head(const mx::array& gradient, const mx::array& head) {
  constexpr int kColumns = 1024;
  const int rows = gradient.shape(0), vocab = head.shape(0), hidden = head.shape(1);
  if (gradient.dtype() != mx::float32) return mx::matmul(gradient, head);
  std::optional<mx::array> sum;
  for (int begin = 0; begin < vocab; begin += kColumns) {
    const int end = std::min(vocab, begin + kColumns);
    const auto part = mx::matmul(mx::slice(gradient, {0, begin}, {rows, end}),
                                 mx::slice(head, {begin, 0}, {end, hidden}));
    sum = sum ? mx::add(*sum, part) : part;
  }
  return *sum;
}

}  // namespace

Arrays chunked_cross_entropy(const mx::array& h, const std::function<mx::array()>& dense_head,
                             const mx::array& targets, const mx::array& weights, bool with_grad,
                             const LossOfRows& loss_of_rows) {
  const auto forward = [=](const Arrays& in) {
    const int rows = in[0].shape(0), hidden = in[0].shape(1);
    // Rows whose logits are there at a time: what they take goes along with all else of the part.
    const int chunk = std::clamp((rows / 4 + 63) / 64 * 64, 256, 1024);
    const auto w = dense_head(), wt = mx::transpose(w);
    Arrays losses, grads;
    for (int begin = 0; begin < rows; begin += chunk) {
      const int end = std::min(rows, begin + chunk);
      const auto part = [&](const mx::array& a) { return mx::slice(a, {begin}, {end}); };
      auto h = mx::slice(in[0], {begin, 0}, {end, hidden});
      // After the chunk before, so that no two chunks' logits are in memory.
      if (begin > 0) h = mx::depends({h}, {with_grad ? grads.back() : losses.back()})[0];
      const auto out = loss_of_rows(mx::matmul(h, wt), part(targets), part(weights), with_grad);
      losses.push_back(out[0]);
      if (with_grad) grads.push_back(through_head(mx::astype(out[1], h.dtype()), w));
    }
    const auto all = mx::concatenate(losses, 0);
    Arrays out{mx::sum(mx::multiply(all, weights)), all};
    if (with_grad) out.push_back(mx::concatenate(grads, 0));
    return out;
  };
  const auto backward = [with_grad](const Arrays&, const Arrays& dy, const Arrays& out) {
    if (!with_grad) fail("[cross_entropy] was asked for its gradient after with_grad = false");
    return Arrays{mx::multiply(out[2], mx::astype(dy[0], out[2].dtype()))};
  };
  auto out = mx::custom_vjp(forward, backward)({h});
  return {out[0], out[1]};
}

Arrays composed::cross_entropy(const Backend& backend, const mx::array& h, const Weight& head,
                               const mx::array& targets, const mx::array& weights, bool with_grad) {
  const auto dense = [dtype = backend.dtype, w = std::make_shared<const Weight>(head)] {
    return mx::astype(dequantize(*w), dtype);
  };
  return chunked_cross_entropy(h, dense, targets, weights, with_grad, loss_of_rows);
}

Arrays cpu::cross_entropy(const Backend& backend, const mx::array& h, const Weight& head,
                          const mx::array& targets, const mx::array& weights, bool with_grad) {
  const int rows = h.shape(0);
  const auto precision = backend.precision;
  auto forward = [head, with_grad, precision](const Arrays& in, Arrays& out) {
    const int64_t count = in[0].shape(0);
    kernels::cross_entropy(in[0].data<float>(), count, view(head), in[1].data<int32_t>(),
                           in[2].data<float>(), out[1].data<float>(),
                           with_grad ? out[2].data<float>() : nullptr, precision);
    double sum = 0.0;
    for (int64_t i = 0; i < count; ++i)
      sum += double{out[1].data<float>()[i]} * double{in[2].data<float>()[i]};
    out[0].data<float>()[0] = static_cast<float>(sum);
  };
  auto vjp = [with_grad](const Arrays&, const Arrays& cotangents, const std::vector<int>&,
                         const Arrays& outputs) {
    if (!with_grad) fail("[cross_entropy] was asked for its gradient after with_grad = false");
    return Arrays{mx::multiply(outputs[2], cotangents[0])};
  };
  std::vector<mx::Shape> shapes{{}, {rows}};
  if (with_grad) shapes.push_back(h.shape());
  const std::vector<mx::Dtype> dtypes(shapes.size(), mx::float32);
  auto outputs = fused({.name = "CrossEntropy", .cpu = forward, .vjp = vjp}, {h, targets, weights},
                       std::move(shapes), dtypes);
  return {outputs[0], outputs[1]};
}

Arrays cross_entropy(const Backend& backend, const mx::array& h, const Weight& head,
                     const mx::array& targets, const mx::array& weights, bool with_grad) {
  if (targets.shape(0) != h.shape(0) || weights.shape(0) != h.shape(0))
    fail("[cross_entropy] {} rows but {} targets", h.shape(0), targets.shape(0));
  return backend.operations->cross_entropy(backend, h, head, targets, weights, with_grad);
}

}  // namespace gavel
