// What a judge must reach: `--require 'kappa>=0.6,consistency>=0.9'`, for CI.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/judge_form.h"

namespace gavel {

// A requirement on a measure of eval.json. ">=" is asked of the interval's lower end, "<=" of its
// upper end, so that a judge passes only where the pairs suffice to say so.
struct Requirement {
  std::string metric;
  bool at_least = true;
  double bound = 0;
  std::string text;  // as it was written
};

// Several with commas between them. Throws UsageError naming what cannot be read, and the measures
// there are.
std::vector<Requirement> parse_requirements(std::string_view text);

// Throws UsageError for a measure that judges of this form have not, and says which there are.
void check_measures(const std::vector<Requirement>& requirements, const JudgeForm& form);

// One requirement on one judge.
struct GateResult {
  std::string judge;
  Requirement requirement;
  bool passed = false;
  std::string detail;  // "kappa 0.52 [0.41, 0.63]"; what is not defined has not passed
};

// Of every judge of the evaluation but the base model, where there are others.
std::vector<GateResult> check_requirements(const nlohmann::ordered_json& evaluation,
                                           const std::vector<Requirement>& requirements);

// As JUnit's XML: a test case a result.
std::string junit_xml(const std::vector<GateResult>& results);

}  // namespace gavel
