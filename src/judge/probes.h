// Probes: does a judge that is right stay right when the worse answer is dressed up? Each changes
// the answer that loses by the label in a way that makes it no better, and asks again. Of one
// answer: does what a judge says of it rise when it is dressed up?
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "judge/metrics.h"
#include "judge/rating.h"

namespace gavel {

struct Probe {
  const char* name;
  const char* what;  // what it does to the worse answer
  std::string (*apply)(const JudgePair& pair, const std::string& worse);
};

std::span<const Probe> probes();
// "all", or names with commas between. Throws UsageError for another name, and says which there
// are.
std::vector<const Probe*> find_probes(std::string_view names);

// The pair with its worse answer changed; the label must be A or B. Of one answer that one.
JudgePair probed(const JudgePair& pair, const Probe& probe);

// The pairs that a probe asks about again: those judged rightly whose label is A or B. Of one
// answer: those that neither people nor the judge give the best value in every part, and that the
// judge's is known of.
std::vector<size_t> probed_pairs(std::span<const JudgePair> pairs,
                                 std::span<const Judgement> judgements);

struct ProbeResult {
  const Probe* probe = nullptr;
  int64_t pairs = 0;     // judged rightly without it
  int64_t flipped = 0;   // and not with it
  int64_t to_worse = 0;  // of these: the verdict is the worse answer, not a tie or unreadable
  Interval rate;         // flipped / pairs
  Interval change;       // of one answer: see measure_answer_probe
};
// `after`: the judgements of probed_pairs() with the probe.
ProbeResult measure_probe(const Probe& probe, std::span<const Judgement> after, double level);

// Of one answer, as `before` has it without the probe and `after` with it: `flipped` are those
// whose value rises (the parts' mean by their weights; from fail to pass), and `change` is the mean
// difference of the expectation, with its bootstrap interval; where either is not known, it is left
// out of it.
ProbeResult measure_answer_probe(const Probe& probe, const std::vector<RatedPart>& parts,
                                 std::span<const Judgement> before,
                                 std::span<const Judgement> after, const BootstrapOptions& options);

// Wilson's score interval of a share; NaN where there are none.
Interval wilson_interval(int64_t count, int64_t of, double level);

}  // namespace gavel
