// The training loop: LoRA matrices of a frozen model, on packed batches, with validation,
// checkpoints, early stopping and a run log.
//
// A run's directory (--adapter-path) holds
//   adapter_config.json, adapters.safetensors    the newest adapter, as mlx_lm reads it
//   NNNNNNN_adapters.safetensors                 the adapter after iteration NNNNNNN
//   best/                                        the adapter of the best validation loss, or the
//                                                newest where nothing is validated
//   checkpoint.safetensors                       everything that --resume needs, in one file
//   metrics.jsonl                                the run log, one JSON object a line
//   tensorboard/                                 the same as event files, with --report-to
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "adapter/lora.h"
#include "data/batches.h"
#include "data/dataset.h"
#include "train/matmul.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace gavel {

struct TrainConfig {
  int64_t iters = 1000;  // batches; an optimizer step each grad_accumulation_steps of them
  int batch_size = 4;
  int grad_accumulation_steps = 1;
  int64_t steps_per_report = 10;
  int64_t steps_per_eval = 200;
  int64_t val_batches = 25;  // -1: the whole validation set
  int64_t save_every = 100;
  // How batches are run (train/passes.h); what is open is chosen to fit the memory, and the usual
  // is nothing computed again and parts of 512 tokens on the CPU, 16384 on an
  // NVIDIA card, 4096 on another GPU.
  int64_t micro_batch_tokens = 0;      // 0: open
  std::optional<Recompute> recompute;  // nothing: open
  int recompute_group = 1;
  size_t memory_limit = 0;      // bytes that the run may take; 0: what is free
  float clip_grad_norm = 0.0f;  // 0: no clipping
  float lora_dropout = 0.0f;
  float label_smoothing = 0.0f;  // of ranked pairs
  std::string chat_template;     // chat_template_id() of what the data was encoded with
  Matmul matmul = Matmul::usual;
  int64_t early_stop_patience = 0;  // validations without improvement before stopping; 0: never
  BatchOrder order = BatchOrder::by_length;
  uint64_t seed = 0;
  bool tensorboard = false;       // write event files, too
  std::string start = "kaiming";  // where the adapter's first weights come from, for --resume
  OptimizerConfig optimizer;
  Schedule schedule;
};

struct TrainReport {
  int64_t iter = 0;
  std::optional<double> loss;  // mean over the loss-carrying tokens since the last report
  double learning_rate = 0.0;
  double tokens_per_second = 0.0;  // real tokens, prompt included, padding not (there is none)
  double iterations_per_second = 0.0;
  double grad_norm = 0.0;              // of the last optimizer step, before clipping
  double peak_memory_gb = 0.0;         // of the device, or on the CPU of the process; 1e9 bytes
  int64_t trained_tokens = 0;          // loss-carrying tokens so far
  std::optional<double> seconds_left;  // to the run's end, validations included
};

struct ValidReport {
  int64_t iter = 0;
  double loss = 0.0;
  std::optional<double> gap;     // validation loss minus the last reported training loss
  std::optional<double> metric;  // the judge's own measure, where one was asked for
  bool best = false;
  double seconds = 0.0;
};

// How an adapter judges at a validation.
struct Judged {
  double metric = 0;  // higher is better
  std::string entry;  // for the run log: a JSON object with "figures" and "judgements"
};

struct MemoryPlan;  // train/plan.h

struct TrainHooks {
  std::function<void(const MemoryPlan&)> on_plan;             // before anything is run
  std::function<void(int64_t iters, int64_t done)> on_begin;  // `done`: by the run resumed
  std::function<void(const TrainReport&)> on_train;
  std::function<void(const ValidReport&)> on_valid;
  std::function<void(const std::string&)> on_save;  // a sentence
  std::function<void(int64_t iter)> on_iteration;   // for progress
  std::function<bool()> stop_requested;             // Ctrl-C
  // Judges at each validation, for the log; `metric_decides`: which adapter is the best, and when
  // to stop, is then up to the metric and not to the validation loss.
  std::function<Judged(const Adapter&)> judge;
  bool metric_decides = false;
};

enum class TrainEnd : uint8_t { finished, early_stopped, interrupted };

struct TrainResult {
  TrainEnd end = TrainEnd::finished;
  int64_t iter = 0;  // iterations done
  std::optional<double> last_train_loss;
  std::optional<double> best_valid_loss;
  int64_t best_iter = 0;
};

// Trains `adapter` in place and writes the run's directory. With `resume`, goes on from its
// checkpoint, where there is one, to the same numbers as a run that was never stopped. Throws Error
// for data without loss-carrying tokens, a checkpoint of another run, a loss that is not finite,
// and where the memory does not suffice.
TrainResult train(const Model& model, Adapter& adapter, const Dataset& train_set,
                  const Dataset* valid_set, const TrainConfig& config,
                  const std::filesystem::path& directory, bool resume, const TrainHooks& hooks,
                  const std::string& adapter_config_extra = "{}");

// Mean loss over the loss-carrying tokens of these batches (indices into the examples).
double evaluate_loss(const Model& model, const ModelLora* lora, std::span<const Example> examples,
                     std::span<const std::vector<int32_t>> batches, int64_t micro_batch_tokens);

}  // namespace gavel
