// RMSNorm (Zhang & Sennrich 2019) with frozen weights.
#include "base/error.h"
#include "ops/fused.h"
#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {

namespace {

void backward(const Arrays& in, int dim, float eps, Arrays& out) {
  kernels::rms_norm_backward(in[0].data<float>(), in[1].data<float>(), nullptr, in[2].data<float>(),
                             static_cast<int64_t>(in[0].size()) / dim, dim, eps,
                             out[0].data<float>(), false);
}

}  // namespace

mx::array cpu::rms_norm(const Backend&, const mx::array& x, const mx::array& weight, float eps) {
  const int dim = weight.shape(0);
  const auto forward = [eps, dim](const Arrays& in, Arrays& out) {
    kernels::rms_norm(in[0].data<float>(), in[1].data<float>(),
                      static_cast<int64_t>(in[0].size()) / dim, dim, eps, out[0].data<float>(),
                      nullptr);
  };
  const auto vjp = [eps, dim](const Arrays& in, const Arrays& cotangents, const std::vector<int>&,
                              const Arrays&) {
    return Arrays{
        fused({.name = "RMSNormBackward",
               .cpu = [eps, dim](const Arrays& i, Arrays& o) { backward(i, dim, eps, o); },
               .vjp = nullptr},
              {in[0], in[1], cotangents[0]}, in[0].shape())};
  };
  return fused({.name = "RMSNorm", .cpu = forward, .vjp = vjp}, {x, weight}, x.shape());
}

mx::array composed::rms_norm(const Backend&, const mx::array& x, const mx::array& weight,
                             float eps) {
  const auto rows = mx::reshape(x, {-1, weight.shape(0)});
  return mx::reshape(mx::fast::rms_norm(rows, mx::astype(weight, x.dtype()), eps), x.shape());
}

mx::array rms_norm(const Backend& backend, const mx::array& x, const mx::array& weight, float eps) {
  const int dim = weight.shape(0);
  if (x.shape(-1) % dim != 0) fail("[rms_norm] {} values do not divide into {}", x.shape(-1), dim);
  return backend.operations->rms_norm(backend, x, weight, eps);
}

}  // namespace gavel
