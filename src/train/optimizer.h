// Optimizers over one flat buffer of parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ops/ops.h"

namespace gavel {

enum class OptimizerKind : uint8_t { adamw, adam, sgd };

OptimizerKind parse_optimizer(const std::string& name);  // throws Error for one not known
const char* to_string(OptimizerKind kind);

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::adamw;
  float beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f;
  // adamw: decoupled (Loshchilov & Hutter 2019), as torch and MLX do. sgd: added to the gradient.
  float weight_decay = 0.01f;
  float momentum = 0.0f;        // sgd
  bool bias_correction = true;  // adam, adamw; mlx_lm's default is false, torch's is true
};

// What must be kept to go on exactly: everything that a step changes but the parameters.
struct OptimizerState {
  int64_t step = 0;  // steps taken
  // Flat float32, or nothing where the optimizer has none.
  std::optional<mx::array> m;  // first moment (adam) or velocity (sgd with momentum)
  std::optional<mx::array> v;  // second moment (adam)
};

OptimizerState make_optimizer_state(const OptimizerConfig& config, int parameters);

// One step: the parameters less lr * direction(gradient), yet to be evaluated. All are flat.
mx::array optimizer_step(const Backend& backend, const OptimizerConfig& config,
                         OptimizerState& state, double learning_rate, const mx::array& params,
                         const mx::array& gradient);

}  // namespace gavel
