#include "judge/judge_trial.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "judge/answer_metrics.h"
#include "judge/judgement_log.h"
#include "judge/pairs.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShown = 4;          // judgements that are written out
constexpr size_t kShownBytes = 2000;  // of each of their texts

// Long texts are cut, and what is only of use for judging again is left out.
Json shortened(Json judgement) {
  judgement.erase("prompt");
  judgement.erase("probabilities");
  judgement.erase("ratings");
  for (auto& [key, value] : judgement.items()) {
    if (!value.is_string()) continue;
    auto& text = value.get_ref<std::string&>();
    if (text.size() <= kShownBytes) continue;
    size_t end = kShownBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text = text.substr(0, end) + " …";
  }
  return judgement;
}

Json figures_of(const std::vector<Judgement>& judgements, bool of_pairs) {
  if (!of_pairs) return {{"accuracy", share_right(judgements)}};
  const MetricValues values = measure(judgements);
  Json figures = Json::object();
  for (const Metric m : {Metric::agreement, Metric::consistency, Metric::unparsable})
    if (const double value = value_of(values, m); std::isfinite(value))
      figures[std::string(metric_name(m))] = value;
  return figures;
}

}  // namespace

std::function<Trial(const Adapter&)> make_judge_trial(const Model& model,
                                                      const TextEncoder& encoder,
                                                      const JudgeTemplate& prompt,
                                                      const std::vector<int>& eos_token_ids,
                                                      const TrialRequest& request) {
  auto pairs = read_pairs(request.file, true, prompt.form());
  const bool of_pairs = prompt.form().of_pairs();
  if (!of_pairs && request.metric != Metric::agreement)
    throw UsageError(fmt::format("one answer (form {}) has no {}", to_string(prompt.form().kind),
                                 metric_name(request.metric)));
  if (request.limit > 0 && pairs.size() > static_cast<size_t>(request.limit))
    pairs.resize(static_cast<size_t>(request.limit));
  JudgeOptions options;
  options.mode = pairs.front().reason.empty() ? JudgeMode::verdict : JudgeMode::reason;
  options = options_for(prompt.form(), options, false);
  if (of_pairs) options.second_order = request.both_orders || request.metric == Metric::consistency;
  options.max_tokens = 200;
  return [=, &model, metric = request.metric](const Adapter& adapter) {
    const ModelLora lora = bind(model, adapter);
    const auto judge = make_judge_model(model, &lora, encoder, prompt, eos_token_ids);
    const auto judged = judge_pairs(judge, pairs, options);
    std::vector<Judgement> judgements;
    Json shown = Json::array();
    for (size_t i = 0; i < pairs.size(); ++i) {
      judgements.push_back(to_judgement(pairs[i], judged[i]));
      if (i >= kShown) continue;
      shown.push_back(shortened(judgement_json(pairs[i], judged[i], prompt.form())));
      shown.back()["right"] = is_right(judgements.back());
    }
    const Json entry = {{"pairs", pairs.size()},
                        {"figures", figures_of(judgements, of_pairs)},
                        {"judgements", std::move(shown)}};
    return Trial{of_pairs ? value_of(measure(judgements), metric) : share_right(judgements),
                 entry.dump(-1, ' ', false, Json::error_handler_t::replace)};
  };
}

}  // namespace gavel
