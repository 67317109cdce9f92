#include "train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/safetensors.h"
#include "ops/fused.h"

namespace gavel {
using nlohmann::json;
namespace {

json optional_number(const std::optional<double>& value) { return value ? json(*value) : json(); }

std::optional<double> optional_number(const json& value) {
  return value.is_null() ? std::nullopt : std::optional<double>(value.get<double>());
}

std::optional<mx::array> flat_array(const SafetensorsFile& file, const std::string& name) {
  if (!file.entries().contains(name)) return std::nullopt;
  auto array = file.read(name);
  if (array.dtype() != mx::float32 || array.ndim() != 1)
    fail("{}: {} is not a flat float32 array", file.name(), name);
  array.eval();
  return array;
}

// What differs between two JSON objects, as a sentence part: `batch_size is 4, was 8`.
std::string difference(const json& now, const json& then) {
  std::string text;
  json keys = now;
  keys.update(then);
  for (const auto& [key, _] : keys.items()) {
    const json value = now.contains(key) ? now.at(key) : json();
    const json before = then.contains(key) ? then.at(key) : json();
    if (before != value)
      text += fmt::format("{}{} is {}, was {}", text.empty() ? "" : "; ", key, value.dump(),
                          before.dump());
  }
  return text;
}

// Checkpoints from before there was a choice say nothing.
std::optional<Passes> passes_of(const json& state) {
  if (!state.contains("micro_batch_tokens")) return std::nullopt;
  Passes p{.micro_batch_tokens = state.at("micro_batch_tokens"),
           .recompute_group = state.at("recompute_group")};
  const std::string recompute = state.at("recompute");
  for (const Recompute r : {Recompute::none, Recompute::mlp, Recompute::layer})
    if (recompute == to_string(r)) p.recompute = r;
  return p;
}

}  // namespace

std::optional<Passes> read_passes(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const auto& meta = file.metadata();
  if (!meta.contains("gavel_checkpoint") || !meta.contains("state"))
    fail("{} is not a checkpoint of a training run", path.string());
  try {
    return passes_of(json::parse(meta.at("state")));
  } catch (const json::exception& e) {
    fail("{} is damaged: {}", path.string(), e.what());
  }
}

void save_checkpoint(const TrainState& s, const std::string& fingerprint,
                     const std::filesystem::path& file) {
  // Doubles go through JSON, whose shortest form reads back to the same bits.
  const json numbers = {{"iter", s.iter},
                        {"optimizer_step", s.optimizer.step},
                        {"epoch", s.batches.epoch},
                        {"position", s.batches.position},
                        {"grad_tokens", s.grad_tokens},
                        {"grad_norm", s.grad_norm},
                        {"report_loss", s.report_loss},
                        {"report_loss_tokens", s.report_loss_tokens},
                        {"last_train_loss", optional_number(s.last_train_loss)},
                        {"trained_tokens", s.trained_tokens},
                        {"best_valid_loss", optional_number(s.best_valid_loss)},
                        {"best_metric", optional_number(s.best_metric)},
                        {"best_iter", s.best_iter},
                        {"validations_without_improvement", s.validations_without_improvement},
                        {"last_valid_iter", s.last_valid_iter},
                        {"micro_batch_tokens", s.passes.micro_batch_tokens},
                        {"recompute", to_string(s.passes.recompute)},
                        {"recompute_group", s.passes.recompute_group}};
  std::vector<NamedArray> tensors;
  tensors.emplace_back("params", s.params);
  for (const auto& [name, values] :
       {std::pair{"optimizer.m", &s.optimizer.m}, std::pair{"optimizer.v", &s.optimizer.v},
        std::pair{"grads", &s.grads}})
    if (*values) tensors.emplace_back(name, **values);
  write_safetensors(file, tensors,
                    {{"gavel_checkpoint", "1"}, {"state", numbers.dump()}, {"run", fingerprint}});
}

TrainState load_checkpoint(const std::filesystem::path& path, const std::string& fingerprint) {
  const SafetensorsFile file(path);
  const auto& meta = file.metadata();
  if (!meta.contains("gavel_checkpoint") || !meta.contains("state") || !meta.contains("run"))
    fail("{} is not a checkpoint of a training run", path.string());
  try {
    if (meta.at("run") != fingerprint)
      fail(
          "{} belongs to a run with other settings ({}): use the same settings to resume, or "
          "another --adapter-path to begin anew",
          path.string(), difference(json::parse(fingerprint), json::parse(meta.at("run"))));
    const json n = json::parse(meta.at("state"));
    TrainState s;
    s.iter = n.at("iter");
    s.optimizer.step = n.at("optimizer_step");
    s.batches = {n.at("epoch"), n.at("position")};
    s.grad_tokens = n.at("grad_tokens");
    s.grad_norm = n.at("grad_norm");
    s.report_loss = n.at("report_loss");
    s.report_loss_tokens = n.at("report_loss_tokens");
    s.last_train_loss = optional_number(n.at("last_train_loss"));
    s.trained_tokens = n.at("trained_tokens");
    s.best_valid_loss = optional_number(n.at("best_valid_loss"));
    s.best_metric = optional_number(n.at("best_metric"));
    s.best_iter = n.at("best_iter");
    s.validations_without_improvement = n.at("validations_without_improvement");
    s.last_valid_iter = n.at("last_valid_iter");
    if (const auto passes = passes_of(n)) s.passes = *passes;
    const auto params = flat_array(file, "params");
    if (!params) fail("{} is damaged: it has no parameters", path.string());
    s.params = *params;
    s.optimizer.m = flat_array(file, "optimizer.m");
    s.optimizer.v = flat_array(file, "optimizer.v");
    s.grads = flat_array(file, "grads");
    return s;
  } catch (const json::exception& e) {
    fail("{} is damaged: {}", path.string(), e.what());
  }
}

}  // namespace gavel
