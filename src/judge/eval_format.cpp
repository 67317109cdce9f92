// How numbers of an evaluation are written.
#include "judge/eval_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gavel {

using Json = nlohmann::ordered_json;

Json number_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json interval_json(const Interval& i) {
  return {
      {"value", number_json(i.value)}, {"low", number_json(i.low)}, {"high", number_json(i.high)}};
}

Json metrics_json(const std::array<Interval, kMetricCount>& intervals) {
  Json metrics = Json::object();
  for (size_t m = 0; m < kMetricCount; ++m)
    metrics[std::string(metric_name(static_cast<Metric>(m)))] = interval_json(intervals[m]);
  return metrics;
}

double number_or_nan(const Json& value) {
  return value.is_number() ? value.get<double>() : std::nan("");
}

std::string percent(double value) {
  return std::isfinite(value) ? fmt::format("{:.1f}", 100 * value) : "-";
}

std::string short_number(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

std::string percent_with_interval(const Json& i) {
  if (!i["value"].is_number()) return "-";
  if (!i["low"].is_number()) return percent(i["value"].get<double>());
  return fmt::format("{:.1f} [{:.1f}, {:.1f}]", 100 * i["value"].get<double>(),
                     100 * i["low"].get<double>(), 100 * i["high"].get<double>());
}

std::string short_value(double value) {
  if (!std::isfinite(value)) return "-";
  return value >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

std::string aligned(const TableRows& rows) {
  const auto width = [](const std::string& text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
  };
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width(row[c]));
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string blanks(widths[c] - width(row[c]), ' ');
      out += c == 0 ? row[c] + blanks : "  " + blanks + row[c];
    }
    out += "\n";
  }
  return out;
}

}  // namespace gavel
