// The HTML report's part of training runs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html_parts.h"
#include "report/report.h"
#include "report/svg.h"

namespace gavel {
namespace {

using svg::escape;

std::vector<std::pair<double, double>> over_steps(const RunHistory& run,
                                                  double TrainPoint::*field) {
  std::vector<std::pair<double, double>> points;
  for (const TrainPoint& p : run.train) points.emplace_back(static_cast<double>(p.step), p.*field);
  return points;
}

std::vector<std::pair<double, double>> over_steps(const RunHistory& run,
                                                  double ValidPoint::*field) {
  std::vector<std::pair<double, double>> points;
  for (const ValidPoint& p : run.valid) points.emplace_back(static_cast<double>(p.step), p.*field);
  return points;
}

// One run: train and validation in two colours. Several: a colour a run, train dashed.
std::string loss_chart(const RunList& runs) {
  svg::Chart chart{"Loss", "step", "loss per answer token"};
  const bool one = runs.size() == 1;
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunHistory& run = *runs[i];
    const int color = static_cast<int>(i % 7);
    const std::string prefix = one ? "" : run.name + " ";
    const auto train = over_steps(run, &TrainPoint::loss);
    if (one) chart.series.push_back({"", 0, train, true});
    // A short run has no points to spare for smoothing.
    const double factor =
        std::clamp(1 - 8 / static_cast<double>(std::max<size_t>(train.size(), 1)), 0.0, 0.9);
    chart.series.push_back(
        {prefix + "train", one ? 0 : color, svg::smoothed(train, factor), false, false, !one});
    chart.series.push_back({prefix + "validation", one ? 1 : color,
                            over_steps(run, &ValidPoint::loss), false, run.valid.size() <= 60});
  }
  // The marks of more runs than these would hide the lines; the table has them all.
  constexpr size_t kMarkedRuns = 3;
  for (size_t i = 0; i < runs.size() && runs.size() <= kMarkedRuns; ++i) {
    const int color = static_cast<int>(i % 7);
    const std::string prefix = one ? "" : runs[i]->name + ", ";
    if (const auto best = best_point(*runs[i]))
      chart.marks.push_back(
          {static_cast<double>(best->step),
           fmt::format("{}best: {} at {}", prefix, svg::number(best->loss), best->step),
           one ? 2 : color});
    if (const auto onset = overfitting_onset(*runs[i]))
      chart.marks.push_back(
          {static_cast<double>(*onset), prefix + "overfitting from here", one ? 1 : color});
  }
  return svg::render(chart);
}

template <typename Point>
std::string simple_chart(const RunList& runs, const char* title, const char* y_label,
                         double Point::*field, bool dots, bool from_zero) {
  svg::Chart chart{title, "step", y_label};
  chart.from_zero = from_zero;
  for (size_t i = 0; i < runs.size(); ++i) {
    auto points = over_steps(*runs[i], field);
    chart.series.push_back(
        {runs[i]->name, static_cast<int>(i % 7), points, false, dots && points.size() <= 60});
  }
  std::string figure = svg::render(chart);
  return figure;
}

std::string facts_table(const RunList& runs) {
  std::vector<std::string> names;
  std::vector<std::vector<std::pair<std::string, std::string>>> facts;
  for (const RunHistory* run : runs) {
    facts.push_back(run_facts(*run));
    for (const auto& [name, value] : facts.back())
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  std::string out = "<div class=\"wide\" tabindex=\"0\"><table><thead><tr><th>Run</th>";
  for (const RunHistory* run : runs) out += "<th>" + escape(run->name) + "</th>";
  out += "</tr></thead><tbody>";
  for (const std::string& name : names) {
    out += "<tr><th>" + escape(name) + "</th>";
    for (const auto& list : facts) {
      const auto it =
          std::find_if(list.begin(), list.end(), [&](const auto& f) { return f.first == name; });
      out += "<td>" + (it == list.end() ? "–" : escape(it->second)) + "</td>";
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>\n";
}

// The names of the figures that were taken at validations; the first alone unless `all`.
std::vector<std::string> figures_of(const RunHistory& run, bool all) {
  std::vector<std::string> names;
  for (const TrialPoint& point : run.judged)
    for (const auto& [name, value] : point.figures)
      if ((all || names.empty()) && std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
  return names;
}

// Of one run every figure; of several the first, which is agreement or accuracy. Where nothing was
// judged but a measure was watched, that.
std::string judge_chart(const RunList& runs) {
  if (std::all_of(runs.begin(), runs.end(), [](const auto* run) { return run->judged.empty(); }))
    return simple_chart(runs, "Judging measure", "share", &ValidPoint::metric, true, false);
  svg::Chart chart{"Judge", "step", "share of the validation pairs judged"};
  chart.y_high = 1;
  const bool one = runs.size() == 1;
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunHistory& run = *runs[i];
    int color = static_cast<int>(i % 7);
    for (const std::string& figure : figures_of(run, one)) {
      const bool dots = run.judged.size() <= 60;
      svg::Series series{one ? metric_title(figure) : run.name, color, {}, false, dots};
      if (one) color = (color + 1) % 7;
      for (const TrialPoint& point : run.judged)
        for (const auto& [name, value] : point.figures)
          if (name == figure) series.points.emplace_back(static_cast<double>(point.step), value);
      chart.series.push_back(std::move(series));
    }
  }
  return svg::render(chart);
}

std::string trial_judgement(const std::string& key, const TrialJudgement& j) {
  const std::string judge = j.single ? "score" : "verdict";
  return fmt::format(
             "<details class=\"pair\" data-key=\"{}\"><summary><span class=\"q\">{}</span><span "
             "class=\"tags\"><span>label: <b>{}</b></span>{}</span></summary><div class=\"two\">",
             escape(key), escape(j.question), escape(j.label), opinion_tag(judge, j.opinion)) +
         text_box(j.single ? "Answer" : "Answer A", j.answer_a) +
         (j.single ? "" : text_box("Answer B", j.answer_b)) +
         opinion_boxes("The judge", j.opinion) + "</div></details>\n";
}

std::string trial(const RunHistory& run, const TrialPoint& point, bool open) {
  std::string figures;
  for (const auto& [name, value] : point.figures)
    figures += fmt::format("<span>{}: <b>{}</b></span>", escape(metric_title(name)),
                           metric_text(name, value));
  std::string out = fmt::format(
      "<details class=\"trial\" data-key=\"{} {}\"{}><summary><b>Step {}</b><span "
      "class=\"tags\">{}<span>of {} {}</span></span></summary>\n",
      escape(run.name), point.step, open ? " open" : "", point.step, figures, point.pairs,
      !point.judgements.empty() && point.judgements[0].single ? "answers" : "pairs");
  for (size_t i = 0; i < point.judgements.size(); ++i)
    out += trial_judgement(fmt::format("{} {} {}", run.name, point.step, i), point.judgements[i]);
  return out + "</details>\n";
}

}  // namespace

std::string settings_html(const RunList& runs) {
  std::string out;
  for (const RunHistory* run : runs) {
    if (run->config.empty()) continue;
    out += "<details data-key=\"settings " + escape(run->name) + "\"><summary>Settings" +
           (runs.size() > 1 ? " of " + escape(run->name) : "") +
           "</summary><div class=\"wide\" tabindex=\"0\"><table><tbody>";
    for (const auto& [key, value] : run->config.items())
      out += "<tr><th>" + escape(key) + "</th><td>" +
             escape(text_or_empty(run->config, key.c_str())) + "</td></tr>";
    out += "</tbody></table></div></details>\n";
  }
  return out;
}

std::string trials_html(const RunList& runs) {
  constexpr size_t kShownTrials = 12;
  std::string out;
  for (const RunHistory* run : runs) {
    const std::vector<TrialPoint>& judged = run->judged;
    if (judged.empty()) continue;
    out += "<h3>Judgements at validations" + (runs.size() > 1 ? ", " + escape(run->name) : "") +
           "</h3>";
    if (judged.size() > kShownTrials)
      out += fmt::format("<p class=\"muted small\">The last {} of {}.</p>\n", kShownTrials,
                         judged.size());
    for (size_t i = 0; i < judged.size() && i < kShownTrials; ++i)
      out += trial(*run, judged[judged.size() - 1 - i], i == 0);
  }
  return out;
}

std::string training_html(const RunList& runs) {
  if (runs.empty()) return "";
  std::string out = "<h2>Training</h2>\n";
  if (runs.size() == 1) {
    out += "<div class=\"tiles\">";
    for (const auto& [name, value] : run_facts(*runs[0]))
      out +=
          "<div class=\"tile\"><b>" + escape(value) + "</b><span>" + escape(name) + "</span></div>";
    out += "</div>\n";
  } else {
    out += facts_table(runs);
  }
  out += "<div class=\"grid\">\n" + loss_chart(runs) +
         simple_chart(runs, "Gap", "validation loss - train loss", &ValidPoint::gap, true, true) +
         judge_chart(runs) +
         simple_chart(runs, "Learning rate", "learning rate", &TrainPoint::lr, false, true) +
         simple_chart(runs, "Gradient norm", "norm", &TrainPoint::grad_norm, false, true) +
         simple_chart(runs, "Speed", "tokens per second", &TrainPoint::tokens_per_second, false,
                      true) +
         simple_chart(runs, "Peak memory", "GB", &TrainPoint::peak_memory_gb, false, true) +
         "</div>\n";
  return out;
}

}  // namespace gavel
