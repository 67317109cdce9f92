// Everything that a training run needs to go on exactly where it was, in one file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>

#include "data/batches.h"
#include "train/optimizer.h"
#include "train/passes.h"

namespace gavel {

struct TrainState {
  int64_t iter = 0;        // iterations done
  mx::array params{0.0f};  // flat, see train/loss.h
  OptimizerState optimizer;
  BatchState batches;  // the place in the data
  // Gradients summed since the last optimizer step (flat; nothing yet where there are none), and
  // the tokens they are summed over.
  std::optional<mx::array> grads;
  int64_t grad_tokens = 0;
  double grad_norm = 0.0;
  // Since the last report.
  double report_loss = 0.0;
  int64_t report_loss_tokens = 0;
  std::optional<double> last_train_loss;
  int64_t trained_tokens = 0;
  // Of the validations.
  std::optional<double> best_valid_loss, best_metric;
  int64_t best_iter = 0;
  int64_t validations_without_improvement = 0;
  int64_t last_valid_iter = -1;
  // How the run's batches are run: gone on with, so that the result is the same.
  Passes passes;
};

// Writes the state to `file`, atomically. `fingerprint` describes the run (data, model, settings).
void save_checkpoint(const TrainState& state, const std::string& fingerprint,
                     const std::filesystem::path& file);

// The passes of a checkpoint; nothing where it says none. Throws Error for another kind of file.
std::optional<Passes> read_passes(const std::filesystem::path& file);

// Throws Error where the file is damaged or belongs to a run with another fingerprint.
TrainState load_checkpoint(const std::filesystem::path& file, const std::string& fingerprint);

}  // namespace gavel
