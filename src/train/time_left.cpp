#include "train/time_left.h"

namespace gavel {
namespace {

constexpr double kKept = 0.8;  // of what older reports say, at each new one

}  // namespace

void TimeLeft::iterations(int64_t count, double seconds) {
  count_ = kKept * count_ + static_cast<double>(count);
  seconds_ = kKept * seconds_ + seconds;
}

std::optional<double> TimeLeft::after(int64_t iter) const {
  if (count_ <= 0) return std::nullopt;
  double validations = 0;
  if (steps_per_eval_ > 0) {
    const auto until = [&](int64_t end) { return (end + steps_per_eval_ - 1) / steps_per_eval_; };
    validations = static_cast<double>(until(iters_) - until(iter) + 1);
  }
  return static_cast<double>(iters_ - iter) * seconds_ / count_ + validations * validation_seconds_;
}

}  // namespace gavel
