#include "serve/models.h"

#include <algorithm>

#include "base/error.h"
#include "judge/evaluate.h"
#include "serve/api_error.h"

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

ServedModel load_adapter_as(const Session& session, const std::string& given,
                            const std::string& prompt_template) {
  const size_t equals = given.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == given.size())
    throw UsageError("--adapter takes NAME=PATH, not " + given);
  const std::string path = given.substr(equals + 1);
  ServedModel model{given.substr(0, equals),
                    load_lora(session, path),
                    template_for(prompt_template, path, {}),
                    {}};
  evaluate(*model.lora);
  for (const JudgeMode mode : {JudgeMode::reason, JudgeMode::verdict})
    for (const bool both : {false, true})
      model.calibrations[mode == JudgeMode::verdict ? 1 : 0][both ? 1 : 0] =
          load_calibration(path, mode, both);
  return model;
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
  return served;
}

}  // namespace gavel
