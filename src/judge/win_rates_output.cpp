// Win rates in eval.json, and their tables.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "judge/win_rates.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

Json rates_json(const ModelRates& r) {
  return {{"model", r.model},
          {"pairs", r.pairs},
          {"labelled", r.labelled},
          {"judge", interval_json(r.judge)},
          {"labels", interval_json(r.labels)},
          {"corrected", interval_json(r.corrected)},
          {"length_controlled", interval_json(r.length_controlled)},
          {"bradley_terry", interval_json(r.bradley_terry)}};
}

std::string score_text(const Json& i) {
  if (!i["value"].is_number()) return "-";
  return fmt::format("{} [{}, {}]", short_number(i["value"].get<double>(), 0),
                     short_number(number_or_nan(i["low"]), 0),
                     short_number(number_or_nan(i["high"]), 0));
}

EvalTable rates_table(const Json& list) {
  TableRows rows = {{"judge", "model", "pairs", "by the judge %", "by the labels %", "corrected %",
                     "length-controlled %", "Bradley-Terry"}};
  for (const Json& entry : list)
    for (const Json& r : entry["models"])
      rows.push_back(
          {entry["judge"], r["model"], r["pairs"].dump(), percent_with_interval(r["judge"]),
           percent_with_interval(r["labels"]), percent_with_interval(r["corrected"]),
           percent_with_interval(r["length_controlled"]), score_text(r["bradley_terry"])});
  return {"Win rates of the models (a tie is half)",
          "Corrected: for the judge's errors on the labelled pairs of --data (Rogan and Gladen). "
          "Length-controlled: at no difference in length, without AlpacaEval's term for the "
          "instruction's difficulty. Bradley-Terry: Elo's scale, mean 1000.",
          std::move(rows)};
}

EvalTable family_table(const Json& list) {
  TableRows rows = {{"judge", "family", "pairs", "wins by the judge %", "wins by the labels %",
                     "difference, points"}};
  for (const Json& entry : list) {
    const Json& f = entry["family"];
    if (f["pairs"] == 0) continue;
    rows.push_back({entry["judge"], f["name"], f["pairs"].dump(), percent_with_interval(f["judge"]),
                    percent_with_interval(f["labels"]), percent_with_interval(f["difference"])});
  }
  return {"Preference for its own family",
          "Of pairs where one answer alone is of the family: above 0, the judge favours it.",
          std::move(rows)};
}

}  // namespace

void add_win_rates(Json& evaluation, std::span<const EvalResult> results,
                   std::span<const JudgePair> pairs, std::span<const JudgePair> compared,
                   const EvalRequest& request) {
  const bool own = compared.empty();
  const std::string family = request.family.empty() ? family_of(request.model) : request.family;
  std::string lower = family;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  Json list = Json::array();
  for (const EvalResult& result : results) {
    const auto& judgements = own ? result.set.judgements : result.compared.judgements;
    const Comparisons c = comparisons_of(own ? pairs : compared, judgements);
    if (c.pairs.empty() && c.unreadable == 0) break;
    if (c.models.size() > kMostModels) {
      const std::string what =
          fmt::format("the pairs name {} models, and win rates are of at most {}", c.models.size(),
                      kMostModels);
      if (!own || !request.family.empty()) fail("{}", what);
      spdlog::warn("{}: they are left out", what);
      return;
    }
    Json models = Json::array();
    const auto labelled = own ? std::span<const Judgement>() : result.set.judgements;
    for (const ModelRates& r : model_rates(c, judgements, labelled, request.bootstrap))
      models.push_back(rates_json(r));
    const FamilyPreference f = family_preference(c, lower, request.bootstrap);
    list.push_back({{"judge", result.judge.name},
                    {"pairs", c.pairs.size()},
                    {"unreadable", c.unreadable},
                    {"models", std::move(models)},
                    {"family",
                     {{"name", family},
                      {"pairs", f.pairs},
                      {"judge", interval_json(f.judge)},
                      {"labels", interval_json(f.labels)},
                      {"difference", interval_json(f.difference)}}}});
  }
  if (list.empty()) {
    if (!own)
      fail("--win-rates: no pair of {} names two models (model_a and model_b)", request.win_rates);
    if (!request.family.empty())
      fail("--family {}: no pair names two models (model_a and model_b)", request.family);
    return;
  }
  if (!request.family.empty() && std::all_of(list.begin(), list.end(), [](const Json& entry) {
        return entry["family"]["pairs"] == 0;
      }))
    fail("--family {}: there is no labelled pair of which one answer alone is of such a model",
         request.family);
  add_table(evaluation, rates_table(list));
  add_table(evaluation, family_table(list));
  evaluation["win_rates"] = std::move(list);
}

}  // namespace gavel
