// Judging pairs by a score of each answer, read alone: the log-odds of the template's two words
// (form `rank`). Its verdicts are the same in both orders by construction.
#pragma once

#include <span>
#include <vector>

#include "judge/judge.h"

namespace gavel {

// Of a pair whose scores differ by `difference` (the first answer's less the second's), with a tie
// band of 0 or more: A wins with sigmoid(difference - band), B with sigmoid(-difference - band),
// and the rest is a tie (Rao and Kupper's model; Bradley and Terry's where the band is 0). A tie is
// the most probable where the band is above log 2 and the difference is small.
Probabilities rank_probabilities(double difference, double tie_band);

// What makes scores honest probabilities: differences are divided by the temperature.
struct RankFit {
  double temperature = 1, tie_band = 0;
};
// Of least NLL on these judgements, which have scores; temperature in [0.05, 20], band in [0, 10],
// and 0 where no label is a tie.
RankFit fit_ranks(std::span<const Judgement> judgements);

// Judges all pairs with a model whose template is of the form `rank`; results in their order. At
// the options' temperature and tie band.
std::vector<JudgedPair> rank_pairs(const JudgeModel& model, std::span<const JudgePair> pairs,
                                   const JudgeOptions& options);

}  // namespace gavel
