#include "train/optimizer.h"

#include "base/error.h"

namespace gavel {

OptimizerKind parse_optimizer(const std::string& name) {
  if (name == "adamw") return OptimizerKind::adamw;
  if (name == "adam") return OptimizerKind::adam;
  if (name == "sgd") return OptimizerKind::sgd;
  fail("the optimizer {} is not known: use adamw, adam or sgd", name);
}

const char* to_string(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::adamw:
      return "adamw";
    case OptimizerKind::adam:
      return "adam";
    case OptimizerKind::sgd:
      return "sgd";
  }
  return "";
}

OptimizerState make_optimizer_state(const OptimizerConfig& config, int parameters) {
  const auto zeros = mx::zeros({parameters}, mx::float32);
  OptimizerState state;
  if (config.kind != OptimizerKind::sgd || config.momentum != 0.0f) state.m = zeros;
  if (config.kind != OptimizerKind::sgd) state.v = zeros;
  return state;
}

namespace {

mx::array sgd(const OptimizerConfig& c, OptimizerState& state, float lr, const mx::array& params,
              const mx::array& gradient) {
  auto direction = gradient;
  if (c.weight_decay != 0.0f)
    direction = mx::add(direction, mx::multiply(params, mx::array(c.weight_decay)));
  if (state.m)
    state.m = direction = mx::add(mx::multiply(*state.m, mx::array(c.momentum)), direction);
  return mx::subtract(params, mx::multiply(direction, mx::array(lr)));
}

}  // namespace

mx::array optimizer_step(const Backend& backend, const OptimizerConfig& c, OptimizerState& state,
                         double learning_rate, const mx::array& params, const mx::array& gradient) {
  const auto lr = static_cast<float>(learning_rate);
  ++state.step;
  if (c.kind == OptimizerKind::sgd) return sgd(c, state, lr, params, gradient);
  auto next = adamw(backend, {params, gradient, *state.m, *state.v},
                    {.lr = lr,
                     .beta1 = c.beta1,
                     .beta2 = c.beta2,
                     .eps = c.eps,
                     .weight_decay = c.kind == OptimizerKind::adamw ? c.weight_decay : 0.0f,
                     .bias_correction = c.bias_correction,
                     .step = state.step});
  state.m = next[1];
  state.v = next[2];
  return next[0];
}

}  // namespace gavel
