// The tables of an evaluation that say how far its judges can be trusted, from eval.json.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "judge/eval_parts.h"
#include "judge/eval_tables.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

const Json& child(const Json& object, const char* key) {
  static const Json kNothing = Json::array();
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? kNothing : *it;
}

// "0.61 [0.50, 0.70]" of {value, low, high}.
std::string number_cell(const Json& interval) {
  const auto at = [&](const char* key) { return short_number(number_or_nan(interval[key]), 2); };
  return interval["low"].is_number()
             ? fmt::format("{} [{}, {}]", at("value"), at("low"), at("high"))
             : at("value");
}

EvalTable classes_table(const Json& evaluation) {
  TableRows rows = {{"judge", "label", "pairs", "verdicts", "precision %", "recall (TPR) %",
                     "specificity (TNR) %", "F1 %"}};
  for (const Json& judge : evaluation["judges"])
    for (const Json& c : child(judge, "classes")) {
      if (c["support"] == 0 && c["predicted"] == 0) continue;
      rows.push_back({judge["name"], c["class"], c["support"].dump(), c["predicted"].dump(),
                      percent_with_interval(c["precision"]), percent_with_interval(c["recall"]),
                      percent_with_interval(c["specificity"]), percent_with_interval(c["f1"])});
    }
  return {"By label", "", std::move(rows)};
}

EvalTable baselines_table(const Json& evaluation) {
  TableRows rows = {{"without a judge", "value"}};
  if (const Json& b = child(evaluation, "baselines"); b.is_object()) {
    rows.push_back(
        {fmt::format("always {}, the most frequent label, %", b["label"].get<std::string>()),
         percent_with_interval(b["majority"])});
    if (b.contains("always_longer")) {
      rows.push_back({"always the longer answer, of what has a winner, %",
                      percent_with_interval(b["always_longer"])});
      rows.push_back({"slope of the labels on length", number_cell(b["length_slope"])});
    }
  }
  return {"What a judge must beat", "", std::move(rows)};
}

EvalTable people_table(const Json& evaluation) {
  TableRows rows = {{"the people themselves", "value"}};
  const Json& people = child(evaluation, "people");
  std::string note;
  if (people.contains("pairs")) {
    rows.push_back({"Krippendorff's alpha", number_cell(people["alpha"])});
    rows.push_back({"two of them agree, %", percent_with_interval(people["pairwise"])});
    rows.push_back({"one agrees with the majority of the others, %",
                    percent_with_interval(people["against_others"])});
    note = fmt::format("{} votes on {} pairs.", people["votes"].get<int64_t>(),
                       people["pairs"].get<int64_t>());
  } else if (people.contains("answers")) {
    for (const auto& [part, alpha] : people["alpha"].items()) {
      rows.push_back({fmt::format("{}: Krippendorff's alpha", part), number_cell(alpha)});
      rows.push_back({fmt::format("{}: two of them agree, %", part),
                      percent_with_interval(people["pairwise"][part])});
      if (people.contains("distance") && people["distance"].contains(part))
        rows.push_back({fmt::format("{}: mean distance of two of them", part),
                        number_cell(people["distance"][part])});
    }
    note = fmt::format("{} answers with several ratings.", people["answers"].get<int64_t>());
  }
  return {"The ceiling: how far people agree", std::move(note), std::move(rows)};
}

// Shares right among the surest tenth, quarter, ...
EvalTable coverage_table(const Json& evaluation) {
  constexpr std::array kShares = {0.1, 0.25, 0.5, 0.75, 1.0};
  TableRows rows(1, {"judge"});
  for (const double share : kShares) rows[0].push_back(fmt::format("surest {:.0f}%", 100 * share));
  const auto examples = evaluation["examples"].get<double>();
  const double level = evaluation["bootstrap"]["level"];
  for (const Json& judge : evaluation["judges"]) {
    const Json& points = child(judge, "coverage");
    // Of equally sure ones all or none count: without probabilities there is one point alone.
    if (points.size() < 2) continue;
    auto& row = rows.emplace_back(TableRows::value_type{judge["name"].get<std::string>()});
    for (const double share : kShares)
      for (const Json& point : points) {
        const auto coverage = point["coverage"].get<double>();
        if (coverage < share - 1e-9) continue;
        const int64_t n = std::llround(coverage * examples);
        const int64_t right = std::llround(point["accuracy"].get<double>() * coverage * examples);
        row.push_back(percent_with_interval(interval_json(wilson_interval(right, n, level))));
        break;
      }
  }
  return {"Right verdicts among the surest, %", "With Wilson's intervals.", std::move(rows)};
}

EvalTable sure_table(const Json& evaluation) {
  TableRows rows = {
      {"judge", "wrong at most %", "from a confidence of", "sure enough", "of these wrong %"}};
  for (const Json& judge : evaluation["judges"]) {
    if (!judge.contains("sure")) continue;
    const Json& s = judge["sure"];
    rows.push_back({judge["name"], fmt::format("{:.3g}", 100 * s["max_error"].get<double>()),
                    // Above 1 where no confidence suffices.
                    s["threshold"] > 1 ? "-" : short_number(s["threshold"].get<double>(), 3),
                    s["pairs"].dump(), percent_with_interval(s["error"])});
  }
  return {"Verdicts that are sure enough", "The others are for people: for_people.jsonl.",
          std::move(rows)};
}

// Pairs that are unlike those which the judge was calibrated on.
EvalTable strange_table(const Json& evaluation) {
  TableRows rows = {{"judge", "unlike the calibration's %"}};
  for (const Json& judge : evaluation["judges"])
    if (judge.contains("strange"))
      rows.push_back({judge["name"], percent(judge["strange"].get<double>())});
  return {"Pairs that are told less surely",
          "Their lengths are less like the calibration's than three quarters of its own.",
          std::move(rows)};
}

EvalTable probes_table(const Json& evaluation) {
  TableRows rows = {{"judge", "the worse answer", "pairs", "flipped %", "of these to it"}};
  for (const Json& judge : evaluation["judges"])
    for (const Json& p : child(judge, "probes"))
      rows.push_back({judge["name"], p["what"], p["pairs"].dump(), percent_with_interval(p["rate"]),
                      p["to_worse"].dump()});
  return {"Right verdicts that a probe turns", "", std::move(rows)};
}

EvalTable answer_probes_table(const Json& evaluation) {
  TableRows rows = {{"judge", "the answer", "answers", "raised %", "change"}};
  for (const Json& judge : evaluation["judges"])
    for (const Json& p : child(judge, "probes"))
      rows.push_back({judge["name"], p["what"], p["answers"].dump(),
                      percent_with_interval(p["rate"]), number_cell(p["change"])});
  return {"Answers that are not the best, dressed up", "Change: of the expected value.",
          std::move(rows)};
}

}  // namespace

void add_trust_tables(Json& evaluation) {
  add_table(evaluation, classes_table(evaluation));
  add_table(evaluation, baselines_table(evaluation));
  add_table(evaluation, people_table(evaluation));
  add_table(evaluation, coverage_table(evaluation));
  add_table(evaluation, sure_table(evaluation));
  add_table(evaluation, strange_table(evaluation));
  add_table(evaluation, evaluation.contains("parts") ? answer_probes_table(evaluation)
                                                     : probes_table(evaluation));
}

}  // namespace gavel
