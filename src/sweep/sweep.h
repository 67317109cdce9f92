// `gavel sweep` as a library call: one training run for each point of a grid, on one loaded base
// model, each measured by validation loss and by how well its adapter judges.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "judge/judge.h"
#include "ops/device.h"
#include "sweep/grid.h"
#include "train/trainer.h"

namespace gavel {

struct SweepRequest {
  std::string model, data, output = "sweep";
  std::vector<SweepPoint> points;
  TrainConfig config;  // learning rate and seed come from the points
  int64_t max_seq_length = 2048;
  LoraInit init = LoraInit::kaiming;
  std::string eval_data;  // labelled pairs; "": DATA/valid.jsonl where it has such, "none": none
  int64_t eval_limit = 100;
  JudgeMode mode = JudgeMode::verdict;
  int max_tokens = 256;
  std::string prompt_template, chat_template;
  bool json = false;  // results as JSON lines instead of a table
  DeviceOptions device;
};

// Each run has its folder in the output directory, as gavel train leaves it, and its line in
// sweep.jsonl. The same call after an interruption skips what is done and resumes what was begun.
void run_sweep(const SweepRequest& request, const std::function<bool()>& stop_requested);

}  // namespace gavel
