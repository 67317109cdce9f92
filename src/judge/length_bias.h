// How much verdicts follow the answers' lengths.
#pragma once

#include <utility>
#include <vector>

#include "judge/metrics.h"

namespace gavel {

// The longer answer; tie where they are as long.
Verdict longer_answer(const Judgement& judgement);

// Logistic regression of "A wins" on log2(length of A / length of B), with an intercept.
class LengthFit {
 public:
  void add(const Judgement& judgement, Verdict winner);
  // By Newton's method; NaN where it has no finite maximum (one side always wins, say).
  double slope() const;

 private:
  std::vector<std::pair<double, double>> points_;  // x, 1 where A wins
};

}  // namespace gavel
