// How many of the tuned judge's reasons are true: what each states is looked up or computed again
// (data/demo_reasons.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "data/judge_prompt.h"
#include "judge/metrics.h"

namespace gavel {

struct ReasonCheck {
  int64_t reasons = 0;  // of both orders
  int64_t hold = 0;     // what they state is true
  int64_t none = 0;     // they state nothing of a known form, which counts as not true
  Interval share;       // hold / reasons, 0 to 1; pairs are resampled, each with both its reasons
  struct Count {
    int64_t hold = 0, of = 0;
  };
  std::map<std::string, Count> forms;  // by JudgePair::category
};

// The reasons that `judge` wrote in an evaluation's judgements.jsonl on these pairs. Throws Error
// where the file holds another number of them than one for each pair.
ReasonCheck check_reasons(const std::filesystem::path& judgements, const std::string& judge,
                          std::span<const JudgePair> pairs, const BootstrapOptions& options = {});

// A line, and one of the forms with reasons that are not true.
std::string to_text(const ReasonCheck& check);

}  // namespace gavel
