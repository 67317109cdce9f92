// The settings of a training run on the command line or in a YAML file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "options.h"
#include "train/run.h"

namespace gavel {

struct TrainArguments {
  TrainRun run;
  std::string config, optimizer = "adamw", schedule = "constant", order = "by_length",
                      matmul = "usual";
  std::optional<std::string> init;
  std::vector<std::string> targets;
  std::string recompute = "auto", memory_limit, split_name;
  CLI::Option* split_asked = nullptr;
  bool grad_checkpoint = false;
  int checkpoint_layers = 1;
  std::string stop_metric = "val_loss";
  int64_t stop_pairs = 64;
  std::optional<int64_t> judge_pairs;
  std::string report_to;
  bool watch = false;  // set by the command, where it has that flag
  bool train = false, mask_prompt = false, no_mask_prompt = false;
};

void add_train_options(CLI::App& c, TrainArguments& a);
// Once they are parsed: reads the configuration file and checks them. Throws Error, UsageError.
TrainRun& finish_train_options(CLI::App& c, TrainArguments& a);

}  // namespace gavel
