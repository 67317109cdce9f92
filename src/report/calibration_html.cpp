// How honest a judge's confidence is, and how right it is where it is sure.
#include <fmt/format.h>

#include "report/report.h"
#include "report/svg.h"

namespace gavel {
namespace {

// How right each judge is on the share that it is the surest of.
std::string coverage(const EvalLog& eval) {
  svg::Chart chart{"Right among the surest", "share of the " + std::string(rows_name(eval)),
                   "share right"};
  chart.x_high = chart.y_high = 1;
  int color = 0;
  for (const JudgeSummary& judge : eval.judges)
    if (judge.coverage.size() > 1 && color <= 6)
      chart.series.push_back({judge.name, color++, judge.coverage, false, true});
  return chart.series.empty() ? "" : svg::render(chart);
}

}  // namespace

std::string calibration_html(const EvalLog& eval) {
  std::string out;
  for (size_t i = 0; i < eval.judges.size() && i < 12; ++i) {
    const JudgeSummary& judge = eval.judges[i];
    svg::Chart chart{"Reliability of " + judge.name, "confidence", "share right"};
    chart.x_high = chart.y_high = 1;
    chart.diagonal = true;
    const auto line = [](const std::vector<ReliabilityPoint>& bins) {
      std::vector<std::pair<double, double>> points;
      for (const ReliabilityPoint& bin : bins)
        if (bin.count > 0) points.emplace_back(bin.confidence, bin.accuracy);
      return points;
    };
    const auto raw = line(judge.reliability);
    if (raw.empty()) continue;  // its probabilities are not known
    chart.series.push_back({"as it is", 0, raw, false, true});
    if (!judge.reliability_scaled.empty())
      chart.series.push_back({judge.calibration.empty() || judge.calibration == "temperature"
                                  ? "at temperature " + svg::number(judge.temperature)
                                  : "calibrated (" + judge.calibration + ")",
                              1, line(judge.reliability_scaled), false, true, true});
    out += svg::render(chart);
  }
  out += coverage(eval);
  return out.empty() ? ""
                     : "<h3>Calibration</h3><p class=\"muted small\">Below the dotted line the "
                       "judge is surer than it is right.</p><div class=\"grid\">\n" +
                           out + "</div>\n";
}

}  // namespace gavel
