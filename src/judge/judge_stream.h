// `gavel judge` as a library call: one pair, or a stream of them.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "judge/judge.h"
#include "ops/device.h"

namespace gavel {

struct JudgeRequest {
  std::string model, adapter_path, prompt_template, chat_template;
  // One pair, where `input` is empty.
  std::string question, answer_a, answer_b, reference, rubric;
  bool has_b = false;  // answer_b was given
  std::string input;   // pairs: a file, "-" for standard input, or what `files` come from
  std::vector<std::filesystem::path> files;  // of `input`, where that is no file itself
  JudgeOptions options;
  bool mode_asked = false;  // options.mode was, and is no default
  bool json = false;        // one JSON object a line
  DeviceOptions device;
  int max_batch = 16;
};

// Prints each pair's explanation and verdict to stdout, in the order of the input. Pairs of a
// stream are judged as they come, those that wait together. A line that is no pair is told on
// stderr and the rest goes on; at the end that throws an Error.
void run_judge(JudgeRequest request, const std::function<bool()>& stop_requested);

// What is said of one answer: `score`, `expected` and `probabilities`; of criteria `scores` and
// `total` too, each by name; of pass `verdict` and `probabilities`.
nlohmann::ordered_json verdict_json(const JudgedPair& judged, const std::vector<RatedPart>& parts);
// What --json prints of one answer.
nlohmann::ordered_json rated_json(const JudgePair& answer, const JudgedPair& judged,
                                  const std::vector<RatedPart>& parts);
// What --json prints of a pair.
nlohmann::ordered_json judged_json(const JudgePair& pair, const JudgedPair& judged);

}  // namespace gavel
