// The HTML report: what is shown of a run, and in which order.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html_parts.h"
#include "report/page.h"
#include "report/report.h"
#include "report/svg.h"

namespace gavel {
namespace {

using svg::escape;

// ---- evaluation --------------------------------------------------------------------------------

const MetricInterval* find(const std::vector<std::pair<std::string, MetricInterval>>& list,
                           const std::string& name) {
  for (const auto& [key, interval] : list)
    if (key == name) return &interval;
  return nullptr;
}

// The best value of a row, where more than one judge has one and they differ.
double best_of(const EvalLog& eval, const std::string& name) {
  const int better = better_direction(name);
  double best = std::nan(""), worst = std::nan("");
  for (const JudgeSummary& judge : eval.judges)
    if (const MetricInterval* i = find(judge.metrics, name); i && std::isfinite(i->value)) {
      if (!(best * better > i->value * better)) best = i->value;
      if (!(worst * better < i->value * better)) worst = i->value;
    }
  return better == 0 || best == worst ? std::nan("") : best;
}

std::string metrics_html(const EvalLog& eval) {
  std::string out = "<div class=\"wide\" tabindex=\"0\"><table><thead><tr><th>Measure</th>";
  for (const JudgeSummary& judge : eval.judges) out += "<th>" + escape(judge.name) + "</th>";
  out += "</tr></thead><tbody>\n";
  std::vector<std::string> rows;
  for (const JudgeSummary& judge : eval.judges)
    for (const auto& [name, interval] : judge.metrics)
      if (std::isfinite(interval.value) && std::find(rows.begin(), rows.end(), name) == rows.end())
        rows.push_back(name);
  for (const std::string& name : rows) {
    const double best = best_of(eval, name);
    out += "<tr><th>" + escape(metric_title(name)) + "</th>";
    for (const JudgeSummary& judge : eval.judges) {
      const MetricInterval* i = find(judge.metrics, name);
      const MetricInterval value = i ? *i : MetricInterval();
      out += fmt::format("<td{}><b>{}</b><small>{}</small></td>",
                         value.value == best ? " class=\"best\"" : "",
                         metric_text(name, value.value), interval_text(name, value));
    }
    out += "</tr>\n";
  }
  std::vector<std::string> speeds;
  for (const JudgeSummary& judge : eval.judges)
    for (const auto& [name, value] : judge.speed)
      if (std::find(speeds.begin(), speeds.end(), name) == speeds.end()) speeds.push_back(name);
  for (const std::string& name : speeds) {
    out += "<tr><th>" + escape(speed_text(name, 0).first) + "</th>";
    for (const JudgeSummary& judge : eval.judges) {
      const auto it = std::find_if(judge.speed.begin(), judge.speed.end(),
                                   [&](const auto& s) { return s.first == name; });
      const MetricInterval value = it == judge.speed.end() ? MetricInterval() : it->second;
      out += fmt::format("<td>{}<small>{}</small></td>", speed_text(name, value.value).second,
                         speed_interval_text(name, value));
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

// The end of a name too long for its place in a drawing; the whole one is in the table beside it.
std::string short_name(const std::string& name) {
  constexpr size_t kCharacters = 18;
  size_t begin = name.size(), count = 0;
  while (begin > 0 && count < kCharacters) {
    --begin;
    count += (static_cast<unsigned char>(name[begin]) & 0xC0) != 0x80;
  }
  return begin == 0 ? name : ".." + name.substr(begin);
}

struct DotRow {
  std::string name, text;
  MetricInterval interval;
};

// A dot for each row, and a whisker where there is an interval. Shares have the axis 0 to 100%.
std::string dot_chart(const std::string& title, const std::vector<DotRow>& rows, bool shares) {
  if (rows.empty() || rows.size() > 60) return "";
  constexpr double kLeft = 130, kRight = 448, kRowHeight = 28;
  double low = 0, high = 1;
  if (!shares) {
    low = high = rows[0].interval.value;
    for (const DotRow& row : rows) {
      low = std::min(low, row.interval.value);
      high = std::max(high, row.interval.value);
    }
    const double pad = std::max((high - low) * 0.1, std::abs(high) * 1e-3 + 1e-9);
    low -= pad;
    high += pad;
  }
  const double height = kRowHeight * static_cast<double>(rows.size()) + 34;
  const auto place = [&](double v) {
    return kLeft + std::clamp((v - low) / (high - low), 0.0, 1.0) * (kRight - kLeft);
  };
  std::string body;
  for (int tick = 0; tick <= 4; ++tick) {
    const double value = low + (high - low) * tick / 4, at = place(value);
    body += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"4\" y2=\"{1}\"/><text "
        "x=\"{0:.1f}\" "
        "y=\"{2}\" text-anchor=\"middle\">{3}</text>",
        at, height - 26, height - 9,
        shares ? fmt::format("{:.0f}%", 100 * value) : svg::number(value));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const double y = kRowHeight * (static_cast<double>(i) + 0.5) + 4;
    const auto& [name, text, v] = rows[i];
    const int color = static_cast<int>(i % 7);
    body += fmt::format("<text class=\"name\" x=\"4\" y=\"{}\">{}</text>", y + 4,
                        escape(short_name(name)));
    if (std::isfinite(v.low) && std::isfinite(v.high))
      body +=
          fmt::format("<line class=\"line c{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\"/>",
                      color, place(v.low), place(v.high), y, y);
    body += fmt::format(
        "<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{}\" r=\"5\"><title>{}</title></circle>",
        color, place(v.value), y, escape(name + ": " + text));
  }
  return fmt::format(
      "<figure class=\"chart\"><figcaption><b>{0}</b></figcaption><svg viewBox=\"0 0 480 {1}\" "
      "role=\"img\" aria-label=\"{0}, a dot each\">{2}</svg></figure>\n",
      escape(title), height, body);
}

std::string forest(const EvalLog& eval, const std::string& metric) {
  std::vector<DotRow> rows;
  for (const JudgeSummary& judge : eval.judges)
    if (const MetricInterval* i = find(judge.metrics, metric); i && std::isfinite(i->value))
      rows.push_back({judge.name, metric_text(metric, i->value), *i});
  return dot_chart(metric_title(metric), rows, true);
}

std::string comparisons(const EvalLog& eval) {
  if (eval.comparisons.empty()) return "";
  std::string out =
      "<h3>Differences</h3><div class=\"wide\" tabindex=\"0\"><table><thead><tr><th>Judges</th>"
      "<th>" +
      metric_title(headline(eval)) + "</th>" + (eval.of_answers ? "" : "<th>Consistency</th>") +
      "<th>Only the second right</th>"
      "<th>Only the first right</th><th>McNemar p</th></tr></thead><tbody>\n";
  for (const JudgeComparison& c : eval.comparisons) {
    out += "<tr><th>" + escape(c.second) + " against " + escape(c.first) + "</th>";
    std::vector<std::string> names = {headline(eval)};
    if (!eval.of_answers) names.emplace_back("consistency");
    for (const std::string& name : names) {
      const MetricInterval* i = find(c.differences, name);
      if (!i || !std::isfinite(i->value)) {
        out += "<td>–</td>";
        continue;
      }
      const bool clear = i->low > 0 || i->high < 0;
      out += fmt::format(
          "<td><b class=\"{}\">{:+.1f} points</b><small>{:+.1f} to {:+.1f}</small></td>",
          clear ? (i->value > 0 ? "good" : "bad") : "", 100 * i->value, 100 * i->low,
          100 * i->high);
    }
    out += fmt::format("<td>{}</td><td>{}</td><td>{}</td></tr>\n", c.only_second, c.only_first,
                       svg::number(c.mcnemar_p));
  }
  return out + "</tbody></table></div>\n";
}

std::string confusion_table(const std::string& judge, const ConfusionTable& table) {
  std::string out =
      "<figure class=\"chart\"><figcaption><b>" + escape(judge) +
      (table.part.empty() ? "" : ", " + escape(table.part)) +
      "</b></figcaption><div class=\"wide\" tabindex=\"0\"><table class=\"confusion\"><thead><tr>"
      "<th>label \\ verdict</th>";
  for (const std::string& name : table.verdicts) out += "<th>" + escape(name) + "</th>";
  out += "</tr></thead><tbody>";
  for (size_t row = 0; row < table.labels.size(); ++row) {
    int64_t total = 0;
    for (const int64_t n : table.counts[row]) total += n;
    out += "<tr><th>" + escape(table.labels[row]) + "</th>";
    for (size_t k = 0; k < table.verdicts.size(); ++k) {
      const int64_t n = table.counts[row][k];
      const double share = total > 0 ? static_cast<double>(n) / static_cast<double>(total) : 0;
      out += fmt::format("<td{} style=\"--p:{:.0f}%\">{}</td>", row == k ? " class=\"hit\"" : "",
                         55 * share, n);
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div></figure>\n";
}

std::string confusion(const EvalLog& eval) {
  constexpr size_t kMostJudges = 12, kMostLabels = 21;
  std::string out;
  for (size_t j = 0; j < eval.judges.size() && j < kMostJudges; ++j)
    for (const ConfusionTable& table : eval.judges[j].confusions)
      if (table.labels.size() <= kMostLabels) out += confusion_table(eval.judges[j].name, table);
  return out.empty() ? "" : "<h3>Confusion</h3><div class=\"grid\">\n" + out + "</div>\n";
}

// ---- judgements --------------------------------------------------------------------------------

std::string length_charts(const JudgementsView& view, const EvalLog& eval) {
  svg::Chart chart{"Length against verdict", "characters by which answer A is longer",
                   "share for A"};
  chart.y_high = 1;
  int color = 0;
  for (const JudgeSummary& judge : eval.judges) {
    const auto it = view.length.find(judge.name);
    if (it == view.length.end() || color > 6) continue;
    svg::Series series{judge.name, color++, {}, false, true};
    for (const LengthBin& bin : it->second)
      series.points.emplace_back(bin.difference, bin.verdict_a);
    if (color == 1) {
      svg::Series labels{"labels", 7, {}, false, true, true};
      for (const LengthBin& bin : it->second)
        labels.points.emplace_back(bin.difference, bin.label_a);
      chart.series.push_back(std::move(labels));
    }
    chart.series.push_back(std::move(series));
  }
  const std::string figure = svg::render(chart);
  return figure.empty() ? "" : "<h3>Length</h3><div class=\"grid\">\n" + figure + "</div>\n";
}

std::string disputed_pair(const JudgementsView& view, const DisputedPair& pair) {
  const bool two = view.first != view.second;
  std::string kind = pair.second.right && !pair.first.right   ? "second"
                     : pair.first.right && !pair.second.right ? "first"
                     : !pair.second.right                     ? "neither"
                                                              : "both";
  if (pair.second.unreadable || (two && pair.first.unreadable)) kind += " unreadable";
  std::string out = fmt::format(
      "<details class=\"pair\" data-kind=\"{}\"><summary><span class=\"q\">{}</span><span "
      "class=\"tags\"><span>label: <b>{}</b></span>",
      kind, escape(pair.question), escape(pair.label));
  if (two) out += opinion_tag(view.first, pair.first);
  out += opinion_tag(view.second, pair.second) + "</span></summary><div class=\"two\">" +
         text_box(pair.single ? "Answer" : "Answer A", pair.answer_a);
  if (!pair.single) out += text_box("Answer B", pair.answer_b);
  if (two) out += opinion_boxes(view.first, pair.first);
  out += opinion_boxes(view.second, pair.second);
  if (!pair.reference.empty()) out += text_box("Reference", pair.reference);
  if (!pair.rubric.empty()) out += text_box("Rubric", pair.rubric);
  return out + "</div></details>\n";
}

std::string disputed(const JudgementsView& view) {
  if (view.disputed.empty()) return "";
  const bool two = view.first != view.second;
  const bool unreadable =
      std::any_of(view.disputed.begin(), view.disputed.end(),
                  [](const DisputedPair& p) { return p.first.unreadable || p.second.unreadable; });
  std::string out = "<h3>Where " + escape(view.first) +
                    (two ? " and " + escape(view.second) + " disagree" : " is wrong") +
                    (unreadable ? ", or no verdict can be read" : "") + "</h3>";
  out += fmt::format("<p class=\"muted small\">{} of {} {}{}.</p>", view.disputed_total,
                     view.pairs_total, view.disputed[0].single ? "answers" : "pairs",
                     view.disputed.size() < static_cast<size_t>(view.disputed_total)
                         ? fmt::format("; the first {} are listed", view.disputed.size())
                         : "");
  out +=
      "<div class=\"browse\"><div class=\"filters\"><select aria-label=\"Which pairs\">"
      "<option value=\"\">All</option>";
  if (two)
    out += "<option value=\"second\">Only " + escape(view.second) +
           " is right</option><option value=\"first\">Only " + escape(view.first) +
           " is right</option><option value=\"neither\">Both are wrong</option>";
  if (unreadable) out += "<option value=\"unreadable\">No readable verdict</option>";
  out +=
      "</select><input type=\"search\" placeholder=\"Search the texts\" aria-label=\"Search the "
      "texts\">"
      "</div><p class=\"count muted small\" role=\"status\"></p>\n";
  for (const DisputedPair& pair : view.disputed) out += disputed_pair(view, pair);
  return out + "</div>\n";
}

std::string evaluation(const ReportRun& run, bool named) {
  if (!run.eval) return "";
  const EvalLog& eval = *run.eval;
  std::string out = "<h2>Evaluation" + (named ? " of " + escape(run.name) : "") + "</h2>\n";
  out += fmt::format(
      "<p class=\"muted small\">{} {}{}{}; small numbers are bootstrap intervals.</p>\n",
      eval.examples, rows_name(eval), eval.data.empty() ? "" : " of " + escape(eval.data),
      eval.mode.empty() ? "" : ", mode " + escape(eval.mode));
  const std::string forests = forest(eval, headline(eval)) + forest(eval, "consistency");
  if (!forests.empty()) out += "<div class=\"grid\">\n" + forests + "</div>\n";
  out += "<h3>All measures</h3>" + metrics_html(eval) + comparisons(eval) + tables_html(eval) +
         groups_html(eval);
  out += confusion(eval) + calibration_html(eval);
  if (run.judgements) out += length_charts(*run.judgements, eval) + disputed(*run.judgements);
  return out;
}

// ---- sweeps ------------------------------------------------------------------------------------

std::string sweep_html(const ReportRun& run) {
  if (run.sweep.empty()) return "";
  const double nan = std::nan("");
  std::vector<DotRow> losses, agreements;
  std::string table =
      "<div class=\"wide\" tabindex=\"0\"><table><thead><tr><th>Run</th><th>Validation loss</th>"
      "<th>Best step</th><th>Train loss</th><th>Agreement</th><th>Consistency</th>"
      "<th>Parameters</th><th>Seconds</th></tr></thead><tbody>\n";
  for (const SweepRow& row : run.sweep) {
    if (std::isfinite(row.valid_loss))
      losses.push_back({row.run, svg::number(row.valid_loss), {row.valid_loss, nan, nan}});
    const std::string agreement = metric_text("agreement", row.agreement);
    if (std::isfinite(row.agreement))
      agreements.push_back({row.run, agreement, {row.agreement, nan, nan}});
    table += fmt::format(
        "<tr><th>{}</th><td><b>{}</b></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td></tr>\n",
        escape(row.run), svg::number(row.valid_loss), svg::number(row.best_step),
        svg::number(row.train_loss), agreement, metric_text("consistency", row.consistency),
        svg::number(row.parameters), svg::number(row.seconds));
  }
  std::string out = "<h2>Sweep " + escape(run.name) + "</h2>\n<div class=\"grid\">\n" +
                    dot_chart("Validation loss", losses, false) +
                    dot_chart("Agreement", agreements, true) + "</div>\n<h3>Runs</h3>" + table +
                    "</tbody></table></div>\n";
  for (const auto& [setting, means] : sweep_means(run.sweep)) {
    out += "<h3>By " + escape(setting) +
           "</h3><div class=\"wide\" tabindex=\"0\"><table><thead><tr><th>Value</th><th>Runs</th>"
           "<th>Mean validation loss</th><th>Mean agreement</th></tr></thead><tbody>\n";
    for (const SweepMean& m : means)
      out += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>\n", escape(m.value),
                         m.runs, svg::number(m.valid_loss), metric_text("agreement", m.agreement));
    out += "</tbody></table></div>\n";
  }
  return out;
}

}  // namespace

std::vector<ReportSection> report_sections(std::span<const ReportRun> runs,
                                           const std::string& title) {
  std::string names;
  RunList logs;
  size_t evaluations = 0;
  for (const ReportRun& run : runs) {
    names += (names.empty() ? "" : ", ") + escape(run.name);
    if (run.log) logs.push_back(&*run.log);
    evaluations += run.eval.has_value();
  }
  std::vector<ReportSection> sections;
  const auto add = [&](const std::string& id, std::string html) {
    if (!html.empty()) sections.push_back({id, std::move(html)});
  };
  add("head", "<h1>" + escape(title) + "</h1><p class=\"muted\">" + names + "</p>\n");
  for (size_t i = 0; i < runs.size(); ++i) add(fmt::format("sweep{}", i), sweep_html(runs[i]));
  add("training", training_html(logs));
  add("trials", trials_html(logs));
  add("settings", settings_html(logs));
  for (size_t i = 0; i < runs.size(); ++i)
    add(fmt::format("evaluation{}", i), evaluation(runs[i], evaluations > 1));
  return sections;
}

std::string render_html(std::span<const ReportRun> runs, const std::string& title) {
  std::string body;
  for (const ReportSection& section : report_sections(runs, title)) body += section.html;
  return html_page(title, body);
}

}  // namespace gavel
