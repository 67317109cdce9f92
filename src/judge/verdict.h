// Reading a verdict out of what a judge wrote.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "data/judge_prompt.h"

namespace gavel {

struct ParsedVerdict {
  Verdict verdict = Verdict::none;
  // Where the deciding word ("A" in "**Verdict:** A") starts in the text. Only a stated verdict
  // has a place; one that follows from two scores has none.
  std::optional<size_t> label_begin;
};

// Reads the verdict out of a judge's text. In order of precedence:
//   1. the last statement with the word "verdict": "**Verdict:** A", "verdict: [[B]]",
//      "My final verdict is Answer A.", "Verdict: tie" ("equal", "both", "C" in double brackets);
//   2. the last "[[A]]", "[[B]]" or "[[C]]" (C: a tie);
//   3. JudgeLM's first line of two scores, "7 9": the greater wins, equal ones tie;
//   4. a last line that is only a label: "A", "**Answer B**", "Tie.";
//   5. a sentence that prefers one: "Answer A is better", "the winner is B".
// A statement that names both ("A or B", a copied instruction) is no verdict.
ParsedVerdict parse_verdict(std::string_view text);

// JudgeLM's two scores, where the first line that is not blank holds two numbers and no more
// ("7 9", "8.5, 6"). Finite numbers only.
std::optional<std::pair<double, double>> parse_scores(std::string_view text);

}  // namespace gavel
