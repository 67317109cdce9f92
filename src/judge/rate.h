// Judging answers one by one: forms score, pass and criteria.
#pragma once

#include <span>
#include <vector>

#include "judge/judge.h"

namespace gavel {

// Judges the rows with a model whose template is of a form of one answer; results in their order,
// each with `ratings`, a part each. Mode `reason`: the text is read (judge/answer_verdict.h), with
// the probabilities of the other values where the value stands. Mode `verdict`: the values are
// scored behind the template's lead; of criteria one after the other, each behind the most probable
// values of those before it.
std::vector<JudgedPair> rate_answers(const JudgeModel& model, std::span<const JudgePair> rows,
                                     const JudgeOptions& options);

// Probabilities of candidates from the log-probabilities of their tokens. Where one candidate's
// tokens begin another's (1 and 10), what the longer one has is not the shorter one's.
std::vector<double> candidate_probabilities(std::span<const std::vector<int>> candidates,
                                            std::span<const double> logprobs);

}  // namespace gavel
