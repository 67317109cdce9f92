// The numbers of eval.json as one long table, for spreadsheets and notebooks.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace gavel {

// CSV as RFC 4180 has it, with heads: section (metrics, classes, speed, calibrations, probes,
// paraphrases, reasons, groups, win_rates, family, suites, comparisons, people, baselines), judge,
// of (the class, model, suite, ... that it is of; may be empty), measure, value, low, high. A
// number that is not defined is empty; of a value without an interval, low and high are.
std::string evaluation_csv(const nlohmann::ordered_json& evaluation);

}  // namespace gavel
