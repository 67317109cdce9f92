// Verdicts by what a pair holds besides its texts: its category, its models, its source, its turn.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "judge/evaluate.h"

namespace gavel {

struct PairGroup {
  std::string value;
  std::vector<size_t> pairs;  // places in the file's order
};
struct PairGroups {
  std::string field;
  std::vector<PairGroup> groups;
};

inline constexpr size_t kMostGroups = 50;

// `field` is "category", or a name of the pairs' meta. NAME where there is only NAME_a and NAME_b
// (model) puts a pair into the groups of both its answers. Pairs without a value are the group
// "(none)". Numbers come in their order, other values with the most frequent first; beyond
// kMostGroups the rarest are one group, which says how many values it has. Throws Error where no
// pair has the field, naming those that there are.
PairGroups groups_by(std::span<const JudgePair> pairs, const std::string& field);

// "groups" of eval.json: for each field `field` and `groups`, each with `value`, `pairs` and
// `judges` (`name`, and `metrics` with intervals as of all pairs).
nlohmann::ordered_json groups_json(std::span<const EvalResult> results,
                                   std::span<const PairGroups> all,
                                   const BootstrapOptions& bootstrap, const JudgeForm& form = {});
// The tables of it, a blank line before each; "" where there are none.
std::string groups_tables(const nlohmann::ordered_json& evaluation);

}  // namespace gavel
