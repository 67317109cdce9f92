// Parts of an evaluation's output that pairs and single answers have in common. Internal to
// src/judge.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "judge/answer_metrics.h"
#include "judge/eval_format.h"
#include "judge/evaluate.h"

namespace gavel {

// `name`, `adapter`, `step`.
nlohmann::ordered_json judge_head(const EvalJudge& judge);
// Latency, answers per second and cost, with intervals.
nlohmann::ordered_json speed_json(const EvalResult& result, const EvalRequest& request);
// The bins of reliability(), for `reliability` and, after calibration, `reliability_scaled`.
nlohmann::ordered_json reliability_json(std::span<const Judgement> judgements);
// `coverage`; where it was calibrated `calibration`, `temperature`, `sure`, and `calibrations`.
void add_honesty(nlohmann::ordered_json& judge, const EvalResult& result,
                 const EvalRequest& request);
// The temperature of a judge of eval.json, or its map's name; "-" where it is not calibrated.
std::string calibration_text(const nlohmann::ordered_json& judge);
// Appends to "tables" what follows from the rest of eval.json: measures by label, what needs no
// judge, the people's own agreement, how right the surest verdicts are, thresholds, probes.
void add_trust_tables(nlohmann::ordered_json& evaluation);
// `baselines`, what needs no judge; null of criteria, whose labels are many.
nlohmann::ordered_json baselines_json(const JudgeForm& form, std::span<const Judgement> judgements,
                                      const BootstrapOptions& options);
// `only_first`, ... of a comparison.
nlohmann::ordered_json comparison_head(const EvalResult& first, const EvalResult& second,
                                       int64_t only_first, int64_t only_second, double p);
// "tuned against base: +65.0 points of agreement [+55.0, +74.2]; ..." for each comparison.
std::string comparison_lines(const nlohmann::ordered_json& evaluation, const std::string& measure);

// --- single answers (answer_output.cpp) ---------------------------------------------------------

// Measures with their intervals, of any form.
nlohmann::ordered_json measures_json(const JudgeForm& form, std::span<const Judgement> judgements,
                                     const BootstrapOptions& options);
// A judge of eval.json, and what it is against another one.
nlohmann::ordered_json answer_judge_json(const EvalResult& result, const EvalRequest& request);
nlohmann::ordered_json answer_comparison_json(const EvalResult& first, const EvalResult& second,
                                              const EvalRequest& request);
// How far the annotators agree, by part; null where the rows hold no ratings.
nlohmann::ordered_json raters_json(std::span<const JudgePair> answers, const JudgeForm& form,
                                   const BootstrapOptions& options);
// eval.json of single answers for the terminal.
std::string answer_table(const nlohmann::ordered_json& evaluation);
// A measure as a cell: "81.2 [75.0, 87.5]" of a share, "0.61 [0.50, 0.70]" of others.
std::string measure_cell(const nlohmann::ordered_json& metrics, const std::string& name);

}  // namespace gavel
