// eval.json and the terminal's tables of judges of one answer.
#include <fmt/format.h>

#include <algorithm>

#include "judge/eval_parts.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostCells = 11;  // values of a scale whose confusion is printed

double value_at(const Json& group, const char* name) {
  const auto it = group.find(name);
  if (it == group.end()) return number_or_nan(Json());
  return number_or_nan(it->is_object() ? (*it)["value"] : *it);
}

Json confusion_json(const RatedPart& part, std::span<const Judgement> judgements, size_t place) {
  std::vector<std::string> verdicts = part.texts;
  verdicts.emplace_back("none");
  return {{"part", part.name},
          {"labels", part.texts},
          {"verdicts", verdicts},
          {"counts", rating_confusion(judgements, place)}};
}

void add_calibrated(Json& judge, std::vector<Judgement> judgements, const Calibration& calibration,
                    const EvalRequest& request) {
  for (Judgement& j : judgements) j = calibrated(j, calibration);
  const auto after = bootstrap_numbers(judgements.size(), request.bootstrap,
                                       [&](std::span<const uint32_t> sample) {
                                         const RatingHonesty h = rating_honesty(judgements, sample);
                                         return std::vector<double>{h.ece, h.nll};
                                       });
  judge["metrics"]["ece_calibrated"] = interval_json(after[0]);
  judge["metrics"]["nll_calibrated"] = interval_json(after[1]);
  judge["reliability_scaled"] = reliability_json(judgements);
}

// "tpr" as a head of a column.
std::string head_of(const std::string& name) {
  std::string head = name;
  std::replace(head.begin(), head.end(), '_', ' ');
  return is_answer_share(name) ? head + " %" : head;
}

std::string table_of(const Json& evaluation, const std::vector<const char*>& names) {
  TableRows rows(1, {"judge"});
  for (const char* name : names) rows[0].push_back(head_of(name));
  for (const Json& judge : evaluation["judges"]) {
    auto& row = rows.emplace_back(TableRows::value_type{judge["name"].get<std::string>()});
    for (const char* name : names) row.push_back(measure_cell(judge["metrics"], name));
  }
  return aligned(rows);
}

std::string speed_table(const Json& evaluation) {
  TableRows rows = {{"judge", "tokens", "p50 s", "p95 s", "answers/s", "cost/1000"}};
  for (const Json& judge : evaluation["judges"]) {
    const Json& speed = judge["speed"];
    rows.push_back({judge["name"], short_number(value_at(judge["metrics"], "tokens"), 1),
                    short_value(value_at(speed, "latency_p50")),
                    short_value(value_at(speed, "latency_p95")),
                    short_value(value_at(speed, "answers_per_second")),
                    short_value(value_at(speed, "cost_per_1000"))});
  }
  return aligned(rows);
}

// A line a criterion and judge.
std::string criteria_table(const Json& evaluation) {
  constexpr std::array<const char*, 7> kNames = {
      "agreement", "weighted_kappa",    "spearman",    "kendall_tau",
      "mae",       "spearman_expected", "mae_expected"};
  TableRows rows(1, {"criterion", "judge"});
  for (const char* name : kNames) rows[0].push_back(head_of(name));
  for (const Json& name : evaluation["parts"])
    for (const Json& judge : evaluation["judges"]) {
      auto& row = rows.emplace_back(TableRows::value_type{name, judge["name"]});
      for (const char* measure : kNames)
        row.push_back(measure_cell(judge["metrics"], name.get<std::string>() + "." + measure));
    }
  return aligned(rows);
}

std::string confusion_table(const Json& judge, const Json& confusion) {
  if (confusion["labels"].size() > kMostCells) return "";
  TableRows rows(1, {fmt::format("{}, {}: people \\ judge", judge["name"].get<std::string>(),
                                 confusion["part"].get<std::string>())});
  for (const Json& name : confusion["verdicts"]) rows[0].push_back(name);
  for (size_t i = 0; i < confusion["labels"].size(); ++i) {
    auto& row = rows.emplace_back(TableRows::value_type{confusion["labels"][i]});
    for (const Json& n : confusion["counts"].at(i)) row.push_back(n.dump());
  }
  return "\n" + aligned(rows);
}

// How honest the probabilities are, and after the calibration where there is one.
std::string honesty_table(const Json& evaluation) {
  TableRows rows = {{"judge", "ece %", "nll", "temp."}};
  for (const Json& judge : evaluation["judges"]) {
    const auto cell = [&](const std::string& name, double unit, int digits) {
      const auto number = [&](const std::string& of) {
        return short_number(unit * value_at(judge["metrics"], of.c_str()), digits);
      };
      const bool calibrated = judge["metrics"].contains(name + "_calibrated");
      return number(name) + (calibrated ? " -> " + number(name + "_calibrated") : "");
    };
    rows.push_back(
        {judge["name"], cell("ece", 100, 1), cell("nll", 1, 3), calibration_text(judge)});
  }
  return aligned(rows);
}

}  // namespace

std::string measure_cell(const Json& metrics, const std::string& name) {
  const auto it = metrics.find(name);
  if (it == metrics.end() || !(*it)["value"].is_number()) return "-";
  if (is_answer_share(name)) return percent_with_interval(*it);
  const auto at = [&](const char* key) { return short_number(number_or_nan((*it)[key]), 2); };
  return (*it)["low"].is_number() ? fmt::format("{} [{}, {}]", at("value"), at("low"), at("high"))
                                  : at("value");
}

Json measures_json(const JudgeForm& form, std::span<const Judgement> judgements,
                   const BootstrapOptions& options) {
  if (form.of_pairs()) return metrics_json(bootstrap(judgements, options));
  Json metrics = Json::object();
  const auto names = answer_metric_names(form);
  const auto intervals = bootstrap_answers(form, judgements, options);
  for (size_t m = 0; m < names.size(); ++m) metrics[names[m]] = interval_json(intervals[m]);
  return metrics;
}

Json answer_judge_json(const EvalResult& result, const EvalRequest& request) {
  const auto& judgements = result.set.judgements;
  Json judge = judge_head(result.judge);
  judge["metrics"] = measures_json(request.form, judgements, request.bootstrap);
  const auto parts = rated_parts(request.form);
  if (parts.size() == 1) {
    judge["confusion"] = confusion_json(parts[0], judgements, 0);
  } else {
    judge["confusions"] = Json::array();
    for (size_t k = 0; k < parts.size(); ++k)
      judge["confusions"].push_back(confusion_json(parts[k], judgements, k));
  }
  add_honesty(judge, result, request);
  judge["reliability"] = reliability_json(judgements);
  if (result.calibration) add_calibrated(judge, judgements, *result.calibration, request);
  judge["speed"] = speed_json(result, request);
  if (!result.paraphrases.results.empty())
    judge["paraphrases"] = paraphrases_json(result.paraphrases);
  for (const ProbeResult& p : result.probes)
    judge["probes"].push_back({{"probe", p.probe->name},
                               {"what", p.probe->what},
                               {"answers", p.pairs},
                               {"raised", p.flipped},
                               {"rate", interval_json(p.rate)},
                               {"change", interval_json(p.change)}});
  return judge;
}

Json answer_comparison_json(const EvalResult& first, const EvalResult& second,
                            const EvalRequest& request) {
  const AnswerTest test =
      compare_answers(request.form, first.set.judgements, second.set.judgements, request.bootstrap);
  Json comparison =
      comparison_head(first, second, test.only_first, test.only_second, test.mcnemar_p);
  const auto names = answer_metric_names(request.form);
  for (size_t m = 0; m < names.size(); ++m)
    comparison["differences"][names[m]] = interval_json(test.difference[m]);
  return comparison;
}

Json raters_json(std::span<const JudgePair> answers, const JudgeForm& form,
                 const BootstrapOptions& options) {
  const auto rated = std::count_if(answers.begin(), answers.end(),
                                   [](const JudgePair& a) { return !a.ratings.empty(); });
  if (rated == 0) return nullptr;
  const auto parts = rated_parts(form);
  Json people = {{"answers", rated}};
  for (size_t k = 0; k < parts.size(); ++k) {
    const RatingsAgreement r = ratings_agreement(
        answers, k, parts[k].numbers ? AlphaLevel::ordinal : AlphaLevel::nominal, options);
    people["alpha"][parts[k].name] = interval_json(r.alpha);
    people["pairwise"][parts[k].name] = interval_json(r.pairwise);
    if (parts[k].numbers) people["distance"][parts[k].name] = interval_json(r.distance);
  }
  return people;
}

std::string answer_table(const Json& evaluation) {
  const std::string form = evaluation["form"];
  std::string out =
      fmt::format("{} answers, form {}, mode {}; [{:.0f}% bootstrap intervals]\n\n",
                  evaluation["examples"].get<size_t>(), form, evaluation["mode"].get<std::string>(),
                  100 * evaluation["bootstrap"]["level"].get<double>());
  std::string headline = "agreement";
  if (form == "pass") {
    headline = "accuracy";
    out += table_of(evaluation, {"accuracy", "kappa", "tpr", "tnr", "unparsable"}) + "\n" +
           table_of(evaluation, {"precision", "precision_fail", "recall", "f1", "pass_rate"});
  } else if (form == "score") {
    out +=
        table_of(evaluation,
                 {"agreement", "weighted_kappa", "spearman", "kendall_tau", "mae", "unparsable"}) +
        "\n" + table_of(evaluation, {"spearman_expected", "kendall_tau_expected", "mae_expected"});
  } else {
    out += table_of(evaluation, {"agreement", "weighted_kappa", "total.spearman",
                                 "total.kendall_tau", "total.mae", "unparsable"}) +
           "\n" +
           table_of(evaluation, {"total.spearman_expected", "total.kendall_tau_expected",
                                 "total.mae_expected"}) +
           "\n" + criteria_table(evaluation);
  }
  out += "\n" + honesty_table(evaluation) + "\n" + speed_table(evaluation);
  for (const Json& judge : evaluation["judges"])
    if (judge.contains("confusion")) out += confusion_table(judge, judge["confusion"]);
  return out + comparison_lines(evaluation, headline);
}

}  // namespace gavel
