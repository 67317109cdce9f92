// What PEFT's adapter_config.json says of each matrix.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "text/regex.h"

namespace gavel {

class PeftConfig {
 public:
  // `where` is what errors call the file. Throws Error naming the field: another method than LoRA,
  // a number that makes no sense, a wrong pattern, and anything that would change what the adapter
  // computes and is not done here. Fields that PEFT may add pass where they are empty or off.
  PeftConfig(const nlohmann::ordered_json& json, std::string where);

  // alpha / r, or alpha / sqrt(r) with rslora, for the module at `path`
  // ("model.layers.0.self_attn.q_proj") whose matrices have the rank `rank`. Where the config says
  // another rank, the files do not belong together: Error.
  float scale(const std::string& path, int rank) const;

  float dropout() const { return dropout_; }

 private:
  struct Pattern {
    PythonRegex regex;
    double value;
  };
  std::vector<Pattern> patterns(const nlohmann::ordered_json& json, const char* key) const;
  double value(const std::vector<Pattern>& patterns, const char* key, const std::string& path,
               double otherwise) const;

  std::string where_;
  double rank_ = 0, alpha_ = 0;
  bool rslora_ = false;
  float dropout_ = 0.0f;
  std::vector<Pattern> ranks_, alphas_;  // the first that matches counts
};

}  // namespace gavel
