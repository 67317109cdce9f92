#include "judge/judge_metric.h"

#include <algorithm>
#include <cmath>

#include "judge/judgement_log.h"
#include "judge/pairs.h"

namespace gavel {

std::function<double(const Adapter&)> make_judge_metric(const Model& model, TextEncoder encoder,
                                                        JudgeTemplate prompt,
                                                        std::vector<int> eos_token_ids,
                                                        const std::string& file, int64_t limit,
                                                        Metric metric) {
  auto pairs = read_pairs(file, true);
  if (limit > 0 && pairs.size() > static_cast<size_t>(limit))
    pairs.resize(static_cast<size_t>(limit));
  JudgeOptions options;
  options.mode = pairs.front().reason.empty() ? JudgeMode::verdict : JudgeMode::reason;
  options = options_for(prompt.form(), options, false);
  options.second_order = metric == Metric::consistency;
  options.max_tokens = 200;
  return [=, &model](const Adapter& adapter) {
    const ModelLora lora = bind(model, adapter);
    const auto judge = make_judge_model(model, &lora, encoder, prompt, eos_token_ids);
    const auto judged = judge_pairs(judge, pairs, options);
    std::vector<Judgement> judgements;
    for (size_t i = 0; i < pairs.size(); ++i)
      judgements.push_back(to_judgement(pairs[i], judged[i]));
    return value_of(measure(judgements), metric);
  };
}

}  // namespace gavel
