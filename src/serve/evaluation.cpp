#include "serve/evaluation.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "http/api_error.h"
#include "serve/context.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kLargest = size_t{64} << 20;

bool is_text(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string();
}

bool is_judge(const Json& judge) {
  return judge.is_object() && is_text(judge, "name") && is_text(judge, "adapter") &&
         judge.contains("metrics") && judge["metrics"].is_object();
}

bool same_place(const std::string& path, const fs::path& other) {
  std::error_code failed;
  return !path.empty() && fs::weakly_canonical(path, failed) == fs::weakly_canonical(other, failed);
}

// "" of the base model.
std::string adapter_of(const Json& judge) { return judge["adapter"].get<std::string>(); }

// The entry of the adapter, else the last one of an adapter, else the last.
const Json& entry_of(const Json& judges, const fs::path& adapter) {
  const Json* best = &judges.back();
  for (const Json& judge : judges)
    if (!adapter_of(judge).empty()) best = &judge;
  for (const Json& judge : judges)
    if (same_place(adapter_of(judge), adapter)) best = &judge;
  return *best;
}

}  // namespace

std::optional<std::string> load_evaluation(const fs::path& path, const fs::path& adapter,
                                           const std::string& name) {
  std::error_code ignored;
  const fs::path file = fs::is_directory(path, ignored) ? path / "eval.json" : path;
  if (!fs::exists(file, ignored)) return std::nullopt;
  const Json whole = Json::parse(read_file(file, kLargest), nullptr, false);
  const Json judges = whole.is_object() ? whole.value("judges", Json()) : Json();
  if (!judges.is_array() || judges.empty() || !std::all_of(judges.begin(), judges.end(), is_judge))
    fail("{} is no evaluation of gavel eval", file.string());
  Json body = {{"object", "evaluation"}, {"model", name}, {"file", file.string()}};
  for (const char* key :
       {"data", "form", "mode", "both_orders", "examples", "bootstrap", "people", "baselines"})
    if (whole.contains(key)) body[key] = whole[key];
  body["judge"] = entry_of(judges, adapter);
  for (const Json& judge : judges)
    if (adapter_of(judge).empty() && !judge.contains("model") && judge != body["judge"])
      body["base"] = {{"name", judge["name"]}, {"metrics", judge["metrics"]}};
  return dump(body);
}

}  // namespace gavel
