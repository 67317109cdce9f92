#include "train/config_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace gavel {
namespace {

// Flags that set what another one sets, and the one that stands for both.
const std::map<std::string, std::string> kSameSetting = {
    {"lora-alpha", "lora-scale"}, {"no-mask-prompt", "mask-prompt"}, {"epochs", "iters"}};

const std::string& setting_name(const std::string& flag) {
  const auto it = kSameSetting.find(flag);
  return it == kSameSetting.end() ? flag : it->second;
}

// Settings of mlx_lm without a meaning here that leave the result as it is.
const std::map<std::string, const char*> kWithoutMeaning = {
    {"project_name", "nothing is sent anywhere"},
    {"clear_cache_threshold", "there is no such cache"},
    {"trust_remote_code", "no code of a model is ever run"},
    {"config", "a configuration does not load another"}};

// Those that decide what is trained.
const std::map<std::string, const char*> kRefused = {
    {"hf_dataset", "data sets of the hub are not read: give data, a directory"}};

const std::map<std::string, std::set<std::string>> kOptimizerFlags = {
    {"adam", {"beta1", "beta2", "eps", "bias-correction"}},
    {"adamw", {"beta1", "beta2", "eps", "bias-correction", "weight-decay"}},
    {"sgd", {"momentum", "weight-decay"}}};

std::string as_flag(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Nothing that could change anything: null, false, 0, an empty text, list or mapping.
bool is_neutral(const YAML::Node& node) {
  if (!node.IsScalar()) return node.IsNull() || node.size() == 0;
  bool flag = false;
  double number = 0;
  if (YAML::convert<bool>::decode(node, flag)) return !flag;
  if (YAML::convert<double>::decode(node, number)) return number == 0;
  return node.Scalar().empty();
}

class Reader {
 public:
  Reader(std::string name, const std::optional<std::string>& optimizer,
         const std::string& default_optimizer)
      : name_(std::move(name)), optimizer_(optimizer), default_optimizer_(default_optimizer) {}

  ConfigFile read(const YAML::Node& root) {
    if (root.IsNull()) return {};
    collect(root, "");
    yields("learning_rate", "lr_schedule.arguments");
    yields("lora_parameters.alpha", "lora_parameters.scale");
    if (!optimizer_)
      optimizer_ = fields_.contains("optimizer") ? lower(text("optimizer")) : default_optimizer_;
    for (const auto& [path, node] : fields_) setting(path, node);
    return std::move(result_);
  }

 private:
  [[noreturn]] void bad(const YAML::Node& node, const std::string& what) const {
    fail("{}: {}", where(node), what);
  }

  std::string where(const YAML::Node& node) const {
    return fmt::format("{}:{}", name_, node.Mark().line + 1);
  }

  // The leaves of the mapping by their paths ("lora_parameters.rank"); null ones are not set.
  void collect(const YAML::Node& map, const std::string& prefix) {
    if (!map.IsMap())
      bad(map, prefix.empty() ? "the configuration must be a mapping of settings"
                              : prefix.substr(0, prefix.size() - 1) + " must be a mapping");
    std::set<std::string> keys;
    for (const auto& entry : map) {
      if (!entry.first.IsScalar()) bad(entry.first, "the name of a setting must be a text");
      const std::string path = prefix + entry.first.Scalar();
      if (!keys.insert(path).second) bad(entry.first, path + " is given twice");
      if (entry.second.IsNull()) continue;
      const bool nested = path == "lora_parameters" || path == "optimizer_config" ||
                          (path == "lr_schedule" && entry.second.IsMap()) ||
                          prefix == "optimizer_config.";
      if (nested)
        collect(entry.second, path + ".");
      else if (!fields_.emplace(path, entry.second).second)
        bad(entry.first, path + " is given twice");
    }
  }

  // Where both are there, mlx_lm does not look at the first.
  void yields(const std::string& loser, const std::string& winner) {
    const auto lost = fields_.find(loser), won = fields_.find(winner);
    if (lost == fields_.end() || won == fields_.end()) return;
    note(lost->second, fmt::format("{} is not used, as in mlx_lm: {} counts (line {})", loser,
                                   winner, won->second.Mark().line + 1));
    fields_.erase(lost);
  }

  void note(const YAML::Node& node, const std::string& what) {
    result_.notes.push_back(fmt::format("{}: {}", where(node), what));
  }

  std::string text(const std::string& path) const {
    const YAML::Node& node = fields_.at(path);
    if (!node.IsScalar()) bad(node, path + " must be a single value");
    return node.Scalar();
  }

  std::string joined(const std::string& path) const {
    const YAML::Node& node = fields_.at(path);
    if (!node.IsSequence()) return text(path);
    std::string all;
    for (const auto& item : node) {
      if (!item.IsScalar()) bad(item, path + " must be a list of single values");
      all += (all.empty() ? "" : ",") + item.Scalar();
    }
    return all;
  }

  void add(const YAML::Node& node, const std::string& flag, const std::string& value) {
    if (const auto earlier = result_.settings.add({flag, value, where(node)}))
      bad(node,
          fmt::format("--{} is set here, and {} at {}: the same setting twice", flag,
                      earlier->flag == flag ? "also" : "by --" + earlier->flag, earlier->where));
  }

  void setting(const std::string& path, const YAML::Node& node) {
    if (path.starts_with("optimizer_config.")) return optimizer(path, node);
    if (path == "lr_schedule.arguments") return schedule_arguments(node);
    if (path.starts_with("lr_schedule.")) return schedule(path, node);
    if (path.starts_with("lora_parameters.")) return lora(path, node);
    if (path == "fine_tune_type") {
      if (text(path) != "lora") bad(node, "fine_tune_type must be lora: no other is trained here");
      return;
    }
    if (const auto it = kWithoutMeaning.find(path); it != kWithoutMeaning.end()) {
      if (!is_neutral(node)) note(node, fmt::format("{} has no effect: {}", path, it->second));
      return;
    }
    if (const auto it = kRefused.find(path); it != kRefused.end()) {
      if (!is_neutral(node)) bad(node, fmt::format("{}: {}", path, it->second));
      return;
    }
    add(node, as_flag(path), joined(path));
  }

  void lora(const std::string& path, const YAML::Node& node) {
    static const std::map<std::string, std::string> flags = {{"rank", "lora-rank"},
                                                             {"scale", "lora-scale"},
                                                             {"alpha", "lora-alpha"},
                                                             {"dropout", "lora-dropout"},
                                                             {"keys", "lora-targets"}};
    const auto it = flags.find(path.substr(path.find('.') + 1));
    if (it == flags.end()) bad(node, path + " is not known");
    add(node, it->second, joined(path));
  }

  void schedule(const std::string& path, const YAML::Node& node) {
    const std::string key = path.substr(path.find('.') + 1);
    if (key == "name")
      add(node, "lr-schedule", text(path));
    else if (key == "warmup" || key == "warmup_init")
      add(node, as_flag(key), text(path));
    else
      bad(node, path + " is not known");
  }

  // cosine_decay(init, decay_steps, end = 0); linear_schedule(init, end, steps).
  void schedule_arguments(const YAML::Node& node) {
    if (!fields_.contains("lr_schedule.name"))
      bad(node, "lr_schedule.arguments need lr_schedule.name");
    const std::string name = text("lr_schedule.name");
    const bool cosine = name == "cosine_decay" || name == "cosine";
    if (!cosine && name != "linear_schedule" && name != "linear")
      bad(fields_.at("lr_schedule.name"),
          fmt::format("the schedule {} is not supported: use cosine_decay or linear_schedule",
                      name));
    if (!node.IsSequence() || node.size() > 3 || node.size() < (cosine ? 2 : 3))
      bad(node, cosine ? "lr_schedule.arguments of cosine_decay are two or three numbers: the "
                         "first rate, the steps of the decay, the last rate (0)"
                       : "lr_schedule.arguments of linear_schedule are three numbers: the first "
                         "rate, the last rate, the steps");
    const std::array<const char*, 3> flags =
        cosine ? std::array<const char*, 3>{"learning-rate", "decay-steps", "min-lr"}
               : std::array<const char*, 3>{"learning-rate", "min-lr", "decay-steps"};
    for (size_t i = 0; i < node.size(); ++i) {
      if (!node[i].IsScalar()) bad(node[i], "lr_schedule.arguments must be numbers");
      add(node[i], flags[i], node[i].Scalar());
    }
  }

  // "optimizer_config.adamw.betas" and the like.
  void optimizer(const std::string& path, const YAML::Node& node) {
    const size_t dot = path.find('.');
    const size_t second = path.find('.', dot + 1);
    const std::string kind = path.substr(dot + 1, second - dot - 1), key = path.substr(second + 1);
    if (kind != *optimizer_)
      return note(node, fmt::format("{} is not used: the optimizer is {}", path, *optimizer_));
    if (key == "betas") {
      if (!node.IsSequence() || node.size() != 2 || !node[0].IsScalar() || !node[1].IsScalar())
        bad(node, path + " must be two numbers");
      add(node, "beta1", node[0].Scalar());
      add(node, "beta2", node[1].Scalar());
      return;
    }
    const auto flags = kOptimizerFlags.find(kind);
    if (flags != kOptimizerFlags.end() && flags->second.contains(as_flag(key)))
      return add(node, as_flag(key), text(path));
    if (!is_neutral(node)) bad(node, path + " is not supported");
  }

  std::string name_;
  std::optional<std::string> optimizer_;
  const std::string& default_optimizer_;
  std::map<std::string, YAML::Node> fields_;
  ConfigFile result_;
};

}  // namespace

std::optional<Setting> Settings::add(const Setting& setting) {
  const auto [it, added] = by_name_.try_emplace(setting_name(setting.flag), setting);
  return added ? std::nullopt : std::optional<Setting>(it->second);
}

bool Settings::has(const std::string& flag) const { return by_name_.contains(setting_name(flag)); }

ConfigFile read_train_config(const std::filesystem::path& path,
                             const std::optional<std::string>& optimizer,
                             const std::string& default_optimizer) {
  const std::string contents = read_file(path, size_t{1} << 20);
  try {
    return Reader(path.string(), optimizer, default_optimizer).read(YAML::Load(contents));
  } catch (const YAML::Exception& e) {
    fail("{}:{}: {}", path.string(), e.mark.line + 1, e.msg);
  }
}

std::string why_unused(const std::string& flag, const std::string& optimizer,
                       const std::string& schedule) {
  if ((flag == "min-lr" || flag == "decay-steps") && schedule == "constant")
    return "the learning rate is constant";
  bool of_another = false;
  for (const auto& [kind, flags] : kOptimizerFlags) {
    if (!flags.contains(flag)) continue;
    if (kind == optimizer) return "";
    of_another = true;
  }
  return of_another ? "the optimizer is " + optimizer : "";
}

}  // namespace gavel
