// Whether what a judge says of the demonstration's pairs is true: its reasons are made of known
// facts, so each can be looked up or computed again.
#pragma once

#include <cstdint>
#include <string_view>

#include "data/judge_prompt.h"

namespace gavel {

// What a reason states of an answer: "Answer A is better: answer B stops in the middle of a
// sentence." states that B does. `none`: its first line is of no form that the set's reasons have.
enum class StatedFact : uint8_t { holds, fails, none };

// Looks at the pair's texts and the built-in material alone, not at the label or the pair's own
// reason. A statement about anything but the set's questions and answers fails, as does one that
// may be true but cannot be looked up ("is rude" of a refusal): the share that holds is a lower
// bound. `text`: what the judge wrote, with the answers named as in `pair`.
StatedFact check_reason(const JudgePair& pair, std::string_view text);

}  // namespace gavel
