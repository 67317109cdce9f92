// RewardBench 2's subset Ties, where several answers are equally right and scores say more than
// verdicts.
#pragma once

#include <vector>

#include "judge/suites.h"

namespace gavel {

using SuiteRows = std::vector<const SuiteRow*>;

// As its authors' process_single_model: right answers above all wrong ones (a question with one
// right answer, and its twin with several, count alike), and right answers nearer to each other
// than to the wrong ones. Not a number where an answer has no score or no question has a twin.
double ties_of_reward_bench_2(const SuiteRows& rows);

}  // namespace gavel
