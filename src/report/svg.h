// Charts as inline SVG, coloured by the page's style sheet (light and dark), readable at phone
// width.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/markup.h"

namespace gavel::svg {

using markup::escape;

// A number as a reader wants it: 4 significant digits, no needless zeros, "1.2M" from a million on.
std::string number(double value);

// NaN breaks a line. Colour n is the page's --c<n>, n in 0..7.
struct Series {
  std::string name;
  int color = 0;
  std::vector<std::pair<double, double>> points;
  bool faint = false;  // drawn pale, below the others: raw values behind a smoothed line
  bool dots = false;   // a dot at each point
  bool dashed = false;
};

// A vertical line with a name.
struct Mark {
  double x = 0;
  std::string label;
  int color = 0;
};

struct Chart {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  std::vector<Mark> marks;
  // Fixed axes where low < high; else from the data.
  double x_low = 0, x_high = 0, y_low = 0, y_high = 0;
  bool diagonal = false;  // y = x, for reliability
  bool from_zero = false;
};

// A <figure> with title, drawing and legend; "" where no series has a finite point. Long series are
// thinned to what a screen can show, the extremes kept.
std::string render(const Chart& chart);

// Exponential moving average without a bias to its start.
std::vector<std::pair<double, double>> smoothed(
    const std::vector<std::pair<double, double>>& points, double factor = 0.9);

}  // namespace gavel::svg
