// What an evaluation gives out: eval.json and the terminal's table.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "judge/answer_metrics.h"
#include "judge/eval_parts.h"
#include "judge/reason.h"
#include "judge/selective.h"

namespace gavel {
using Json = nlohmann::ordered_json;

Json reliability_json(std::span<const Judgement> judgements) {
  Json bins = Json::array();
  for (const ReliabilityBin& bin : reliability(judgements))
    bins.push_back({{"low", bin.low},
                    {"high", bin.high},
                    {"count", bin.count},
                    {"confidence", bin.confidence},
                    {"accuracy", bin.accuracy}});
  return bins;
}

Json judge_head(const EvalJudge& judge) {
  Json head = {{"name", judge.name},
               {"adapter", judge.adapter.string()},
               {"step", judge.step ? Json(*judge.step) : Json()}};
  if (!judge.model.empty()) head["model"] = judge.model;
  return head;
}

Json comparison_head(const EvalResult& first, const EvalResult& second, int64_t only_first,
                     int64_t only_second, double p) {
  return {{"first", first.judge.name},
          {"second", second.judge.name},
          {"only_first", only_first},
          {"only_second", only_second},
          {"mcnemar_p", p},
          {"differences", Json::object()}};
}

Json speed_json(const EvalResult& result, const EvalRequest& request) {
  std::vector<double> seconds;
  for (const Judgement& j : result.set.judgements) seconds.push_back(j.seconds);
  const std::vector<double>& wall = result.set.wall;
  const SpeedIntervals intervals = bootstrap_speed(seconds, wall, request.bootstrap);
  const Interval& rate = intervals.answers_per_second;
  Json speed = {{"answers_per_second", interval_json(rate)},
                {"wall_seconds", number_json(std::accumulate(wall.begin(), wall.end(), 0.0))}};
  for (size_t k = 0; k < kLatencyPercents.size(); ++k)
    speed[fmt::format("latency_p{}", kLatencyPercents[k])] = interval_json(intervals.latency[k]);
  // The cost follows from the rate: the faster, the less.
  const auto cost = [&](double per_second) {
    return cost_per_1000(request.rates, 1 / per_second, 1);
  };
  if (cost(rate.value))
    speed["cost_per_1000"] = interval_json({*cost(rate.value), *cost(rate.high), *cost(rate.low)});
  return speed;
}

namespace {

// Verdicts that are sure enough, by the threshold fitted on the validation pairs.
Json sure_json(std::span<const Judgement> judgements, const Calibration& calibration,
               const EvalRequest& request) {
  int64_t sure = 0, wrong = 0;
  for (const Judgement& j : judgements) {
    if (needs_a_person(calibration, calibrated_confidence(j, calibration))) continue;
    ++sure;
    wrong += !is_right(j);
  }
  return {{"threshold", *calibration.threshold},
          {"max_error", calibration.max_error},
          {"pairs", sure},
          {"error", interval_json(wilson_interval(wrong, sure, request.bootstrap.level))}};
}

}  // namespace

void add_honesty(Json& judge, const EvalResult& result, const EvalRequest& request) {
  const auto& judgements = result.set.judgements;
  judge["coverage"] = Json::array();
  std::vector<Judgement> told;  // as surely as the judge tells them
  for (const Judgement& j : judgements)
    told.push_back(result.calibration ? calibrated(j, *result.calibration) : j);
  for (const CoveragePoint& p : coverage_curve(told))
    judge["coverage"].push_back(
        {{"threshold", p.threshold}, {"coverage", p.coverage}, {"accuracy", p.accuracy}});
  if (!result.trials.empty()) judge["calibrations"] = trials_json(result.trials);
  if (!result.calibration) return;
  const ProbabilityMap& map = result.calibration->map;
  judge["calibration"] = method_name(map.method);
  judge["temperature"] = map.temperature;
  if (map.tie_band > 0) judge["tie_band"] = map.tie_band;
  if (!map.familiarity.places.empty()) {
    const auto strange = std::count_if(judgements.begin(), judgements.end(), [&](const auto& j) {
      return strangeness(map.familiarity, size_of(j)) > 1;
    });
    judge["strange"] = static_cast<double>(strange) / static_cast<double>(judgements.size());
  }
  if (result.calibration->threshold)
    judge["sure"] = sure_json(judgements, *result.calibration, request);
}

namespace {

Json judge_json(const EvalResult& result, const EvalRequest& request) {
  const auto& judgements = result.set.judgements;
  Json judge = judge_head(result.judge);
  Json metrics = metrics_json(bootstrap(judgements, request.bootstrap));
  Json classes = Json::array();
  const Confusion counts = confusion(judgements);
  const auto scores = class_scores(counts);
  const auto ratios = bootstrap_classes(judgements, request.bootstrap);
  for (size_t k = 0; k < scores.size(); ++k)
    classes.push_back({{"class", to_string(scores[k].verdict)},
                       {"precision", interval_json(ratios[k].precision)},
                       {"recall", interval_json(ratios[k].recall)},
                       {"f1", interval_json(ratios[k].f1)},
                       {"specificity", interval_json(ratios[k].specificity)},
                       {"support", scores[k].support},
                       {"predicted", scores[k].predicted}});
  add_honesty(judge, result, request);
  if (result.calibration) {
    auto scaled = judgements;
    for (Judgement& j : scaled) j = calibrated(j, *result.calibration);
    const auto after = bootstrap(scaled, request.bootstrap);
    metrics["ece_calibrated"] = interval_json(after[static_cast<size_t>(Metric::ece)]);
    metrics["nll_calibrated"] = interval_json(after[static_cast<size_t>(Metric::nll)]);
    judge["reliability_scaled"] = reliability_json(scaled);
  }
  if (Json reasons = reasons_json(judgements, request.bootstrap); !reasons.is_null())
    judge["reasons"] = std::move(reasons);
  judge["metrics"] = std::move(metrics);
  judge["classes"] = std::move(classes);
  judge["confusion"] = {
      {"labels", {"A", "B", "tie"}}, {"verdicts", {"A", "B", "tie", "none"}}, {"counts", counts}};
  judge["reliability"] = reliability_json(judgements);
  judge["speed"] = speed_json(result, request);
  if (!result.paraphrases.results.empty())
    judge["paraphrases"] = paraphrases_json(result.paraphrases);
  if (!result.probes.empty()) judge["probes"] = Json::array();
  for (const ProbeResult& p : result.probes)
    judge["probes"].push_back({{"probe", p.probe->name},
                               {"what", p.probe->what},
                               {"pairs", p.pairs},
                               {"flipped", p.flipped},
                               {"to_worse", p.to_worse},
                               {"rate", interval_json(p.rate)}});
  return judge;
}

Json comparison_json(const EvalResult& first, const EvalResult& second,
                     const BootstrapOptions& options) {
  const PairedTest test = compare(first.set.judgements, second.set.judgements, options);
  Json comparison =
      comparison_head(first, second, test.only_first, test.only_second, test.mcnemar_p);
  for (size_t m = 0; m < kMetricCount; ++m) {
    Json difference = interval_json(test.difference[m]);
    difference["p"] = number_json(test.p[m]);
    comparison["differences"][std::string(metric_name(static_cast<Metric>(m)))] =
        std::move(difference);
  }
  return comparison;
}

double value_at(const Json& judge, const char* group, const char* name) {
  const Json& entry = judge[group].contains(name) ? judge[group][name] : Json();
  return number_or_nan(entry.is_object() ? entry["value"] : entry);
}

std::string with_interval(const Json& judge, const char* name) {
  return percent_with_interval(judge["metrics"][name]);
}

}  // namespace

Json evaluation_json(std::span<const EvalResult> results, const EvalRequest& request) {
  Json evaluation = {{"model", request.model},
                     {"data", request.data},
                     {"form", to_string(request.form.kind)},
                     {"mode", mode_name(request.options.mode)},
                     {"both_orders", request.options.both_orders},
                     {"examples", results.empty() ? 0 : results[0].set.judgements.size()},
                     {"bootstrap",
                      {{"resamples", request.bootstrap.resamples},
                       {"seed", request.bootstrap.seed},
                       {"level", request.bootstrap.level}}}};
  Json judges = Json::array(), comparisons = Json::array();
  const bool pairs = request.form.of_pairs();
  for (const EvalResult& result : results)
    judges.push_back(pairs ? judge_json(result, request) : answer_judge_json(result, request));
  for (size_t i = 1; i < results.size(); ++i)
    comparisons.push_back(pairs ? comparison_json(results[0], results[i], request.bootstrap)
                                : answer_comparison_json(results[0], results[i], request));
  for (const RatedPart& part : rated_parts(request.form)) evaluation["parts"].push_back(part.name);
  if (!results.empty())
    if (Json b = baselines_json(request.form, results[0].set.judgements, request.bootstrap);
        !b.is_null())
      evaluation["baselines"] = std::move(b);
  evaluation["judges"] = std::move(judges);
  evaluation["comparisons"] = std::move(comparisons);
  return evaluation;
}

namespace {

// Of score and pass: who always says the most frequent label.
Json answer_baselines(const RatedPart& part, std::span<const Judgement> judgements,
                      const BootstrapOptions& options) {
  std::map<int, size_t> counts;
  for (const Judgement& j : judgements) ++counts[*j.ratings.at(0).label];
  const auto more = [](const auto& x, const auto& y) { return x.second < y.second; };
  const int label = std::max_element(counts.begin(), counts.end(), more)->first;
  std::vector<double> same;
  for (const Judgement& j : judgements) same.push_back(j.ratings[0].label == label ? 1 : 0);
  return {{"label", part.text_of(label)},
          {"majority", interval_json(bootstrap_mean(same, options))}};
}

}  // namespace

Json baselines_json(const JudgeForm& form, std::span<const Judgement> judgements,
                    const BootstrapOptions& options) {
  if (judgements.empty() || form.kind == FormKind::criteria) return nullptr;
  if (!form.of_pairs()) return answer_baselines(rated_parts(form)[0], judgements, options);
  const Baselines b = baselines(judgements, options);
  return {{"label", to_string(b.label)},
          {"majority", interval_json(b.majority)},
          {"always_longer", interval_json(b.always_longer)},
          {"length_slope", interval_json(b.length_slope)}};
}

Json people_json(std::span<const JudgePair> pairs, const BootstrapOptions& options) {
  const PeopleAgreement people = people_agreement(pairs, options);
  if (people.pairs == 0) return nullptr;
  return {{"pairs", people.pairs},
          {"votes", people.votes},
          {"alpha", interval_json(people.alpha)},
          {"pairwise", interval_json(people.pairwise)},
          {"against_others", interval_json(people.against_others)}};
}

std::string comparison_lines(const Json& evaluation, const std::string& measure) {
  std::string out;
  for (const Json& c : evaluation["comparisons"]) {
    const Json& d = c["differences"][measure];
    if (!d["value"].is_number() || !d["low"].is_number()) continue;
    out += fmt::format(
        "\n{} against {}: {:+.1f} points of {} [{:+.1f}, {:+.1f}]; only it right {}, only {} right "
        "{}, McNemar p = {:.2g}",
        c["second"].get<std::string>(), c["first"].get<std::string>(),
        100 * d["value"].get<double>(), measure, 100 * d["low"].get<double>(),
        100 * d["high"].get<double>(), c["only_second"].get<int64_t>(),
        c["first"].get<std::string>(), c["only_first"].get<int64_t>(),
        c["mcnemar_p"].get<double>());
  }
  return out + (evaluation["comparisons"].empty() ? "" : "\n");
}

std::string calibration_text(const Json& judge) {
  if (!judge.contains("calibration")) return "-";
  const std::string method = judge["calibration"];
  if (method != method_name(CalibrationMethod::temperature)) return method;
  return short_number(judge["temperature"].get<double>(), 2);
}

std::string evaluation_table(const Json& evaluation) {
  if (evaluation.contains("parts")) return answer_table(evaluation);
  TableRows quality = {
      {"judge", "agreement %", "F1", "consistent %", "to 1st", "to 2nd", "unparsable"}};
  TableRows classes = {
      {"judge", "kappa", "precision", "recall", "without ties %", "ties judged %", "ties found %"}};
  TableRows length = {{"judge", "balanced by length %", "longer wins %", "shorter wins %",
                       "verdicts to longer %", "slope"}};
  TableRows rest = {
      {"judge", "ECE %", "NLL", "temp.", "tokens", "p50 s", "p95 s", "answers/s", "cost/1000"}};
  for (const Json& judge : evaluation["judges"]) {
    const std::string name = judge["name"];
    const auto metric = [&](const char* key) { return value_at(judge, "metrics", key); };
    const auto speed = [&](const char* key) { return value_at(judge, "speed", key); };
    quality.push_back({name, with_interval(judge, "agreement"), percent(metric("f1")),
                       with_interval(judge, "consistency"), percent(metric("bias_first")),
                       percent(metric("bias_second")), percent(metric("unparsable"))});
    classes.push_back({name, measure_cell(judge["metrics"], "kappa"), percent(metric("precision")),
                       percent(metric("recall")), with_interval(judge, "agreement_no_tie"),
                       percent(metric("tie_rate")), percent(metric("tie_recall"))});
    length.push_back({name, with_interval(judge, "agreement_balanced"),
                      percent(metric("agreement_longer")), percent(metric("agreement_shorter")),
                      percent(metric("prefers_longer")), short_number(metric("length_slope"), 2)});
    const bool scaled = judge.contains("calibration");
    std::string ece = percent(metric("ece")), nll = short_number(metric("nll"), 3);
    if (scaled) {
      ece += " -> " + percent(metric("ece_calibrated"));
      nll += " -> " + short_number(metric("nll_calibrated"), 3);
    }
    rest.push_back({name, ece, nll, calibration_text(judge), short_number(metric("tokens"), 1),
                    short_value(speed("latency_p50")), short_value(speed("latency_p95")),
                    short_value(speed("answers_per_second")), short_value(speed("cost_per_1000"))});
  }
  std::string out =
      fmt::format("{} pairs, mode {}, {}; [{:.0f}% bootstrap intervals]\n\n",
                  evaluation["examples"].get<size_t>(), evaluation["mode"].get<std::string>(),
                  evaluation["both_orders"].get<bool>() ? "both orders in one verdict"
                                                        : "verdict of the first order",
                  100 * evaluation["bootstrap"]["level"].get<double>());
  out += aligned(quality) + "\n" + aligned(classes) + "\n" + aligned(length) + "\n" + aligned(rest);
  return out + comparison_lines(evaluation, "agreement");
}

}  // namespace gavel
