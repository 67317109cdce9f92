// `gavel best` as a library call: the best of several answers to a question, or their order, by a
// judge of pairs.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "judge/judge.h"
#include "ops/device.h"

namespace gavel {

struct AnswerList {
  JudgePair row;  // question, reference and id of all
  std::vector<std::string> answers;
};

// Of {question, answers: [text, ...], reference, rubric, id}, where the question may be a
// conversation (a list of messages). Throws RecordFault.
AnswerList answer_list(const nlohmann::ordered_json& record, int64_t line);

struct Ranking {
  std::vector<size_t> order;   // places of the answers, the best first
  std::vector<double> scores;  // of the answers as given: form rank
  int64_t judgements = 0;      // of pairs; of answers where they are scored alone
  int64_t unreadable = 0;      // verdicts that could not be read: the earlier one stood
};

// Judges of pairs compare as few as the best (or, with whole_order, the order) needs; of a tie the
// answer that was given earlier stands. Judges that score answers alone read each once. Throws
// UsageError for judges of other forms.
std::vector<Ranking> rank_answers(const JudgeModel& model, std::span<const AnswerList> lists,
                                  const JudgeOptions& options, bool whole_order);

struct BestRequest {
  std::string model, adapter_path, prompt_template, chat_template;
  std::string input;  // records as answer_list() reads them; "-": stdin
  bool whole_order = false, json = false;
  JudgeOptions options;
  bool mode_asked = false;
  DeviceOptions device;
  int max_batch = 16;
};

// Prints a line (with `json` an object) for each record. A record at fault is told on stderr and
// the rest goes on; at the end that throws an Error.
void run_best(BestRequest request, const std::function<bool()>& stop_requested);

}  // namespace gavel
