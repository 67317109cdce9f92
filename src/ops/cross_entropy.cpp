// Softmax cross-entropy under the output head, with the logits never whole.
#include "base/error.h"
#include "ops/fused.h"
#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {

Arrays composed::cross_entropy(const Backend& backend, const mx::array& h, const Weight& head,
                               const mx::array& targets, const mx::array& weights, bool) {
  const auto logits =
      mx::astype(linear(backend, h, {.weight = head, .bias = {}, .lora = {}}), mx::float32);
  const auto picked = mx::squeeze(mx::take_along_axis(logits, mx::expand_dims(targets, 1), 1), 1);
  const auto losses = mx::subtract(mx::logsumexp(logits, 1), picked);
  return {mx::sum(mx::multiply(losses, weights)), losses};
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
