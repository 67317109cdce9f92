// Where the settings of a training run come from: the command line, and mlx_lm's YAML configuration
// as the flags that it stands for. What the command line sets wins over the file, whatever order
// either is in.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gavel {

// A flag without its dashes ("learning-rate"), its value, and who says so ("lora.yaml:7", or "").
struct Setting {
  std::string flag, value, where;
};

// What one place says. Some settings have two flags (--lora-scale and --lora-alpha, --iters and
// --epochs, --mask-prompt and --no-mask-prompt): they count as one.
class Settings {
 public:
  // Nothing where it was added; else what this place already says of the same setting.
  std::optional<Setting> add(const Setting& setting);
  bool has(const std::string& flag) const;
  const std::map<std::string, Setting>& all() const { return by_name_; }

 private:
  std::map<std::string, Setting> by_name_;
};

struct ConfigFile {
  Settings settings;
  std::vector<std::string> notes;  // sentences: what the file says and is not used, and why
};

// Reads the YAML as mlx_lm does where two of its settings meet: the arguments of lr_schedule win
// over learning_rate, and lora_parameters.scale over alpha. Of optimizer_config only the entry of
// the optimizer counts: `optimizer`, where the command line gives one, else the file's, else
// `default_optimizer`. What has no meaning here is in the notes, or refused where the result would
// be another. Throws Error naming file, line and setting: a wrong shape, or a setting given twice.
// Flags that nobody has are left to the caller, who knows them.
ConfigFile read_train_config(const std::filesystem::path& path,
                             const std::optional<std::string>& optimizer,
                             const std::string& default_optimizer);

// Why training with this optimizer ("adamw") and schedule ("cosine") does not use the flag, as the
// end of a sentence; "" where it does.
std::string why_unused(const std::string& flag, const std::string& optimizer,
                       const std::string& schedule);

}  // namespace gavel
