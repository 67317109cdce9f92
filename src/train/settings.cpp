#include "train/settings.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/random.h"
#include "train/step.h"

namespace gavel {

nlohmann::ordered_json settings_json(const TrainConfig& c) {
  // A constant rate does not depend on the run's length, so such a run may be made longer.
  const bool constant = c.schedule.kind == ScheduleKind::constant;
  nlohmann::ordered_json j = {{"batch_size", c.batch_size},
                              {"grad_accumulation_steps", c.grad_accumulation_steps},
                              {"clip_grad_norm", c.clip_grad_norm},
                              {"lora_dropout", c.lora_dropout},
                              {"matmul", to_string(c.matmul)},
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
                              {"decay_steps", constant ? 0 : c.schedule.decay_steps},
                              {"start", c.start}};
  // Dropout is drawn anew for each part of a batch.
  if (c.lora_dropout > 0.0f) j["micro_batch_tokens"] = c.micro_batch_tokens;
  if (c.label_smoothing > 0.0f) j["label_smoothing"] = c.label_smoothing;
  if (!c.chat_template.empty()) j["chat_template"] = c.chat_template;
  return j;
}

uint64_t hash_of(const Dataset& set) {
  uint64_t h = 0;
  size_t read = 0;
  for (const auto& e : set.examples) {
    if (read++ % kExamplesAtOnce == 0) set.let_go();
    const auto* bytes = reinterpret_cast<const char*>(e.tokens.data());
    h = stable_hash(
        {bytes, e.tokens.size() * sizeof(int32_t)},
        Random::mix(h ^ static_cast<uint64_t>(e.prompt_length)) ^ static_cast<uint64_t>(e.group));
    if (!e.ranked()) continue;
    h = Random::mix(h ^ static_cast<uint64_t>(e.other_token));
    h = Random::mix(h ^ static_cast<uint64_t>(e.wins * 2));
  }
  set.let_go();
  return h;
}

nlohmann::ordered_json run_json(const Model& model, const Dataset& train_set,
                                const TrainConfig& config) {
  nlohmann::ordered_json j = {{"model_type", model.config.model_type},
                              {"base_parameters", parameter_count(model)},
                              {"base_weights", fmt::format("{:016x}", weights_hash(model))},
                              {"train_examples", train_set.examples.size()},
                              {"train_data_hash", hash_of(train_set)}};
  TrainConfig resolved = config;
  resolved.micro_batch_tokens = micro_batch_tokens(config, model.backend);
  j.update(settings_json(resolved));
  j["device"] = model.backend.operations->name;
  j["dtype"] = model.backend.dtype == mx::float32 ? "float32" : "bfloat16";
  return j;
}

}  // namespace gavel
