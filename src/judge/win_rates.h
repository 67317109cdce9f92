// What a judge's verdicts say of the models whose answers it compared: win rates, corrected for the
// judge's own errors and for length, Bradley-Terry scores, and whether it favours its own family.
//
// A verdict is worth 1, 1/2 (a tie) or 0 to each model; pairs without a readable verdict, or of one
// model with itself, count for nothing. NaN is what is not defined.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "judge/eval_tables.h"
#include "judge/evaluate.h"

namespace gavel {

struct ComparedPair {
  size_t row = 0;       // of the judgements
  size_t a = 0, b = 0;  // places of the models
  double verdict = 0;   // what it is worth to A
  double label = 0;     // NaN where there is none
  double longer = 0;    // length of A less that of B, in characters
};
struct Comparisons {
  size_t rows = 0;                  // of the judgements
  std::vector<std::string> models;  // by name
  std::vector<ComparedPair> pairs;
  int64_t unreadable = 0;  // pairs of two models without a verdict
};
// More models than that are no comparison of models, and would take memory by their square.
inline constexpr size_t kMostModels = 128;

// Of the pairs whose meta names two models (model_a, model_b).
Comparisons comparisons_of(std::span<const JudgePair> pairs, std::span<const Judgement> judgements);

// Mean worth to A of the verdicts on the labelled pairs that A wins, and on those that B wins.
struct JudgeError {
  double on_wins = 0, on_losses = 0;
};
JudgeError error_of(std::span<const Judgement> labelled, std::span<const uint32_t> sample);
// Rogan and Gladen's estimate of the true share from the judge's: (share - on_losses) / (on_wins -
// on_losses), within [0, 1]; a labelled tie counts as midway. NaN for a judge that is no better
// than chance.
double corrected_share(double share, const JudgeError& error);

// Bradley and Terry's scores as log-odds with mean 0, from wins[i][j], how often i beat j (a tie is
// half of each). NaN unless every model has been beaten by, and has beaten, every other one, if
// only by way of others: there is no finite best fit then.
std::vector<double> bradley_terry(const std::vector<std::vector<double>>& wins);

// The win rate at no difference in length: the regression of AlpacaEval 2 (Dubois et al. 2024) of
// the worth on tanh(difference / its standard deviation), without its terms for the instruction's
// difficulty and its penalty. NaN where one side always wins.
double length_controlled(std::span<const double> worth, std::span<const double> longer);

struct ModelRates {
  std::string model;
  int64_t pairs = 0, labelled = 0;
  Interval judge, labels, corrected, length_controlled;
  Interval bradley_terry;  // on Elo's scale: mean 1000, 400 for ten to one
};
// Of every model, the best first. The judge's error is known from `labelled`, or where that is
// empty from `judgements`, which the comparisons are of.
std::vector<ModelRates> model_rates(const Comparisons& comparisons,
                                    std::span<const Judgement> judgements,
                                    std::span<const Judgement> labelled,
                                    const BootstrapOptions& options);

// Of the pairs where one answer alone is of a family: its share of wins by the verdicts, by the
// labels, and their difference.
struct FamilyPreference {
  int64_t pairs = 0;
  Interval judge, labels, difference;
};
FamilyPreference family_preference(const Comparisons& comparisons, const std::string& family,
                                   const BootstrapOptions& options);
// The first letters of a model's name, in lower case: "org/Qwen2.5-7B" is of "qwen".
std::string family_of(const std::string& model);

// --- in eval.json
// ---------------------------------------------------------------------------------

// `win_rates` of eval.json and its tables, where the pairs name two models or more: `compared`,
// judged as each result's `compared` says, or where there are none those of --data. Throws Error
// where there are, and no pair names two or they name more than kMostModels; of --data's own pairs
// so many are left out with a warning.
void add_win_rates(nlohmann::ordered_json& evaluation, std::span<const EvalResult> results,
                   std::span<const JudgePair> pairs, std::span<const JudgePair> compared,
                   const EvalRequest& request);

}  // namespace gavel
