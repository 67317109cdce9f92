// `gavel judge` as a library call: one pair, or a stream of them.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "generate/session.h"
#include "judge/calibration.h"
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

// A model and an adapter ("": none) opened as a judge; the options get the adapter's calibration.
struct OpenedJudge {
  std::shared_ptr<Session> session;
  std::shared_ptr<const ModelLora> lora;  // null: none; `model` uses both
  std::optional<Calibration> calibration;
  JudgeModel model;
};
OpenedJudge open_judge(const std::string& model, const std::string& adapter_path,
                       const std::string& chat_template, const JudgeTemplate& prompt,
                       const DeviceOptions& device, int max_batch, JudgeOptions& options);

// Prints each pair's explanation and verdict to stdout, in the order of the input. Pairs of a
// stream are judged as they come, those that wait together. A line that is no pair is told on
// stderr and the rest goes on; at the end that throws an Error.
void run_judge(JudgeRequest request, const std::function<bool()>& stop_requested);

// What it prints of one pair or answer; `for_a_person`: needs_a_person() of it.
std::string judged_text(const JudgedPair& judged, const JudgeForm& form, bool for_a_person);

// What is said of one answer: `score`, `expected` and `probabilities`; of criteria `scores` and
// `total` too, each by name; of pass `verdict` and `probabilities`.
nlohmann::ordered_json verdict_json(const JudgedPair& judged, const std::vector<RatedPart>& parts);
// What --json prints of one answer.
nlohmann::ordered_json rated_json(const JudgePair& answer, const JudgedPair& judged,
                                  const std::vector<RatedPart>& parts);
// What --json prints of a pair.
nlohmann::ordered_json judged_json(const JudgePair& pair, const JudgedPair& judged);

}  // namespace gavel
