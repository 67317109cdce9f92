#include "train/step.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "train/plan.h"

namespace gavel {

double PendingLosses::take(int64_t iter) {
  double sum = 0.0;
  for (auto& loss : sums) sum += double{loss.item<float>()};
  sums.clear();
  if (!std::isfinite(sum))
    fail("the loss of iteration {} is not finite: lower --learning-rate or use --clip-grad-norm",
         iter);
  return sum;
}

int64_t micro_batch_tokens(const TrainConfig& config, const Backend& backend) {
  return config.micro_batch_tokens > 0 ? config.micro_batch_tokens
                                       : usual_micro_batch_tokens(kernels_of(backend));
}

BatchTokens run_batch(const Model& model, const Adapter& adapter, const TrainConfig& config,
                      std::span<const Example* const> batch, TrainState& state,
                      PendingLosses& pending) {
  ForwardOptions options{.recompute = config.recompute.value_or(Recompute::none),
                         .recompute_group = config.recompute_group,
                         .dropout = config.lora_dropout,
                         .dropout_seed = 0,
                         .label_smoothing = config.label_smoothing};
  BatchTokens tokens;
  uint64_t part_number = 0;
  const PassParameters params = pass_parameters(model, adapter, state.params);
  Arrays running;  // the part before this one, on the device
  for (const auto& part : split_batch(batch, micro_batch_tokens(config, model.backend))) {
    const auto packed = pack(part, config.lora_dropout == 0.0f);
    if (packed.loss_tokens == 0) continue;
    options.dropout_seed =
        Random(config.seed, static_cast<uint64_t>(state.iter) * 4096 + part_number++).next();
    auto [loss, gradient] = loss_and_gradient(model, adapter, params, packed, options);
    state.grads = state.grads ? mx::add(*state.grads, gradient) : gradient;
    // The graph of this part was made while the device ran the last; only one is in its memory.
    if (!running.empty()) mx::eval(running);
    running = {*state.grads, loss};
    if (on_cpu_memory(model.backend))
      mx::eval(running);
    else
      mx::async_eval(running);
    pending.sums.push_back(loss);
    tokens.all += packed.tokens;
    tokens.with_loss += packed.loss_tokens;
  }
  return tokens;
}

void update_parameters(const Backend& backend, const TrainConfig& config, TrainState& state) {
  if (state.grad_tokens > 0) {
    auto gradient =
        mx::multiply(*state.grads, mx::array(1.0f / static_cast<float>(state.grad_tokens)));
    auto norm = l2_norm(backend, gradient);
    if (config.clip_grad_norm > 0.0f)
      gradient = mx::multiply(
          gradient,
          mx::minimum(mx::array(1.0f), mx::divide(mx::array(config.clip_grad_norm), norm)));
    state.params = optimizer_step(backend, config.optimizer, state.optimizer,
                                  learning_rate_at(config.schedule, state.optimizer.step),
                                  state.params, gradient);
    Arrays results{state.params, norm};
    for (const auto& moment : {state.optimizer.m, state.optimizer.v})
      if (moment) results.push_back(*moment);
    mx::eval(results);
    state.grad_norm = double{norm.item<float>()};
    if (!std::isfinite(state.grad_norm))
      fail("the gradient of iteration {} is not finite: lower --learning-rate", state.iter);
  }
  state.grads.reset();
  state.grad_tokens = 0;
}

}  // namespace gavel
