// A training step: (parameters, batch) -> gradient, then gradient -> parameters. The loop around it
// is train/trainer.cpp.
#pragma once

#include <span>
#include <vector>

#include "train/checkpoint.h"
#include "train/loss.h"
#include "train/trainer.h"

namespace gavel {

// Losses of batches that were run and have not been read: reading one waits for the device.
struct PendingLosses {
  Arrays sums;  // float32 scalars
  // The sum of them all; they are forgotten. Throws Error where it is not finite.
  double take(int64_t iter);
};

struct BatchTokens {
  int64_t all = 0;        // real tokens, prompt included
  int64_t with_loss = 0;  // those that carry loss
};

// Forward and backward through a batch, in parts of about so many tokens: the gradient is added to
// state.grads, the losses to `pending`. Returns before the device is done.
BatchTokens run_batch(const Model& model, const Adapter& adapter, const TrainConfig& config,
                      std::span<const Example* const> batch, TrainState& state,
                      PendingLosses& pending);

// The mean gradient over state.grad_tokens, clipped, through the optimizer; nothing where no token
// carried loss. Waits for the device. Throws Error where the gradient is not finite.
void update_parameters(const Backend& backend, const TrainConfig& config, TrainState& state);

// How many tokens a batch's parts have at most, where the settings leave it open.
int64_t micro_batch_tokens(const TrainConfig& config, const Backend& backend);

}  // namespace gavel
