#include "adapter/peft_config.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxPatterns = 1024;

// Fields that say where an adapter came from and how its training began or went; what it computes
// is in the others.
const std::set<std::string> kHarmless = {"auto_mapping",      "base_model_name_or_path",
                                         "corda_config",      "ensure_weight_tying",
                                         "eva_config",        "exclude_modules",
                                         "fan_in_fan_out",    "inference_mode",
                                         "layers_pattern",    "layers_to_transform",
                                         "loftq_config",      "lora_ga_config",
                                         "megatron_core",     "peft_version",
                                         "qalora_group_size", "revision",
                                         "target_modules",    "task_type",
                                         "velora_config"};
const std::set<std::string> kRead = {"peft_type",    "bias",          "r",
                                     "lora_alpha",   "lora_dropout",  "use_rslora",
                                     "rank_pattern", "alpha_pattern", "init_lora_weights"};

bool is_neutral(const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0;
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.empty();  // null, [] and {}
}

const char* reason(const std::string& field) {
  if (field == "use_dora") return "DoRA adapters cannot be read";
  if (field == "modules_to_save" || field == "trainable_token_indices")
    return "adapters with trained parts of the base model cannot be read";
  if (field == "lora_bias") return "adapters with biases cannot be read";
  return "it is not supported and may change what the adapter computes";
}

// The ways to begin that take a part out of the base model's weights; LoRA's matrices alone are
// only half of such an adapter.
const char* changes_base(const std::string& init) {
  if (init.starts_with("pissa")) return "PiSSA";
  if (init.starts_with("corda")) return "CorDA";
  if (init == "olora") return "OLoRA";
  if (init == "loftq") return "LoftQ";
  if (init == "lora_ga") return "LoRA-GA";
  return nullptr;
}

void check_init(const Json& value, const std::string& where) {
  if (value.is_boolean() || value.is_null()) return;
  std::string init = value.is_string() ? value.get<std::string>() : value.dump();
  for (char& c : init) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (const char* name = changes_base(init))
    fail(
        "{}: init_lora_weights is {}: {} changes the base model's weights too, and the adapter "
        "works with these only; convert it to plain LoRA (path_initial_model_for_weight_conversion "
        "of PEFT's save_pretrained)",
        where, value.dump(), name);
  static const std::set<std::string> keep_base = {"gaussian", "eva", "orthogonal", "mica"};
  if (!keep_base.contains(init))
    fail("{}: init_lora_weights is {}, which is not known and may change the base model", where,
         value.dump());
}

double number_at(const Json& json, const char* key, const std::string& where) {
  const auto it = json.find(key);
  if (it == json.end()) fail("{}: {} is missing, so the adapter's scale is not known", where, key);
  if (!it->is_number() || !std::isfinite(it->get<double>()))
    fail("{}: {} is {}, not a number", where, key, it->dump());
  return it->get<double>();
}

bool is_true(const Json& json, const char* key, const std::string& where) {
  const auto it = json.find(key);
  if (it == json.end() || it->is_null()) return false;
  if (!it->is_boolean()) fail("{}: {} must be true or false", where, key);
  return it->get<bool>();
}

}  // namespace

PeftConfig::PeftConfig(const Json& json, std::string where) : where_(std::move(where)) {
  if (json.at("peft_type") != "LORA")
    fail("{}: peft_type is {}; only LORA adapters can be read", where_,
         json.at("peft_type").dump());
  for (const auto& [key, value] : json.items()) {
    if (key == "bias") {
      if (!value.is_null() && value != "none")
        fail("{}: bias is {}: adapters that train biases cannot be read", where_, value.dump());
    } else if (key == "init_lora_weights") {
      check_init(value, where_);
    } else if (!kRead.contains(key) && !kHarmless.contains(key) && !is_neutral(value)) {
      fail("{}: {} is set: {}", where_, key, reason(key));
    }
  }
  rank_ = number_at(json, "r", where_);
  alpha_ = number_at(json, "lora_alpha", where_);
  rslora_ = is_true(json, "use_rslora", where_);
  if (json.contains("lora_dropout"))
    dropout_ = static_cast<float>(number_at(json, "lora_dropout", where_));
  ranks_ = patterns(json, "rank_pattern");
  alphas_ = patterns(json, "alpha_pattern");
}

std::vector<PeftConfig::Pattern> PeftConfig::patterns(const Json& json, const char* key) const {
  std::vector<Pattern> out;
  const auto it = json.find(key);
  if (it == json.end() || it->is_null()) return out;
  if (!it->is_object()) fail("{}: {} must be an object", where_, key);
  if (it->size() > kMaxPatterns)
    fail("{}: {} has {} patterns (at most {})", where_, key, it->size(), kMaxPatterns);
  for (const auto& [pattern, value] : it->items()) {
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      fail("{}: {} of {} is {}, not a number", where_, key, pattern, value.dump());
    try {
      // The whole name, or its end from a dot on (PEFT's get_pattern_key).
      out.push_back({PythonRegex("(.*\\.)?(" + pattern + ")$"), value.get<double>()});
    } catch (const Error& e) {
      fail("{}: {}: {}", where_, key, e.what());
    }
  }
  return out;
}

double PeftConfig::value(const std::vector<Pattern>& patterns, const char* key,
                         const std::string& path, double otherwise) const {
  try {
    for (const Pattern& p : patterns)
      if (p.regex.match(path)) return p.value;
  } catch (const Error& e) {
    fail("{}: {}: {}", where_, key, e.what());
  }
  return otherwise;
}

float PeftConfig::scale(const std::string& path, int rank) const {
  const double said = value(ranks_, "rank_pattern", path, rank_);
  if (said != rank)
    fail("{}: {} has rank {} there, and its matrices have rank {}", where_, path, said, rank);
  const double alpha = value(alphas_, "alpha_pattern", path, alpha_);
  return static_cast<float>(alpha / (rslora_ ? std::sqrt(static_cast<double>(rank)) : rank));
}

}  // namespace gavel
