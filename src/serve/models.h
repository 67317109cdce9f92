// The base model and the adapters that one server answers for.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "generate/session.h"
#include "judge/calibration.h"
#include "judge/judge.h"

namespace gavel {

// A name that requests can give as `model`.
struct ServedModel {
  std::string name;
  std::optional<ModelLora> lora;  // nothing: the base model
  JudgeTemplate prompt = JudgeTemplate::standard();
  // Stored beside the adapter, by mode and then by one order or both.
  std::array<std::array<std::optional<Calibration>, 2>, 2> calibrations;

  std::optional<std::string> evaluation = {};  // its trust report as JSON; see evaluation.h

  const ModelLora* adapter() const { return lora ? &*lora : nullptr; }
  const std::optional<Calibration>& calibration(JudgeMode mode, bool both_orders) const {
    return calibrations[mode == JudgeMode::verdict ? 1 : 0][both_orders ? 1 : 0];
  }
};

struct ServedModels {
  std::shared_ptr<Session> session;
  std::vector<ServedModel> models;  // the adapters in their order, then the base model

  // The model of that name; the first where none is given. Throws ApiError (404).
  const ServedModel& find(const std::optional<std::string>& name) const;
};

// Evaluates all arrays: one that is still to be computed belongs to the thread that made it, and
// the engine's is another.
void evaluate(const Model& model);
void evaluate(const ModelLora& lora);

// `adapters`: NAME=PATH each. The base is called `base_name`, or after `model` where that is empty.
// `evaluations`: NAME=PATH of evaluations that are not beside their adapter. Throws UsageError for
// what is not NAME=PATH, for a name twice and for one that no model has, Error for a bad adapter or
// evaluation.
ServedModels load_served_models(std::shared_ptr<Session> session, const std::string& model,
                                const std::string& base_name,
                                const std::vector<std::string>& adapters,
                                const std::vector<std::string>& evaluations,
                                const std::string& prompt_template);

}  // namespace gavel
