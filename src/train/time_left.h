// How long a run still takes, from what its iterations and validations took so far.
#pragma once

#include <cstdint>
#include <optional>

namespace gavel {

class TimeLeft {
 public:
  // A validation each `steps_per_eval` iterations and one at the end; 0: none.
  TimeLeft(int64_t iters, int64_t steps_per_eval)
      : iters_(iters), steps_per_eval_(steps_per_eval) {}

  // The newest count most: batches differ in length, and a machine gets busy.
  void iterations(int64_t count, double seconds);
  void validation(double seconds) { validation_seconds_ = seconds; }
  // Seconds from iteration `iter`, whose validation is still to come; nothing before any was timed.
  std::optional<double> after(int64_t iter) const;

 private:
  int64_t iters_, steps_per_eval_;
  double count_ = 0, seconds_ = 0, validation_seconds_ = 0;
};

}  // namespace gavel
