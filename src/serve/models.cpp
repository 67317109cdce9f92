#include "serve/models.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "http/api_error.h"
#include "judge/evaluate.h"
#include "serve/evaluation.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

std::string base_name_of(const std::string& model) {
  std::error_code ignored;
  if (!fs::exists(model, ignored)) return model;  // a name of the hub
  const fs::path path = fs::absolute(model).lexically_normal();
  const fs::path last = path.has_filename() ? path : path.parent_path();
  return (last.extension() == ".gguf" ? last.stem() : last.filename()).string();
}

struct NamedPath {
  std::string name, path;
};
NamedPath named_path(const char* option, const std::string& given) {
  const size_t equals = given.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == given.size())
    throw UsageError(fmt::format("{} takes NAME=PATH, not {}", option, given));
  return {given.substr(0, equals), given.substr(equals + 1)};
}

ServedModel load_adapter_as(const Session& session, const std::string& given,
                            const std::string& prompt_template) {
  const auto [name, path] = named_path("--adapter", given);
  ServedModel model{name, load_lora(session, path), template_for(prompt_template, path, {}), {}};
  evaluate(*model.lora);
  for (const JudgeMode mode : {JudgeMode::reason, JudgeMode::verdict})
    for (const bool both : {false, true})
      model.calibrations[mode == JudgeMode::verdict ? 1 : 0][both ? 1 : 0] =
          load_calibration(path, mode, both);
  std::error_code ignored;
  model.evaluation = load_evaluation(
      fs::is_directory(path, ignored) ? fs::path(path) : fs::path(path).parent_path(), path, name);
  return model;
}

// Sets the evaluations that were named.
void add_evaluations(ServedModels& served, const std::vector<std::string>& adapters,
                     const std::vector<std::string>& evaluations) {
  for (const std::string& given : evaluations) {
    const auto [name, path] = named_path("--evaluation", given);
    const auto it = std::find_if(served.models.begin(), served.models.end(),
                                 [&, &wanted = name](const auto& m) { return m.name == wanted; });
    if (it == served.models.end())
      throw UsageError(fmt::format("--evaluation {}: no model is called {}", given, name));
    std::string adapter;
    for (const std::string& one : adapters)
      if (const auto [of, at] = named_path("--adapter", one); of == name) adapter = at;
    it->evaluation = load_evaluation(path, adapter, name);
    if (!it->evaluation) fail("--evaluation {}: there is no eval.json", given);
  }
}

}  // namespace

const ServedModel& ServedModels::find(const std::optional<std::string>& name) const {
  if (!name) return models.front();
  const auto it = std::find_if(models.begin(), models.end(),
                               [&](const ServedModel& m) { return m.name == *name; });
  if (it == models.end())
    throw ApiError(404, "invalid_request_error",
                   "There is no model '" + name->substr(0, 200) + "': GET /v1/models lists them.",
                   "model", "model_not_found");
  return *it;
}

void evaluate(const Model& model) {
  Arrays all = {model.norm, model.inv_freq};
  const auto add = [&](const Weight& w) {
    all.push_back(w.data);
    if (w.scales) all.push_back(*w.scales);
    if (w.biases) all.push_back(*w.biases);
  };
  const auto add_some = [&](const std::optional<mx::array>& a) {
    if (a) all.push_back(*a);
  };
  add(model.embed_tokens);
  add(model.lm_head);
  for (const DecoderLayer& layer : model.layers) {
    all.push_back(layer.input_layernorm);
    all.push_back(layer.post_attention_layernorm);
    add_some(layer.q_norm);
    add_some(layer.k_norm);
    for (const Weight& w : layer.weights) add(w);
    for (const auto& bias : layer.biases) add_some(bias);
  }
  mx::eval(std::move(all));
}

void evaluate(const ModelLora& lora) {
  Arrays all;
  for (const LayerLora& layer : lora)
    for (const auto& branch : layer.of)
      if (branch) all.insert(all.end(), {branch->a, branch->b});
  mx::eval(std::move(all));
}

ServedModels load_served_models(std::shared_ptr<Session> session, const std::string& model,
                                const std::string& base_name,
                                const std::vector<std::string>& adapters,
                                const std::vector<std::string>& evaluations,
                                const std::string& prompt_template) {
  ServedModels served{std::move(session), {}};
  const auto add = [&](ServedModel added) {
    for (const ServedModel& m : served.models)
      if (m.name == added.name) throw UsageError("two models are called " + m.name);
    served.models.push_back(std::move(added));
  };
  for (const std::string& adapter : adapters)
    add(load_adapter_as(*served.session, adapter, prompt_template));
  evaluate(served.session->model);
  ServedModel base;
  base.name = base_name.empty() ? base_name_of(model) : base_name;
  base.prompt = template_for(prompt_template, {}, {});
  add(std::move(base));
  add_evaluations(served, adapters, evaluations);
  return served;
}

}  // namespace gavel
