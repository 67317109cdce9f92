// The judge's own measure while it trains: how well an adapter judges the validation pairs.
#pragma once

#include <functional>
#include <string>

#include "adapter/lora.h"
#include "judge/judge.h"

namespace gavel {

// Agreement or consistency (of pairs) of an adapter on at most `limit` pairs of `file` (0: all).
// Pairs that have reasons are judged by writing one, others by scoring the labels. The model must
// outlive the function. Throws Error for a file without labelled pairs.
std::function<double(const Adapter&)> make_judge_metric(const Model& model, TextEncoder encoder,
                                                        JudgeTemplate prompt,
                                                        std::vector<int> eos_token_ids,
                                                        const std::string& file, int64_t limit,
                                                        Metric metric);

}  // namespace gavel
