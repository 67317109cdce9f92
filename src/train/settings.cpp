#include "train/settings.h"

#include <nlohmann/json.hpp>

namespace gavel {

nlohmann::ordered_json settings_json(const TrainConfig& c) {
  // A constant rate does not depend on the run's length, so such a run may be made longer.
  const bool constant = c.schedule.kind == ScheduleKind::constant;
  nlohmann::ordered_json settings = {{"batch_size", c.batch_size},
                                     {"grad_accumulation_steps", c.grad_accumulation_steps},
                                     {"clip_grad_norm", c.clip_grad_norm},
                                     {"lora_dropout", c.lora_dropout},
                                     {"int16_matmul", c.int16_matmul},
                                     {"order", static_cast<int>(c.order)},
                                     {"seed", c.seed},
                                     {"optimizer", to_string(c.optimizer.kind)},
                                     {"beta1", c.optimizer.beta1},
                                     {"beta2", c.optimizer.beta2},
                                     {"eps", c.optimizer.eps},
                                     {"weight_decay", c.optimizer.weight_decay},
                                     {"momentum", c.optimizer.momentum},
                                     {"bias_correction", c.optimizer.bias_correction},
                                     {"lr_schedule", static_cast<int>(c.schedule.kind)},
                                     {"learning_rate", c.schedule.learning_rate},
                                     {"min_learning_rate", c.schedule.min_learning_rate},
                                     {"warmup", c.schedule.warmup},
                                     {"warmup_init", c.schedule.warmup_init},
                                     {"decay_steps", constant ? 0 : c.schedule.decay_steps}};
  if (!c.chat_template.empty()) settings["chat_template"] = c.chat_template;
  return settings;
}

}  // namespace gavel
