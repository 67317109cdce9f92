#include "judge/calibration.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Place {
  fs::path file;
  std::string weights;
};

Place place_of(const fs::path& adapter) {
  std::error_code ignored;
  if (fs::is_directory(adapter, ignored))
    return {adapter / "calibration.json", "adapters.safetensors"};
  return {adapter.parent_path() / "calibration.json", adapter.filename().string()};
}

Json read_entries(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return Json::array();
  Json content = Json::parse(read_file(file, 1 << 20), nullptr, false);
  if (!content.is_object() || !content.contains("entries") || !content["entries"].is_array())
    fail("{} is not a calibration: remove it, or run gavel eval --calibrate again", file.string());
  return content["entries"];
}

bool is_entry(const Json& entry, const std::string& weights, JudgeMode mode, bool both_orders) {
  return entry.is_object() && entry.value("weights", Json()) == weights &&
         entry.value("mode", Json()) == mode_name(mode) &&
         entry.value("both_orders", Json()) == both_orders;
}

std::vector<double> numbers_of(const Json& entry, const char* key, const std::string& file) {
  std::vector<double> out;
  const Json list = entry.value(key, Json());
  bool known = list.is_array() && !list.empty();
  for (const Json& value : known ? list : Json::array()) {
    known = known && value.is_number();
    out.push_back(known ? value.get<double>() : 0);
    known = known && out.back() >= 0 && out.back() <= 1;
    if (out.size() > 1) known = known && out[out.size() - 2] <= out.back();
  }
  if (!known) fail("{}: \"{}\" is not a list of rising numbers from 0 to 1", file, key);
  return out;
}

ProbabilityMap read_map(const Json& entry, const std::string& file) {
  ProbabilityMap map;
  const auto number = [&](const char* key, double otherwise, const char* what) {
    const Json value = entry.value(key, Json(otherwise));
    const double v = value.is_number() ? value.get<double>() : std::nan("");
    if (!std::isfinite(v)) fail("{}: {}", file, what);
    return v;
  };
  const char* not_positive = "the temperature is not a positive number";
  map.temperature = number("temperature", -1, not_positive);
  if (!(map.temperature > 0)) fail("{}: {}", file, not_positive);
  const char* negative = "the tie band is not a number of 0 or more";
  map.tie_band = number("tie_band", 0, negative);
  if (map.tie_band < 0) fail("{}: {}", file, negative);
  const Json method = entry.value("method", Json("temperature"));
  if (method == "platt") {
    map.method = CalibrationMethod::platt;
    map.slope = number("slope", std::nan(""), "the slope is not a number");
    map.intercept = number("intercept", std::nan(""), "the intercept is not a number");
  } else if (method == "isotonic") {
    map.method = CalibrationMethod::isotonic;
    map.confidence = numbers_of(entry, "confidence", file);
    map.right = numbers_of(entry, "right", file);
    if (map.confidence.size() != map.right.size())
      fail("{}: \"confidence\" and \"right\" are not as long", file);
  } else if (method != "temperature") {
    fail("{}: the method {} is not known", file, method.dump());
  }
  return map;
}

void write_map(const ProbabilityMap& map, Json& entry) {
  entry["method"] = method_name(map.method);
  entry["temperature"] = map.temperature;
  entry["tie_band"] = map.tie_band;
  if (map.method == CalibrationMethod::platt) {
    entry["slope"] = map.slope;
    entry["intercept"] = map.intercept;
  } else if (map.method == CalibrationMethod::isotonic) {
    entry["confidence"] = map.confidence;
    entry["right"] = map.right;
  }
}

}  // namespace

Judgement calibrated(const Judgement& judgement, const Calibration& calibration) {
  return mapped(judgement, calibration.map);
}

std::string_view mode_name(JudgeMode mode) {
  return mode == JudgeMode::reason ? "reason" : "verdict";
}

std::optional<Calibration> load_calibration(const fs::path& adapter, JudgeMode mode,
                                            bool both_orders) {
  const Place place = place_of(adapter);
  const std::string file = place.file.string();
  for (const Json& entry : read_entries(place.file)) {
    if (!is_entry(entry, place.weights, mode, both_orders)) continue;
    const auto number = [&](const char* key, double otherwise) {
      const Json value = entry.value(key, Json());
      return value.is_number() ? value.get<double>() : otherwise;
    };
    Calibration c{read_map(entry, file),
                  static_cast<int64_t>(number("examples", 0)),
                  number("nll_before", 0),
                  number("nll_after", 0),
                  {},
                  0};
    if (entry.contains("threshold")) {
      if (!entry["threshold"].is_number()) fail("{}: the threshold is not a number", file);
      c.threshold = number("threshold", 0);
      c.max_error = number("max_error", 0);
    }
    return c;
  }
  return std::nullopt;
}

void save_calibration(const fs::path& adapter, JudgeMode mode, bool both_orders,
                      const Calibration& calibration) {
  const Place place = place_of(adapter);
  Json kept = Json::array();
  for (const Json& entry : read_entries(place.file))
    if (!is_entry(entry, place.weights, mode, both_orders)) kept.push_back(entry);
  Json entry = {
      {"weights", place.weights}, {"mode", mode_name(mode)}, {"both_orders", both_orders}};
  write_map(calibration.map, entry);
  entry["examples"] = calibration.examples;
  entry["nll_before"] = calibration.nll_before;
  entry["nll_after"] = calibration.nll_after;
  if (calibration.threshold) {
    entry["threshold"] = *calibration.threshold;
    entry["max_error"] = calibration.max_error;
  }
  kept.push_back(std::move(entry));
  write_file_atomic(place.file, Json{{"entries", kept}}.dump(2) + "\n");
}

}  // namespace gavel
