// Exports of a judge (fused, converted, quantized) beside the judge that they were made of.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "judge/eval_tables.h"
#include "judge/evaluate.h"

namespace gavel {

// Adds a judge for each model, named after its folder or file. Throws Error for a path where there
// is nothing.
void add_exported(std::vector<EvalJudge>& judges, const std::vector<std::string>& models);

// How many verdicts of each exported judge are those of the last adapter's judge (of the base model
// where there is none), by how much P(A) moves, and the agreement of both.
EvalTable exported_table(std::span<const EvalResult> results, const BootstrapOptions& options);

}  // namespace gavel
