// How well an adapter judges while it trains.
#pragma once

#include <functional>
#include <string>

#include "adapter/lora.h"
#include "judge/judge.h"

namespace gavel {

struct TrialRequest {
  std::string file;                   // of labelled pairs
  int64_t limit = 0;                  // only the first so many; 0: all
  Metric metric = Metric::agreement;  // or consistency
  bool both_orders = false;           // also where the metric does not need them
};

struct Trial {
  double metric = 0;
  // JSON: {"pairs": N, "figures": {"agreement": ..}, "judgements": [..]}, of which a few are
  // written out, always the same ones, with long texts cut.
  std::string entry;
};

// Judges the pairs by an adapter. Pairs that have reasons are judged by writing one, others by
// scoring the labels. The model must outlive the function. Throws Error for a file without labelled
// pairs.
std::function<Trial(const Adapter&)> make_judge_trial(const Model& model,
                                                      const TextEncoder& encoder,
                                                      const JudgeTemplate& prompt,
                                                      const std::vector<int>& eos_token_ids,
                                                      const TrialRequest& request);

}  // namespace gavel
