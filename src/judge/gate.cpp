#include "judge/gate.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/blanks.h"
#include "base/error.h"
#include "judge/answer_metrics.h"
#include "text/markup.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kCalibrated[] = {"ece_calibrated", "nll_calibrated"};

std::string known_metrics() {
  std::string names;
  for (int m = 0; m < kMetricCount; ++m)
    names += fmt::format("{}{}", m == 0 ? "" : ", ", metric_name(static_cast<Metric>(m)));
  for (const std::string_view name : kCalibrated) names += fmt::format(", {}", name);
  return names;
}

bool is_pair_metric(std::string_view name) {
  for (int m = 0; m < kMetricCount; ++m)
    if (name == metric_name(static_cast<Metric>(m))) return true;
  return std::find(std::begin(kCalibrated), std::end(kCalibrated), name) != std::end(kCalibrated);
}

std::string names_of(FormKind kind) {
  JudgeForm form;
  form.kind = kind;
  return fmt::format("{}", fmt::join(answer_metric_names(form), ", "));
}

Requirement parse_one(std::string_view text) {
  Requirement r;
  r.text = std::string(text);
  const size_t at = text.find_first_of("<>");
  if (at == std::string_view::npos || text.substr(at + 1, 1) != "=")
    throw UsageError(fmt::format("--require: '{}' is not like kappa>=0.6 or ece<=0.1", text));
  r.metric = std::string(trimmed(text.substr(0, at)));
  r.at_least = text[at] == '>';
  const std::string_view bound = trimmed(text.substr(at + 2));
  const auto [end, error] = std::from_chars(bound.data(), bound.data() + bound.size(), r.bound);
  if (bound.empty() || error != std::errc() || end != bound.data() + bound.size() ||
      !std::isfinite(r.bound))
    throw UsageError(fmt::format("--require: '{}' is no number in '{}'", bound, text));
  if (!is_pair_metric(r.metric) && !is_answer_metric(r.metric))
    throw UsageError(fmt::format(
        "--require: there is no measure '{}'; of pairs there are {}; of scores {}; of pass or fail "
        "{}; of criteria these of scores behind their name (accuracy.mae), total.mae, ...",
        r.metric, known_metrics(), names_of(FormKind::score), names_of(FormKind::pass)));
  return r;
}

GateResult check(const Json& judge, const Requirement& r) {
  GateResult result{judge["name"].get<std::string>(), r, false, {}};
  const auto metric = judge["metrics"].find(r.metric);
  if (metric == judge["metrics"].end() || !(*metric)["low"].is_number()) {
    result.detail = r.metric + " is not defined on these pairs";
    return result;
  }
  const auto at = [&](const char* key) { return (*metric)[key].get<double>(); };
  result.passed = r.at_least ? at("low") >= r.bound : at("high") <= r.bound;
  result.detail =
      fmt::format("{} {:.3f} [{:.3f}, {:.3f}]", r.metric, at("value"), at("low"), at("high"));
  return result;
}

}  // namespace

void check_measures(const std::vector<Requirement>& requirements, const JudgeForm& form) {
  for (const Requirement& r : requirements) {
    if (form.of_pairs()) {
      if (!is_pair_metric(r.metric))
        throw UsageError(fmt::format("--require: pairs have no measure '{}'; there are {}",
                                     r.metric, known_metrics()));
      continue;
    }
    const auto names = answer_metric_names(form);
    if (std::find(names.begin(), names.end(), r.metric) == names.end() &&
        std::find(std::begin(kCalibrated), std::end(kCalibrated), r.metric) ==
            std::end(kCalibrated))
      throw UsageError(
          fmt::format("--require: judges of the form {} have no measure '{}'; there "
                      "are {}",
                      to_string(form.kind), r.metric, fmt::join(names, ", ")));
  }
}

std::vector<Requirement> parse_requirements(std::string_view text) {
  std::vector<Requirement> requirements;
  for (const std::string_view piece : trimmed_pieces(text, ','))
    requirements.push_back(parse_one(piece));
  return requirements;
}

std::vector<GateResult> check_requirements(const Json& evaluation,
                                           const std::vector<Requirement>& requirements) {
  std::vector<GateResult> results;
  const Json& judges = evaluation["judges"];
  for (const Json& judge : judges) {
    const bool is_base =
        judge["adapter"].get_ref<const std::string&>().empty() && !judge.contains("model");
    if (judges.size() > 1 && is_base) continue;
    for (const Requirement& r : requirements) results.push_back(check(judge, r));
  }
  return results;
}

std::string junit_xml(const std::vector<GateResult>& results) {
  const auto failures =
      std::count_if(results.begin(), results.end(), [](const GateResult& r) { return !r.passed; });
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuite name=\"gavel eval\" tests=\"{}\" failures=\"{}\">\n",
      results.size(), failures);
  for (const GateResult& r : results) {
    out += fmt::format("  <testcase classname=\"{}\" name=\"{}\">", markup::escape(r.judge),
                       markup::escape(r.requirement.text));
    if (r.passed)
      out += fmt::format("<system-out>{}</system-out>", markup::escape(r.detail));
    else
      out += fmt::format("<failure message=\"{}\"/>", markup::escape(r.detail));
    out += "</testcase>\n";
  }
  return out + "</testsuite>\n";
}

}  // namespace gavel
