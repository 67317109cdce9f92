// What a step of training does to the flat parameters: AdamW (Loshchilov & Hutter 2019) and the
// norm of the gradient.
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "ops/fused.h"
#include "ops/implementations.h"
#include "ops/ops.h"

namespace gavel {

Arrays cpu::adamw(const Backend&, const Arrays& state, const kernels::AdamWParams& params) {
  const auto step = [params](const Arrays& in, Arrays& out) {
    // The kernel changes parameters and moments in place.
    const std::pair<int, int> kept[] = {{0, 0}, {2, 1}, {3, 2}};
    for (const auto& [from, to] : kept)
      if (out[to].data<float>() != in[from].data<float>())
        std::memcpy(out[to].data<float>(), in[from].data<float>(), in[from].nbytes());
    kernels::adamw(out[0].data<float>(), in[1].data<float>(), out[1].data<float>(),
                   out[2].data<float>(), static_cast<int64_t>(in[0].size()), params);
  };
  const auto shape = state[0].shape();
  return fused({.name = "AdamW", .cpu = step, .vjp = nullptr, .donate = 0}, state,
               {shape, shape, shape}, {mx::float32, mx::float32, mx::float32});
}

Arrays composed::adamw(const Backend&, const Arrays& state, const kernels::AdamWParams& p) {
  const auto number = [](double x) { return mx::array(static_cast<float>(x)); };
  const auto &x = state[0], &g = state[1];
  const auto m = mx::add(mx::multiply(state[2], number(p.beta1)),
                         mx::multiply(g, number(1.0 - double{p.beta1})));
  const auto v = mx::add(mx::multiply(state[3], number(p.beta2)),
                         mx::multiply(mx::square(g), number(1.0 - double{p.beta2})));
  const auto correction = [&](float beta) {
    return p.bias_correction ? 1.0 - std::pow(double{beta}, static_cast<double>(p.step)) : 1.0;
  };
  const auto root = mx::add(mx::sqrt(mx::divide(v, number(correction(p.beta2)))), number(p.eps));
  const auto direction = mx::divide(mx::divide(m, number(correction(p.beta1))), root);
  const auto decayed = mx::multiply(x, number(1.0 - double{p.lr} * double{p.weight_decay}));
  return {mx::subtract(decayed, mx::multiply(direction, number(p.lr))), m, v};
}

mx::array cpu::l2_norm(const Backend&, const mx::array& x) {
  const auto norm = [](const Arrays& in, Arrays& out) {
    out[0].data<float>()[0] = static_cast<float>(
        kernels::l2_norm(in[0].data<float>(), static_cast<int64_t>(in[0].size())));
  };
  return fused({.name = "L2Norm", .cpu = norm, .vjp = nullptr}, {x}, mx::Shape{});
}

mx::array composed::l2_norm(const Backend&, const mx::array& x) {
  return mx::sqrt(mx::sum(mx::square(x)));
}

Arrays adamw(const Backend& backend, const Arrays& state, const kernels::AdamWParams& params) {
  for (const auto& a : state)
    if (a.size() != state[0].size()) fail("[adamw] the arrays have different sizes");
  return backend.operations->adamw(backend, state, params);
}

mx::array l2_norm(const Backend& backend, const mx::array& x) {
  return backend.operations->l2_norm(backend, x);
}

}  // namespace gavel
