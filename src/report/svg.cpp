#include "report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace gavel::svg {
namespace {

// The drawing's own units; at phone width a unit is about 0.75 pixels.
constexpr double kWidth = 480, kHeight = 270;
constexpr double kLeft = 62, kRight = 20, kTop = 22, kBottom = 42;
constexpr size_t kMaxPoints = 600;

using Points = std::vector<std::pair<double, double>>;

struct Axis {
  double low = 0, high = 1, step = 1;

  double place(double value, double from, double to) const {
    return from + (value - low) / (high - low) * (to - from);
  }
};

// Ticks at 1, 2 or 5 times a power of ten, about `count` of them.
double nice_step(double span, int count) {
  const double raw = span / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double part = raw / power;
  return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

Axis axis_of(double low, double high, bool fixed, int count, bool from_zero) {
  if (from_zero) low = std::min(low, 0.0);
  if (!(high > low)) {
    const double pad = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= pad;
    high += pad;
  }
  Axis axis{low, high, nice_step(high - low, count)};
  if (!fixed) {
    const double pad = (high - low) * 0.04;
    if (low < 0 || low - pad >= 0) axis.low = low - (from_zero ? 0 : pad);
    axis.high = high + pad;
  }
  return axis;
}

// The multiples of the step within the axis. Counted, not added up: where the values are so large
// that a step vanishes in them, adding would never end.
std::vector<double> ticks(const Axis& axis) {
  std::vector<double> result;
  const double first = std::ceil(axis.low / axis.step);
  for (int i = 0; i < 20; ++i) {
    const double t = (first + i) * axis.step;
    if (!(t <= axis.high + axis.step * 1e-9)) break;
    result.push_back(std::abs(t) < axis.step * 1e-9 ? 0 : t);
  }
  return result;
}

// Smallest and greatest of each stretch, so that spikes stay.
Points thinned(const Points& points) {
  if (points.size() <= kMaxPoints) return points;
  Points result;
  const size_t buckets = kMaxPoints / 2;
  for (size_t b = 0; b < buckets; ++b) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(points.size() * b / buckets);
    const auto end =
        points.begin() + static_cast<std::ptrdiff_t>(points.size() * (b + 1) / buckets);
    const auto by_y = [](const auto& p, const auto& q) { return p.second < q.second; };
    const auto [low, high] = std::minmax_element(begin, end, by_y);
    result.push_back(std::min(low, high) == low ? *low : *high);
    if (low != high) result.push_back(low < high ? *high : *low);
  }
  return result;
}

std::string polylines(const Series& series, const Axis& x, const Axis& y) {
  std::string out, points;
  const auto close = [&] {
    if (!points.empty())
      out += fmt::format("<polyline class=\"line c{}{}{}\" points=\"{}\"/>", series.color,
                         series.faint ? " faint" : "", series.dashed ? " dashed" : "", points);
    points.clear();
  };
  std::string dots;
  for (const auto& [px, py] : thinned(series.points)) {
    if (!std::isfinite(px) || !std::isfinite(py)) {
      close();
      continue;
    }
    const double at_x = x.place(px, kLeft, kWidth - kRight);
    const double at_y = y.place(std::clamp(py, y.low, y.high), kHeight - kBottom, kTop);
    points += fmt::format("{}{:.1f},{:.1f}", points.empty() ? "" : " ", at_x, at_y);
    if (series.dots)
      dots += fmt::format("<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>",
                          series.color, at_x, at_y);
  }
  close();
  return fmt::format("<g data-name=\"{}\">{}{}</g>", escape(series.name), out, dots);
}

std::string grid(const Chart& chart, const Axis& x, const Axis& y) {
  std::string out;
  const double bottom = kHeight - kBottom, right = kWidth - kRight;
  for (double t : ticks(y)) {
    const double at = y.place(t, bottom, kTop);
    out += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
        kLeft, right, at, at, kLeft - 6, at + 4, number(t));
  }
  for (double t : ticks(x)) {
    const double at = x.place(t, kLeft, right);
    out +=
        fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                    at, bottom + 17, number(t));
  }
  out += fmt::format("<line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>", kLeft, right,
                     bottom, bottom);
  out += fmt::format("<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", right,
                     kHeight - 6, escape(chart.x_label));
  out += fmt::format("<text class=\"label\" x=\"4\" y=\"12\">{}</text>", escape(chart.y_label));
  if (chart.diagonal)
    out += fmt::format("<line class=\"ideal\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", kLeft,
                       bottom, right, kTop);
  return out;
}

std::string mark(const Mark& m, const Axis& x, size_t index) {
  const double at = x.place(m.x, kLeft, kWidth - kRight);
  const bool left = at > kWidth * 0.6;
  const double row = kTop + 10 + 17 * static_cast<double>(index);
  return fmt::format(
      "<line class=\"mark c{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\"/>"
      "<text class=\"note\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"{}\">{}</text>",
      m.color, at, at, kTop, kHeight - kBottom, left ? at - 5 : at + 5, row, left ? "end" : "start",
      escape(m.label));
}

}  // namespace

std::string number(double value) {
  if (!std::isfinite(value)) return "–";
  const double size = std::abs(value);
  if (size >= 1e15) return fmt::format("{:.2e}", value);
  if (size >= 1e9) return fmt::format("{:.4g}G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.0f}", value);
  if (size > 0 && size < 1e-3) return fmt::format("{:.3g}", value);
  return fmt::format("{:.4g}", value);
}

std::string render(const Chart& chart) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  double x_low = kInf, x_high = -kInf, y_low = kInf, y_high = -kInf;
  for (const Series& s : chart.series)
    for (const auto& [x, y] : s.points) {
      if (!std::isfinite(x) || !std::isfinite(y)) continue;
      x_low = std::min(x_low, x);
      x_high = std::max(x_high, x);
      y_low = std::min(y_low, y);
      y_high = std::max(y_high, y);
    }
  if (x_low > x_high) return "";
  const bool fixed_x = chart.x_low < chart.x_high, fixed_y = chart.y_low < chart.y_high;
  const Axis x = fixed_x ? axis_of(chart.x_low, chart.x_high, true, 5, false)
                         : axis_of(x_low, x_high, true, 5, false);
  const Axis y = fixed_y ? axis_of(chart.y_low, chart.y_high, true, 5, false)
                         : axis_of(y_low, y_high, false, 5, chart.from_zero);
  std::string body = grid(chart, x, y);
  for (const Series& s : chart.series) body += polylines(s, x, y);
  size_t row = 0;
  for (const Mark& m : chart.marks)
    if (m.x >= x.low && m.x <= x.high) body += mark(m, x, row++);

  std::string legend;
  for (const Series& s : chart.series)
    if (chart.series.size() > 1 && !s.faint && !s.name.empty() && !s.points.empty())
      legend += fmt::format("<span class=\"key\"><i class=\"c{}{}\"></i>{}</span>", s.color,
                            s.dashed ? " dashed" : "", escape(s.name));
  return fmt::format(
      "<figure class=\"chart\"><figcaption><b>{0}</b><span class=\"keys\">{1}</span></figcaption>"
      "<svg viewBox=\"0 0 {2} {3}\" role=\"img\" aria-label=\"{0}\" data-x=\"{4} {5} {6} {7}\" "
      "data-y=\"{8} {9} {10} {11}\" data-label=\"{12}\">{13}<line class=\"cursor\" y1=\"{11}\" "
      "y2=\"{10}\" visibility=\"hidden\"/></svg></figure>\n",
      escape(chart.title), legend, kWidth, kHeight, x.low, x.high, kLeft, kWidth - kRight, y.low,
      y.high, kHeight - kBottom, kTop, escape(chart.x_label), body);
}

Points smoothed(const Points& points, double factor) {
  Points result;
  double sum = 0, weight = 0;
  for (const auto& [x, y] : points) {
    if (!std::isfinite(y)) continue;
    sum = factor * sum + (1 - factor) * y;
    weight = factor * weight + (1 - factor);
    result.emplace_back(x, sum / weight);
  }
  return result;
}

}  // namespace gavel::svg
