// The least value of a function of one number that has one minimum.
#pragma once

#include <cmath>

namespace gavel {

// Golden-section search in [low, high]; the place is right to 1e-7.
template <typename Function>
double golden_section(double low, double high, const Function& f) {
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double left = high - golden * (high - low), right = low + golden * (high - low);
  double at_left = f(left), at_right = f(right);
  while (high - low > 1e-7) {
    if (at_left < at_right) {
      high = right;
      right = left;
      at_right = at_left;
      left = high - golden * (high - low);
      at_left = f(left);
    } else {
      low = left;
      left = right;
      at_left = at_right;
      right = low + golden * (high - low);
      at_right = f(right);
    }
  }
  return (low + high) / 2;
}

}  // namespace gavel
