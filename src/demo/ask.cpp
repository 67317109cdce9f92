#include "demo/ask.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/progress.h"
#include "generate/session.h"
#include "judge/calibration.h"
#include "judge/calibration_fit.h"
#include "judge/judge_stream.h"
#include "judge/judgement_log.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

constexpr double kMaxError = 0.1, kLevel = 0.95;

JudgeOptions both_orders() {
  JudgeOptions options;
  options.both_orders = true;
  options.max_tokens = kDemoMaxTokens;
  return options;
}

// Judgements with probabilities; nothing where it was stopped.
std::optional<std::vector<Judgement>> judge_validation(const JudgeModel& model,
                                                       std::span<const JudgePair> pairs,
                                                       const std::function<bool()>& stop) {
  std::vector<Judgement> known;
  Progress progress("how sure", static_cast<int64_t>(pairs.size()), "pairs", 0);
  for (size_t i = 0; i < pairs.size(); i += kDemoMaxBatch) {
    if (stop()) return std::nullopt;
    const auto some = pairs.subspan(i, std::min<size_t>(kDemoMaxBatch, pairs.size() - i));
    const auto judged = judge_pairs(model, some, both_orders());
    for (size_t k = 0; k < some.size(); ++k)
      if (const Judgement j = to_judgement(some[k], judged[k]); j.probabilities) known.push_back(j);
    progress.update(static_cast<int64_t>(i + some.size()));
  }
  progress.finish();
  return known;
}

Calibration fit(const std::vector<Judgement>& known) {
  if (!known.empty())
    return fit_calibration(known, {}, CalibrationMethod::temperature, kMaxError, kLevel);
  Calibration unknown;
  unknown.threshold = 2;  // no probability is as high
  unknown.max_error = kMaxError;
  return unknown;
}

}  // namespace

bool ask_judge(const DemoOptions& o, const fs::path& adapter, const DemoSet& set,
               const std::function<bool()>& stop_requested) {
  const auto session = open_session(o.model, make_backend(o.device));
  const auto lora = load_lora(*session, adapter.string());
  const auto model =
      make_judge_model(session->model, &*lora, session->encoder, JudgeTemplate::standard(),
                       session->loaded.eos_token_ids, kDemoMaxBatch);
  const auto known = judge_validation(model, set.valid, stop_requested);
  if (!known) return false;
  const Calibration c = fit(*known);
  save_calibration(adapter, JudgeMode::reason, true, c);
  if (*c.threshold <= 1)
    fmt::print(
        "\nBelow {:.1f}% sure, a person should decide: from there on at most {:.0f}% of the "
        "verdicts are wrong (fitted on {} validation pairs).\n",
        100 * *c.threshold, 100 * kMaxError, c.examples);
  else
    fmt::print(
        "\n{} validation pairs show no confidence from which on at most {:.0f}% of the "
        "verdicts are wrong.\n",
        c.examples, 100 * kMaxError);
  JudgeOptions options = both_orders();
  options.map = c.map;
  JudgePair outside;
  outside.question = "What is 17 + 25?";
  outside.answer_a = "42";
  outside.answer_b = "41";
  for (const JudgePair& pair : {set.test.front(), outside}) {
    if (stop_requested()) return false;
    fmt::print("\nQuestion: {}\nAnswer A: {}\nAnswer B: {}\n\n", pair.question, pair.answer_a,
               pair.answer_b);
    const JudgedPair judged = judge_pairs(model, std::span(&pair, 1), options).front();
    fmt::print("{}",
               judged_text(judged, model.prompt.form(), needs_a_person(c, confidence(judged))));
    std::fflush(stdout);
  }
  return true;
}

}  // namespace gavel
