// sweep.jsonl of `gavel sweep`, read for the report.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace gavel {

struct SweepRow {
  std::string run;
  std::vector<std::pair<std::string, std::string>> settings;
  double valid_loss = 0, train_loss = 0, agreement = 0, consistency = 0;  // NaN where not known
  double best_step = 0, parameters = 0, seconds = 0;
};

// The rows with one value of one setting, averaged.
struct SweepMean {
  std::string value;
  size_t runs = 0;
  double valid_loss = 0, agreement = 0;  // NaN where not known
};

// The last line of each run, best validation loss first. Cut and foreign lines are left out; throws
// Error where the file cannot be read.
std::vector<SweepRow> read_sweep(const std::filesystem::path& file);

// The settings that differ between the rows, each with its values' means in rising order. Those
// that divide the rows alike come together, "rank, alpha" with "8, 160".
std::vector<std::pair<std::string, std::vector<SweepMean>>> sweep_means(
    const std::vector<SweepRow>& rows);

}  // namespace gavel
