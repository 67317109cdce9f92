// The Markdown report: the same facts as the page, as tables.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/report.h"
#include "report/svg.h"

namespace gavel {
namespace {

// One table cell: on one line, its bars and markup characters made plain.
std::string cell(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\n' || c == '\r')
      out += ' ';
    else if (c == '|' || c == '\\' || c == '`' || c == '*' || c == '_' || c == '<' || c == '[')
      out += fmt::format("\\{}", c);
    else
      out += c;
  }
  return out.empty() ? " " : out;
}

std::string row(const std::vector<std::string>& cells) {
  std::string out = "|";
  for (const std::string& c : cells) out += fmt::format(" {} |", cell(c));
  return out + "\n";
}

// A table's first rows; the blank line before them ends whatever stood above.
std::string header(const std::vector<std::string>& cells) {
  std::string out = "\n";
  out += row(cells) + "|";
  for (size_t i = 0; i < cells.size(); ++i) out += i == 0 ? " --- |" : " ---: |";
  return out + "\n";
}

std::string training(const RunHistory& run) {
  std::string out = "## Training: " + cell(run.name) + "\n" + header({"", ""});
  for (const auto& [name, value] : run_facts(run)) out += row({name, value});
  if (!run.valid.empty()) {
    const auto best = best_point(run);
    out += header({"Step", "Validation loss", "Gap", ""});
    // About 20 rows are enough to see the shape; the best one is always among them.
    const size_t stride = std::max<size_t>(1, run.valid.size() / 20);
    for (size_t i = 0; i < run.valid.size(); ++i) {
      const ValidPoint& p = run.valid[i];
      const bool is_best = best && p.step == best->step;
      if (i % stride == 0 || is_best || i + 1 == run.valid.size())
        out += row({std::to_string(p.step), svg::number(p.loss), svg::number(p.gap),
                    is_best ? "best" : ""});
    }
  }
  if (!run.judged.empty()) {
    out += header({"Step", "Judged", "Measures"});
    const size_t stride = std::max<size_t>(1, run.judged.size() / 20);
    for (size_t i = 0; i < run.judged.size(); ++i) {
      if (i % stride != 0 && i + 1 != run.judged.size()) continue;
      const TrialPoint& p = run.judged[i];
      std::string figures;
      for (const auto& [name, value] : p.figures)
        figures += fmt::format("{}{} {}", figures.empty() ? "" : ", ", metric_title(name),
                               metric_text(name, value));
      out += row({std::to_string(p.step), std::to_string(p.pairs), figures});
    }
  }
  return out + "\n";
}

std::string with_interval(const std::string& name, const MetricInterval& i) {
  const std::string interval = interval_text(name, i);
  return metric_text(name, i.value) + (interval.empty() ? "" : fmt::format(" ({})", interval));
}

std::string metrics_table(const EvalLog& eval) {
  std::vector<std::string> heads = {"Measure"}, names;
  for (const JudgeSummary& judge : eval.judges) {
    heads.push_back(judge.name);
    for (const auto& [name, interval] : judge.metrics)
      if (std::isfinite(interval.value) &&
          std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
  }
  std::string out = header(heads);
  for (const std::string& name : names) {
    std::vector<std::string> cells = {metric_title(name)};
    for (const JudgeSummary& judge : eval.judges) {
      const auto it = std::find_if(judge.metrics.begin(), judge.metrics.end(),
                                   [&](const auto& m) { return m.first == name; });
      cells.push_back(it == judge.metrics.end() ? "–" : with_interval(name, it->second));
    }
    out += row(cells);
  }
  if (eval.judges.empty()) return out;
  for (const auto& [name, ignored] : eval.judges[0].speed) {
    std::vector<std::string> cells = {speed_text(name, 0).first};
    for (const JudgeSummary& judge : eval.judges) {
      const auto it =
          std::find_if(judge.speed.begin(), judge.speed.end(),
                       [&, &wanted = name](const auto& s) { return s.first == wanted; });
      if (it == judge.speed.end()) {
        cells.push_back("–");
        continue;
      }
      const std::string interval = speed_interval_text(name, it->second);
      cells.push_back(speed_text(name, it->second.value).second +
                      (interval.empty() ? "" : fmt::format(" ({})", interval)));
    }
    out += row(cells);
  }
  return out;
}

std::string groups_table(const EvalLog& eval, const GroupedBy& grouped) {
  std::vector<std::string> heads = {"By " + grouped.field, "Judge",
                                    eval.of_answers ? "Answers" : "Pairs"};
  for (const char* name : group_measures(eval)) heads.push_back(metric_title(name));
  std::string out = header(heads);
  for (const GroupSummary& group : grouped.groups)
    for (const JudgeSummary& judge : group.judges) {
      std::vector<std::string> cells = {group.value, judge.name, std::to_string(group.pairs)};
      for (const char* name : group_measures(eval)) {
        const MetricInterval* metric = find_metric(judge, name);
        cells.push_back(metric == nullptr ? "–" : with_interval(name, *metric));
      }
      out += row(cells);
    }
  return out;
}

std::string evaluation(const ReportRun& run) {
  const EvalLog& eval = *run.eval;
  std::string out = "## Evaluation: " + cell(run.name) + "\n\n";
  out += fmt::format("{} {}{}{}; intervals from a bootstrap.\n", eval.examples, rows_name(eval),
                     eval.data.empty() ? "" : " of " + cell(eval.data),
                     eval.mode.empty() ? "" : ", mode " + cell(eval.mode));
  out += metrics_table(eval);
  if (!eval.comparisons.empty()) {
    out += header({"Difference", metric_title(headline(eval)), "Only the second right",
                   "Only the first right", "McNemar p"});
    for (const JudgeComparison& c : eval.comparisons) {
      const auto it = std::find_if(c.differences.begin(), c.differences.end(),
                                   [&](const auto& d) { return d.first == headline(eval); });
      std::string difference = "–";
      if (it != c.differences.end())
        difference = fmt::format("{:+.1f} points ({:+.1f} to {:+.1f})", 100 * it->second.value,
                                 100 * it->second.low, 100 * it->second.high);
      out += row({c.second + " against " + c.first, difference, std::to_string(c.only_second),
                  std::to_string(c.only_first), svg::number(c.mcnemar_p)});
    }
  }
  for (const ShownTable& table : eval.tables) {
    out += "\n### " + cell(table.title) + "\n";
    for (size_t r = 0; r < table.rows.size(); ++r)
      out += r == 0 ? header(table.rows[r]) : row(table.rows[r]);
    if (!table.note.empty()) out += "\n" + cell(table.note) + "\n";
  }
  for (const GroupedBy& grouped : eval.groups) out += groups_table(eval, grouped);
  for (const JudgeSummary& judge : eval.judges)
    for (const ConfusionTable& table : judge.confusions) {
      std::vector<std::string> heads = {judge.name + (table.part.empty() ? "" : ", " + table.part) +
                                        ": label, verdict"};
      heads.insert(heads.end(), table.verdicts.begin(), table.verdicts.end());
      out += header(heads);
      for (size_t label = 0; label < table.labels.size(); ++label) {
        std::vector<std::string> cells = {table.labels[label]};
        for (const int64_t n : table.counts[label]) cells.push_back(std::to_string(n));
        out += row(cells);
      }
    }
  if (run.judgements)
    out +=
        fmt::format("\n{} and {} differ on {} of {} {}.\n", cell(run.judgements->first),
                    run.judgements->first == run.judgements->second ? std::string("the labels")
                                                                    : cell(run.judgements->second),
                    run.judgements->disputed_total, run.judgements->pairs_total, rows_name(eval));
  return out + "\n";
}

std::string sweep(const ReportRun& run) {
  std::string out = "## Sweep: " + cell(run.name) + "\n" +
                    header({"Run", "Validation loss", "Best step", "Agreement", "Consistency",
                            "Parameters", "Seconds"});
  for (const SweepRow& r : run.sweep)
    out += row({r.run, svg::number(r.valid_loss), svg::number(r.best_step),
                metric_text("agreement", r.agreement), metric_text("consistency", r.consistency),
                svg::number(r.parameters), svg::number(r.seconds)});
  for (const auto& [setting, means] : sweep_means(run.sweep)) {
    out += header({setting, "Runs", "Mean validation loss", "Mean agreement"});
    for (const SweepMean& m : means)
      out += row({m.value, std::to_string(m.runs), svg::number(m.valid_loss),
                  metric_text("agreement", m.agreement)});
  }
  return out + "\n";
}

}  // namespace

std::string render_markdown(std::span<const ReportRun> runs, const std::string& title) {
  std::string out = fmt::format("# {}\n\n", cell(title));
  for (const ReportRun& run : runs) {
    if (!run.sweep.empty()) out += sweep(run);
    if (run.log) out += training(*run.log);
    if (run.eval) out += evaluation(run);
  }
  return out;
}

}  // namespace gavel
