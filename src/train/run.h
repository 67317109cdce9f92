// `gavel train` as a library call: loads model and data, says what will be trained on, trains,
// tests, and prints the loss lines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/encoder.h"
#include "ops/device.h"
#include "train/trainer.h"

namespace gavel {

// What is asked of the adapter. What is not said is LoraConfig's default or, where training begins
// from an adapter (--resume-adapter-file), that adapter's; what is said must then agree with it.
struct LoraRequest {
  std::optional<int> rank, num_layers;
  std::optional<float> scale;
  std::optional<double> alpha;  // instead of scale: alpha / rank
  std::optional<std::vector<Projection>> targets;
  std::optional<LoraInit> init;  // default: kaiming
  float dropout = 0.0f;
};

struct TrainRun {
  std::string model, data, adapter_path = "adapters", resume_adapter_file;
  std::string chat_template;  // a Jinja file; "": the model's own
  bool train = false, test = false, resume = false;
  DatasetOptions dataset;
  std::optional<int64_t> epochs;       // instead of config.iters
  std::optional<int64_t> decay_steps;  // default: the steps after the warm-up
  int64_t test_batches = 500;
  LoraRequest lora;
  DeviceOptions device;
  TrainConfig config;
  // Makes TrainHooks::judge once the model is loaded; empty: nothing is judged.
  std::function<std::function<Judged(const Adapter&)>(const LoadedModel&, const Model&,
                                                      const TextEncoder&)>
      make_judge;
  bool metric_decides = false;     // as TrainHooks has it
  bool judge_if_possible = false;  // other data than judge data is not judged, and no error
};

// Copies DATA/template.txt, the judging template that the data was made with, into a run's
// directory, where the judge is looked for it; nothing where the data has none.
void keep_template(const std::string& data, const std::filesystem::path& directory);

// What a run works on: everything that its settings name, loaded.
struct LoadedRun {
  LoadedModel loaded;
  Model model;
  TextEncoder encoder;
  std::optional<Dataset> train_set, valid_set, test_set;
  Adapter adapter;
  TrainConfig config;  // complete, but for how batches are run
};
LoadedRun load_run(const TrainRun& run);

// Loss lines go to stdout, all else to stderr. Throws Error as train() and the loaders do.
TrainResult run_training(const TrainRun& run, const std::function<bool()>& stop_requested);

}  // namespace gavel
