#include "train/settings.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

namespace gavel {
namespace {

using Change = std::function<void(TrainConfig&)>;

nlohmann::ordered_json changed(const Change& change) {
  TrainConfig config;
  change(config);
  return settings_json(config);
}

TEST(Settings, HoldWhatAStepFollowsFrom) {
  const auto before = settings_json({});
  const std::vector<Change> changes = {
      [](TrainConfig& c) { c.batch_size = 5; },
      [](TrainConfig& c) { c.grad_accumulation_steps = 2; },
      [](TrainConfig& c) { c.clip_grad_norm = 1; },
      [](TrainConfig& c) { c.lora_dropout = 0.1f; },
      [](TrainConfig& c) { c.matmul = Matmul::int16; },
      [](TrainConfig& c) { c.chat_template = "0123"; },
      [](TrainConfig& c) { c.start = "gaussian"; },
      [](TrainConfig& c) { c.order = BatchOrder::shuffled; },
      [](TrainConfig& c) { c.seed = 1; },
      [](TrainConfig& c) { c.optimizer.kind = OptimizerKind::sgd; },
      [](TrainConfig& c) { c.optimizer.weight_decay += 0.5f; },
      [](TrainConfig& c) { c.optimizer.bias_correction = !c.optimizer.bias_correction; },
      [](TrainConfig& c) { c.schedule.kind = ScheduleKind::cosine; },
      [](TrainConfig& c) { c.schedule.learning_rate *= 2; },
      [](TrainConfig& c) { c.schedule.warmup = 7; }};
  for (size_t i = 0; i < changes.size(); ++i) EXPECT_NE(changed(changes[i]), before) << i;
}

TEST(Settings, LeaveOutWhatOnlySaysWhen) {
  const auto before = settings_json({});
  EXPECT_EQ(changed([](TrainConfig& c) {
              c.iters = 5;
              c.steps_per_report = c.steps_per_eval = c.save_every = c.val_batches = 1;
              c.early_stop_patience = 3;
              c.micro_batch_tokens = 64;
            }),
            before);
  // Dropout falls differently where the parts of a batch are others.
  EXPECT_NE(changed([](TrainConfig& c) {
              c.lora_dropout = 0.1f;
              c.micro_batch_tokens = 64;
            }),
            changed([](TrainConfig& c) { c.lora_dropout = 0.1f; }));
  // A run at a constant rate may be made longer; the end of a decay is part of every step.
  EXPECT_EQ(changed([](TrainConfig& c) { c.schedule.decay_steps = 99; }), before);
  const auto decaying = [](int64_t steps) {
    return changed([&](TrainConfig& c) {
      c.schedule.kind = ScheduleKind::cosine;
      c.schedule.decay_steps = steps;
    });
  };
  EXPECT_NE(decaying(10), decaying(20));
}

}  // namespace
}  // namespace gavel
