#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "report/svg.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

struct MetricStyle {
  const char* name;
  const char* title;
  bool share;
  int better;
};

constexpr MetricStyle kStyles[] = {
    {"agreement", "Agreement", true, 1},
    {"precision", "Precision (macro)", true, 1},
    {"recall", "Recall (macro)", true, 1},
    {"f1", "F1 (macro)", true, 1},
    {"kappa", "Cohen's kappa", false, 1},
    {"consistency", "Consistency under swap", true, 1},
    {"bias_first", "Bias to the first", true, -1},
    {"bias_second", "Bias to the second", true, -1},
    {"tie_rate", "Ties among verdicts", true, 0},
    {"tie_recall", "Ties recognized", true, 1},
    {"agreement_no_tie", "Agreement without ties", true, 1},
    {"agreement_longer", "Agreement where the longer answer wins", true, 1},
    {"agreement_shorter", "Agreement where the shorter answer wins", true, 1},
    {"agreement_balanced", "Agreement balanced by length", true, 1},
    {"prefers_longer", "Verdicts for the longer answer", true, 0},
    {"length_slope", "Log-odds for each doubling of length", false, 0},
    {"unparsable", "Unparsable", true, -1},
    {"ece", "Calibration error (ECE)", true, -1},
    {"ece_calibrated", "ECE, calibrated", true, -1},
    {"brier", "Brier score", false, -1},
    {"nll", "NLL of the label", false, -1},
    {"nll_calibrated", "NLL, calibrated", false, -1},
    {"tokens", "Tokens per response", false, 0},
    {"accuracy", "Accuracy", true, 1},
    {"tpr", "True positives found (TPR)", true, 1},
    {"tnr", "True negatives found (TNR)", true, 1},
    {"precision_fail", "Precision of fails", true, 1},
    {"pass_rate", "Passes among verdicts", true, 0},
    {"weighted_kappa", "Weighted kappa (quadratic)", false, 1},
    {"spearman", "Spearman's correlation", false, 1},
    {"spearman_expected", "Spearman's correlation of the expectation", false, 1},
    {"kendall_tau", "Kendall's tau-b", false, 1},
    {"kendall_tau_expected", "Kendall's tau-b of the expectation", false, 1},
    {"mae", "Mean absolute error", false, -1},
    {"mae_expected", "Mean absolute error of the expectation", false, -1},
};

// "accuracy.mae", of a criterion or the total, as "mae".
std::string_view base_name(std::string_view name) { return name.substr(name.rfind('.') + 1); }

const MetricStyle* style_of(const std::string& name) {
  for (const MetricStyle& s : kStyles)
    if (base_name(name) == s.name) return &s;
  return nullptr;
}

double agreement_of(const JudgeSummary& judge) {
  for (const auto& [name, interval] : judge.metrics)
    if ((name == "agreement" || name == "accuracy") && std::isfinite(interval.value))
      return interval.value;
  return -1;
}

double last_finite(const std::vector<TrainPoint>& points, double TrainPoint::*field) {
  for (size_t i = points.size(); i-- > 0;)
    if (std::isfinite(points[i].*field)) return points[i].*field;
  return std::nan("");
}

double median(const std::vector<TrainPoint>& points, double TrainPoint::*field) {
  std::vector<double> values;
  for (const TrainPoint& p : points)
    if (std::isfinite(p.*field)) values.push_back(p.*field);
  if (values.empty()) return std::nan("");
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// The judgements beside an evaluation, of its first judge and the best of the others.
void read_judged(const fs::path& directory, ReportRun& run) {
  std::error_code ignored;
  const fs::path judgements = directory / "judgements.jsonl";
  if (!run.eval->judges.empty() && fs::exists(judgements, ignored)) {
    const auto& judges = run.eval->judges;
    size_t best = judges.size() > 1 ? 1 : 0;
    for (size_t i = best; i < judges.size(); ++i)
      if (agreement_of(judges[i]) > agreement_of(judges[best])) best = i;
    run.judgements = read_judgements(judgements, judges[0].name, judges[best].name);
  }
}

}  // namespace

void read_evaluation(const fs::path& directory, ReportRun& run) {
  std::error_code ignored;
  if (!fs::exists(directory / "eval.json", ignored)) return;
  run.eval = read_eval(directory / "eval.json");
  read_judged(directory, run);
}

ReportRun read_report_run(const fs::path& given) {
  std::error_code ignored;
  const bool is_directory = fs::is_directory(given, ignored);
  const fs::path directory = is_directory ? given : given.parent_path();
  ReportRun run;
  run.name =
      fs::absolute(directory.empty() ? "." : directory).lexically_normal().filename().string();
  if (run.name.empty())
    run.name = fs::absolute(directory).lexically_normal().parent_path().filename().string();
  const fs::path log = is_directory ? given / "metrics.jsonl" : given;
  const fs::path eval = is_directory ? given / "eval.json" : given;
  const fs::path sweep = is_directory ? given / "sweep.jsonl" : given;
  if ((is_directory || given.filename() == "sweep.jsonl") && fs::exists(sweep, ignored)) {
    run.sweep = read_sweep(sweep);
    if (!is_directory) return run;
  }
  const bool file_is_log = !is_directory && given.extension() == ".jsonl";
  if ((is_directory || file_is_log) && fs::exists(log, ignored)) run.log = read_run_history(log);
  if (!file_is_log && fs::exists(eval, ignored)) run.eval = read_eval(eval);
  if (!run.log && !run.eval && run.sweep.empty())
    fail(
        "{} has none of metrics.jsonl (of gavel train), eval.json (of gavel eval) and sweep.jsonl "
        "(of gavel sweep)",
        given.string());
  if (run.eval) read_judged(directory, run);
  return run;
}

std::string metric_title(const std::string& name) {
  const MetricStyle* style = style_of(name);
  if (style == nullptr) return name;
  const size_t part = name.size() - base_name(name).size();
  return (part == 0 ? "" : name.substr(0, part - 1) + ": ") + style->title;
}

bool is_share(const std::string& name) {
  const MetricStyle* style = style_of(name);
  return style && style->share;
}

int better_direction(const std::string& name) {
  const MetricStyle* style = style_of(name);
  return style ? style->better : 0;
}

std::string metric_text(const std::string& name, double value) {
  if (!std::isfinite(value)) return "–";
  if (is_share(name)) return fmt::format("{:.1f}%", 100 * value);
  return name == "tokens" ? fmt::format("{:.1f}", value) : fmt::format("{:.3f}", value);
}

std::string interval_text(const std::string& name, const MetricInterval& interval) {
  if (!std::isfinite(interval.low) || !std::isfinite(interval.high)) return "";
  if (is_share(name))
    return fmt::format("{:.1f} to {:.1f}%", 100 * interval.low, 100 * interval.high);
  return metric_text(name, interval.low) + " to " + metric_text(name, interval.high);
}

std::pair<std::string, std::string> speed_text(const std::string& name, double value) {
  if (!std::isfinite(value)) return {speed_text(name, 0).first, "–"};
  const std::string text = svg::number(value);
  if (name == "answers_per_second") return {"Answers per second", text};
  if (name == "wall_seconds") return {"Time in all", text + " s"};
  if (name == "latency_mean") return {"Latency, mean", text + " s"};
  if (name == "latency_p50") return {"Latency, median", text + " s"};
  if (name.starts_with("latency_p"))
    return {"Latency, " + name.substr(9) + "th percentile", text + " s"};
  if (name == "cost_per_1000") return {"Cost of 1,000 judgements", text};
  return {name, text};
}

std::string speed_interval_text(const std::string& name, const MetricInterval& interval) {
  if (!std::isfinite(interval.low) || !std::isfinite(interval.high)) return "";
  return speed_text(name, interval.low).second + " to " + speed_text(name, interval.high).second;
}

std::vector<std::pair<std::string, std::string>> run_facts(const RunHistory& run) {
  std::vector<std::pair<std::string, std::string>> facts;
  const auto add = [&](const char* name, double value, const char* unit = "") {
    if (std::isfinite(value)) facts.emplace_back(name, svg::number(value) + unit);
  };
  if (const auto best = best_point(run))
    facts.emplace_back("Best validation loss",
                       fmt::format("{} at step {}", svg::number(best->loss), best->step));
  if (!run.valid.empty()) {
    add("Last validation loss", run.valid.back().loss);
    add("Last gap (validation - train)", run.valid.back().gap);
  }
  add("Last train loss", last_finite(run.train, &TrainPoint::loss));
  if (!run.train.empty()) {
    const std::string steps = std::to_string(run.train.back().step);
    facts.emplace_back("Steps", run.iters > run.train.back().step
                                    ? fmt::format("{} of {}", steps, run.iters)
                                    : steps);
  }
  if (const auto onset = overfitting_onset(run))
    facts.emplace_back("Overfitting from step", std::to_string(*onset));
  add("Trained tokens", last_finite(run.train, &TrainPoint::trained_tokens));
  add("Tokens per second, median", median(run.train, &TrainPoint::tokens_per_second));
  double peak = -1;
  for (const TrainPoint& p : run.train)
    if (p.peak_memory_gb > peak) peak = p.peak_memory_gb;
  if (peak >= 0) add("Peak memory", peak, " GB");
  if (run.skipped_lines > 0)
    facts.emplace_back("Unreadable log lines", std::to_string(run.skipped_lines));
  return facts;
}

}  // namespace gavel
