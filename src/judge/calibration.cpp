#include "judge/calibration.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kLargest = 1 << 24;

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
  Json content = Json::parse(read_file(file, kLargest), nullptr, false);
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

PairPlace place_in(const Json& list, const std::string& file) {
  PairPlace out{};
  bool known = list.is_array() && list.size() == out.size();
  for (size_t k = 0; known && k < out.size(); ++k) {
    known = list[k].is_number() && std::isfinite(list[k].get<double>());
    if (known) out[k] = list[k].get<double>();
  }
  if (!known) fail("{}: a place of the familiarity is not three numbers", file);
  return out;
}

Familiarity read_familiarity(const Json& entry, const std::string& file) {
  Familiarity f;
  const auto it = entry.find("familiarity");
  if (it == entry.end()) return f;
  if (!it->is_object()) fail("{}: the familiarity is not an object", file);
  f.center = place_in(it->value("center", Json()), file);
  f.spread = place_in(it->value("spread", Json()), file);
  const Json usual = it->value("usual", Json()), places = it->value("places", Json());
  f.usual = usual.is_number() ? usual.get<double>() : 0;
  if (!(f.usual > 0)) fail("{}: the usual distance is not a positive number", file);
  if (!places.is_array() || places.empty()) fail("{}: the familiarity has no places", file);
  for (const Json& place : places) f.places.push_back(place_in(place, file));
  return f;
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
  map.familiarity = read_familiarity(entry, file);
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
  if (const Familiarity& f = map.familiarity; !f.places.empty())
    entry["familiarity"] = {
        {"center", f.center}, {"spread", f.spread}, {"usual", f.usual}, {"places", f.places}};
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

Judgement with_ties(const Judgement& judgement, const Calibration& calibration) {
  Judgement out = calibrated(judgement, calibration);
  out.probabilities = judgement.probabilities;
  out.ratings = judgement.ratings;
  return out;
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
  std::string text;
  for (const Json& each : kept) text += (text.empty() ? "" : ",\n") + each.dump();
  write_file_atomic(place.file, "{\"entries\": [\n" + text + "\n]}\n");
}

}  // namespace gavel
