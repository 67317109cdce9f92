#include "judge/exported.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "judge/eval_parts.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

// Mean of |P(A) - P(A)| in points, of the pairs where both are known; "-" where none is.
std::string mean_move(std::span<const Judgement> before, std::span<const Judgement> after) {
  double sum = 0.0;
  int64_t count = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    const auto &p = before[i].probabilities, &q = after[i].probabilities;
    if (!p || !q) continue;
    sum += std::abs((*p)[0] - (*q)[0]);
    ++count;
  }
  return count == 0 ? "-" : fmt::format("{:.2f}", 100.0 * sum / static_cast<double>(count));
}

std::string agreement(const EvalResult& result, const BootstrapOptions& options) {
  const auto& all = result.set.judgements;
  return percent_with_interval(
      interval_json(measure_paraphrase(result.judge.name, all, all, options).agreement));
}

}  // namespace

void add_exported(std::vector<EvalJudge>& judges, const std::vector<std::string>& models) {
  std::error_code ignored;
  for (const std::string& model : models) {
    if (!fs::exists(model, ignored)) fail("there is no model at {}", model);
    const fs::path whole = fs::absolute(model).lexically_normal();
    std::string name = (whole.filename().empty() ? whole.parent_path() : whole).filename().string();
    const auto taken = [&](const std::string& n) {
      return std::any_of(judges.begin(), judges.end(),
                         [&](const EvalJudge& judge) { return judge.name == n; });
    };
    const std::string first = name;
    for (int i = 2; taken(name); ++i) name = fmt::format("{} ({})", first, i);
    judges.push_back({.name = name, .adapter = {}, .step = {}, .model = model});
  }
}

EvalTable exported_table(std::span<const EvalResult> results, const BootstrapOptions& options) {
  TableRows rows = {{"exported judge", "beside", "pairs", "same verdict %", "P(A) moves by",
                     "agreement %", "of the other %"}};
  const EvalResult* other = nullptr;
  for (const EvalResult& r : results)
    if (r.judge.model.empty()) other = &r;  // adapters stand after the base model
  for (const EvalResult& r : results) {
    if (r.judge.model.empty() || other == nullptr) continue;
    const auto both =
        measure_paraphrase(r.judge.name, other->set.judgements, r.set.judgements, options);
    rows.push_back({r.judge.name, other->judge.name, std::to_string(both.pairs),
                    percent_with_interval(interval_json(both.same)),
                    mean_move(other->set.judgements, r.set.judgements), agreement(r, options),
                    agreement(*other, options)});
  }
  return {"Exported judges beside what they were made of", "", std::move(rows)};
}

}  // namespace gavel
