// How the numbers of an evaluation are written: as JSON, and as tables for a terminal.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "judge/metrics.h"

namespace gavel {

// JSON has no NaN: what is not defined is null.
nlohmann::ordered_json number_json(double value);
nlohmann::ordered_json interval_json(const Interval& interval);  // {value, low, high}
nlohmann::ordered_json metrics_json(const std::array<Interval, kMetricCount>& intervals);
double number_or_nan(const nlohmann::ordered_json& value);

// "-" for what is not defined.
std::string percent(double value);
std::string short_number(double value, int digits);
std::string short_value(double value);  // three digits that say something, whatever the size
// Of {value, low, high}: "81.2 [75.0, 87.5]".
std::string percent_with_interval(const nlohmann::ordered_json& interval);

// Columns as wide as their widest cell, the first to the left, the others to the right. Widths are
// counted in characters, which fits where each is one column wide.
using TableRows = std::vector<std::vector<std::string>>;
std::string aligned(const TableRows& rows);

}  // namespace gavel
