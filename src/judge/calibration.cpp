#include "judge/calibration.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "judge/rank.h"

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

}  // namespace

Judgement calibrated(const Judgement& judgement, const Calibration& calibration) {
  Judgement out = judgement;
  if (judgement.scores) {
    const double d = ((*judgement.scores)[0] - (*judgement.scores)[1]) / calibration.temperature;
    out.probabilities = rank_probabilities(d, calibration.tie_band);
    out.verdict = out.first_order = most_probable(*out.probabilities);
    if (out.second_order) out.second_order = out.verdict;
  } else if (judgement.probabilities) {
    out.probabilities = scale_by_temperature(*judgement.probabilities, calibration.temperature);
  }
  return out;
}

std::string_view mode_name(JudgeMode mode) {
  return mode == JudgeMode::reason ? "reason" : "verdict";
}

std::optional<Calibration> load_calibration(const fs::path& adapter, JudgeMode mode,
                                            bool both_orders) {
  const Place place = place_of(adapter);
  for (const Json& entry : read_entries(place.file)) {
    if (!is_entry(entry, place.weights, mode, both_orders)) continue;
    const Json temperature = entry.value("temperature", Json());
    const double t = temperature.is_number() ? temperature.get<double>() : 0;
    if (!(t > 0) || !std::isfinite(t))
      fail("{}: the temperature is not a positive number", place.file.string());
    const auto number = [&](const char* key) {
      const Json value = entry.value(key, Json());
      return value.is_number() ? value.get<double>() : 0;
    };
    const double band = number("tie_band");
    if (!(band >= 0) || !std::isfinite(band))
      fail("{}: the tie band is not a number of 0 or more", place.file.string());
    Calibration c{t, band, static_cast<int64_t>(number("examples")), number("nll_before"),
                  number("nll_after")};
    if (entry.contains("threshold")) {
      if (!entry["threshold"].is_number())
        fail("{}: the threshold is not a number", place.file.string());
      c.threshold = number("threshold");
      c.max_error = number("max_error");
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
  kept.push_back({{"weights", place.weights},
                  {"mode", mode_name(mode)},
                  {"both_orders", both_orders},
                  {"temperature", calibration.temperature},
                  {"tie_band", calibration.tie_band},
                  {"examples", calibration.examples},
                  {"nll_before", calibration.nll_before},
                  {"nll_after", calibration.nll_after}});
  if (calibration.threshold) {
    kept.back()["threshold"] = *calibration.threshold;
    kept.back()["max_error"] = calibration.max_error;
  }
  write_file_atomic(place.file, Json{{"entries", kept}}.dump(2) + "\n");
}

}  // namespace gavel
