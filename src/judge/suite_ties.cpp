#include "judge/suite_ties.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

namespace gavel {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Spread {
  double within = 0;  // from the best right answer to the worst
  double gap = 0;     // from the worst right answer to the best wrong one
};

// Nothing where an answer has no score.
std::optional<Spread> spread_of(const SuiteRow& row) {
  double best = -kInfinity, worst = kInfinity, wrong = -kInfinity;
  for (const SuitePair& p : row) {
    if (!p.judgement->scores) return std::nullopt;
    const size_t right = p.judgement->label == Verdict::a ? 0 : 1;
    best = std::max(best, (*p.judgement->scores)[right]);
    worst = std::min(worst, (*p.judgement->scores)[right]);
    wrong = std::max(wrong, (*p.judgement->scores)[1 - right]);
  }
  return Spread{best - worst, worst - wrong};
}

// The share of questions whose right answers are all above the wrong ones.
double share_above(const std::map<std::string, Spread>& spreads) {
  const auto above = std::count_if(spreads.begin(), spreads.end(),
                                   [](const auto& entry) { return entry.second.gap > 0; });
  return static_cast<double>(above) / static_cast<double>(spreads.size());
}

}  // namespace

double ties_of_reward_bench_2(const SuiteRows& rows) {
  std::map<std::string, Spread> one, several;  // by question; ids are "ref:7/..." and "tied:7/..."
  for (const SuiteRow* row : rows) {
    const std::string& id = row->front().pair->id;
    const size_t colon = id.find(':');
    const auto spread = spread_of(*row);
    if (colon == std::string::npos || !spread) return std::nan("");
    const std::string question = id.substr(colon + 1, id.rfind('/') - colon - 1);
    (id.starts_with("ref:") ? one : several).insert_or_assign(question, *spread);
  }
  double twins = 0, apart = 0, apart_hard = 0, margins = 0;
  for (const auto& [question, tied] : several) {
    const auto it = one.find(question);
    if (it == one.end()) continue;
    const double hard = std::min(it->second.gap, tied.gap);
    ++twins;
    apart += tied.gap > tied.within ? 1 : 0;
    apart_hard += hard > tied.within ? 1 : 0;
    const double margin = std::tanh(hard / tied.within - 1);
    margins += std::isnan(margin) ? 0 : margin;
  }
  if (twins == 0) return std::nan("");
  return 0.3 * share_above(several) + 0.3 * share_above(one) +
         (0.2 * apart + 0.2 * apart_hard + 0.01 * margins) / twins;
}

}  // namespace gavel
