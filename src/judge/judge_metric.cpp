#include "judge/judge_metric.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "judge/answer_metrics.h"
#include "judge/judgement_log.h"
#include "judge/pairs.h"

namespace gavel {

std::function<double(const Adapter&)> make_judge_metric(const Model& model, TextEncoder encoder,
                                                        JudgeTemplate prompt,
                                                        std::vector<int> eos_token_ids,
                                                        const std::string& file, int64_t limit,
                                                        Metric metric) {
  auto pairs = read_pairs(file, true, prompt.form());
  if (!prompt.form().of_pairs() && metric != Metric::agreement)
    throw UsageError(fmt::format("one answer (form {}) has no {}", to_string(prompt.form().kind),
                                 metric_name(metric)));
  if (limit > 0 && pairs.size() > static_cast<size_t>(limit))
    pairs.resize(static_cast<size_t>(limit));
  JudgeOptions options;
  options.mode = pairs.front().reason.empty() ? JudgeMode::verdict : JudgeMode::reason;
  options = options_for(prompt.form(), options, false);
  if (prompt.form().of_pairs()) options.second_order = metric == Metric::consistency;
  options.max_tokens = 200;
  return [=, &model](const Adapter& adapter) {
    const ModelLora lora = bind(model, adapter);
    const auto judge = make_judge_model(model, &lora, encoder, prompt, eos_token_ids);
    const auto judged = judge_pairs(judge, pairs, options);
    std::vector<Judgement> judgements;
    for (size_t i = 0; i < pairs.size(); ++i)
      judgements.push_back(to_judgement(pairs[i], judged[i]));
    if (!judge.prompt.form().of_pairs()) return share_right(judgements);
    return value_of(measure(judgements), metric);
  };
}

}  // namespace gavel
