// `gavel report`: training runs and evaluations as one page to look at, or as Markdown.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "report/eval_log.h"
#include "report/run_log.h"
#include "report/sweep_log.h"

namespace gavel {

// All that is known of one run; any part may be missing, not all of them.
struct ReportRun {
  std::string name;
  std::optional<RunHistory> log;
  std::optional<EvalLog> eval;
  std::optional<JudgementsView> judgements;
  std::vector<SweepRow> sweep;
};

// `path`: a run directory with metrics.jsonl, or eval.json (and judgements.jsonl), or both, or
// a sweep's sweep.jsonl; or one of these files. Base and tuned for the side-by-side view are the
// first judge of the evaluation and the best of the others by agreement. Throws Error where nothing
// of it is there.
ReportRun read_report_run(const std::filesystem::path& path);

// Reads an evaluation that lies in the directory into `run`, with its judgements; leaves what is
// not there. Throws Error for a file that is no evaluation.
void read_evaluation(const std::filesystem::path& directory, ReportRun& run);

// A part of the page, under a heading or two.
struct ReportSection {
  std::string id;  // "head", "training", ...; the same whenever the page is made
  std::string html;
};
std::vector<ReportSection> report_sections(std::span<const ReportRun> runs,
                                           const std::string& title);
// One self-contained HTML file: inline style, script and drawings, nothing from the network.
std::string render_html(std::span<const ReportRun> runs, const std::string& title);
// The same facts as Markdown tables.
std::string render_markdown(std::span<const ReportRun> runs, const std::string& title);

// --- shared by the two ---------------------------------------------------------------------------

// The measures that groups of pairs are compared by.
std::vector<const char*> group_measures(const EvalLog& eval);
// The measure that judges are compared by: agreement; of pass or fail accuracy.
std::string headline(const EvalLog& eval);
const char* rows_name(const EvalLog& eval);  // "pairs" or "answers"
// Null where it is not there.
const MetricInterval* find_metric(const JudgeSummary& judge, std::string_view name);
// Charts of confidence against what is right, and of what is right among the surest.
std::string calibration_html(const EvalLog& eval);
// The tables of an evaluation's groups, as HTML.
std::string groups_html(const EvalLog& eval);
// Its tables that are shown as they were printed.
std::string tables_html(const EvalLog& eval);

// "Agreement", "F1 (macro)", ... of a metric's name in eval.json; the name itself if unknown.
std::string metric_title(const std::string& name);
bool is_share(const std::string& name);         // shown in percent
int better_direction(const std::string& name);  // 1 more is better, -1 less is, 0 neither
// "83.1%" or "0.412".
std::string metric_text(const std::string& name, double value);
// "77.0–88.2%"; "" where the interval is not known.
std::string interval_text(const std::string& name, const MetricInterval& interval);
// "latency_p50" -> "Latency, median" and so on, with the value in its unit.
std::pair<std::string, std::string> speed_text(const std::string& name, double value);
std::string speed_interval_text(const std::string& name, const MetricInterval& interval);

// What a run's numbers come to, as (name, value) for a table.
std::vector<std::pair<std::string, std::string>> run_facts(const RunHistory& run);

}  // namespace gavel
