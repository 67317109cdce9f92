// Whether what a judge writes as its reason speaks for the verdict that it states.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string_view>

#include "judge/eval_tables.h"
#include "judge/metrics.h"

namespace gavel {

// The answer that the reason in a judge's text prefers: by the last sentence that prefers one
// (verdict.h's reader "sentence"), the sentence or line that states the verdict left out. None
// where no sentence does, and where the text states no verdict apart from its reason. `prompt` may
// end within a thought, which is passed over as parse_verdict() does.
Verdict reason_verdict(std::string_view text, std::string_view prompt);

// Of reasons, one for each order that was judged, whose verdict is A or B.
struct ReasonAgreement {
  int64_t written = 0;     // verdicts A or B
  int64_t preferring = 0;  // whose reason prefers A or B
  Interval against;        // share of the latter that prefer the other answer
};
ReasonAgreement reason_agreement(std::span<const Judgement> judgements,
                                 const BootstrapOptions& options);

// `reasons` of a judge in eval.json; null where no reason prefers an answer.
nlohmann::ordered_json reasons_json(std::span<const Judgement> judgements,
                                    const BootstrapOptions& options);
EvalTable reasons_table(const nlohmann::ordered_json& evaluation);

}  // namespace gavel
