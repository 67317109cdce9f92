// An evaluation's measures by what its pairs hold (models, source, turn, annotator), and its
// tables.
#include <fmt/format.h>

#include <algorithm>

#include "report/report.h"
#include "report/svg.h"

namespace gavel {

using svg::escape;

const MetricInterval* find_metric(const JudgeSummary& judge, std::string_view name) {
  const auto it = std::find_if(judge.metrics.begin(), judge.metrics.end(),
                               [&](const auto& metric) { return metric.first == name; });
  return it == judge.metrics.end() ? nullptr : &it->second;
}

std::vector<const char*> group_measures(const EvalLog& eval) {
  if (eval.form == "score") return {"agreement", "weighted_kappa", "spearman", "mae"};
  if (eval.form == "pass") return {"accuracy", "kappa", "tpr", "tnr"};
  if (eval.form == "criteria")
    return {"agreement", "weighted_kappa", "total.spearman", "total.mae"};
  return {"agreement", "kappa", "consistency", "agreement_balanced"};
}

std::string headline(const EvalLog& eval) { return eval.form == "pass" ? "accuracy" : "agreement"; }

const char* rows_name(const EvalLog& eval) { return eval.of_answers ? "answers" : "pairs"; }

std::string groups_html(const EvalLog& eval) {
  std::string out;
  for (const GroupedBy& grouped : eval.groups) {
    out += "<h3>By " + escape(grouped.field) +
           "</h3><div class=\"wide\" tabindex=\"0\"><table><thead><tr><th>Value</th><th>Judge</th>"
           "<th>" +
           std::string(eval.of_answers ? "Answers" : "Pairs") + "</th>";
    for (const char* name : group_measures(eval))
      out += "<th>" + escape(metric_title(name)) + "</th>";
    out += "</tr></thead><tbody>\n";
    for (const GroupSummary& group : grouped.groups)
      for (const JudgeSummary& judge : group.judges) {
        out += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td>", escape(group.value),
                           escape(judge.name), group.pairs);
        for (const char* name : group_measures(eval)) {
          const MetricInterval* metric = find_metric(judge, name);
          const MetricInterval value = metric != nullptr ? *metric : MetricInterval();
          out += fmt::format("<td><b>{}</b><small>{}</small></td>", metric_text(name, value.value),
                             interval_text(name, value));
        }
        out += "</tr>\n";
      }
    out += "</tbody></table></div>\n";
  }
  return out;
}

std::string tables_html(const EvalLog& eval) {
  std::string out;
  for (const ShownTable& table : eval.tables) {
    out += "<h3>" + escape(table.title) + "</h3>";
    if (!table.note.empty()) out += "<p class=\"muted small\">" + escape(table.note) + "</p>";
    out += "<div class=\"wide\" tabindex=\"0\"><table>";
    for (size_t r = 0; r < table.rows.size(); ++r) {
      out += r == 0 ? "<thead><tr>" : "<tr>";
      for (size_t c = 0; c < table.rows[r].size(); ++c) {
        const char* kind = r == 0 || c == 0 ? "th" : "td";
        out += fmt::format("<{}>{}</{}>", kind, escape(table.rows[r][c]), kind);
      }
      out += r == 0 ? "</tr></thead><tbody>\n" : "</tr>\n";
    }
    out += table.rows.empty() ? "</table></div>\n" : "</tbody></table></div>\n";
  }
  return out;
}

}  // namespace gavel
