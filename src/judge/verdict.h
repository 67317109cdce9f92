// Reading a verdict out of what a judge wrote.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "data/judge_prompt.h"

namespace gavel {

struct ParsedVerdict {
  Verdict verdict = Verdict::none;
  // Where the word that decides ("A" in "**Verdict:** A") starts in the text, and how A, B and tie
  // would be written in its place: "A", "B", "tie"; "1", "2", "tie". Only a verdict that one word
  // states has a place; one that follows from scores, or from "A > B", has none.
  std::optional<size_t> label_begin;
  std::array<std::string, 3> labels;
};

// Reads the verdict out of a judge's text (any bytes), in time linear in its length. What a model
// thinks before it answers is passed over, and a thought that is not finished is no verdict;
// `thinking` says that the prompt began one. Then the first of these readers that finds a verdict
// decides:
//
//   statement   the last one of: "**Verdict:** A", "My final decision is answer B.", "Result: tie",
//               a JSON field or a tag of such a name ({"winner": "model_b"}, <answer>A</answer>),
//               "[[A]]" ("C" is a tie there), "[[A>>B]]", "\boxed{B}"
//   scores      JudgeLM's first line of two scores, "7 9", or scores given to both answers ("Answer
//               A: 8/10, Answer B: 6/10"): the greater wins, equal ones tie
//   last line   one that says only a label: "A", "**Answer B**", "It is a tie."
//   first line  the same: "1", before an explanation
//   sentence    the last one that prefers an answer: "Answer A is better", "I prefer B", "A is
//               worse than B", "They are equally good"; or "Answer: B"
//   opening     a label that the text begins with: "A, because it is right", "B. It says more"
//   bare marks  "Answer A: 9" and "Answer B: 4" on lines of their own
//
// Answers may be called A and B, 1 and 2, or first and second, after any of the usual nouns, in any
// of a dozen languages (verdict_lexicon.cpp). A statement that names both without preferring one
// ("A or B", a copied instruction), denies one, or asks, is none.
ParsedVerdict parse_verdict(std::string_view text, bool thinking = false);

// JudgeLM's two scores, where the first line that is not blank holds two numbers and no more
// ("7 9", "8.5, 6", "8/10 6/10", "Scores: 7 9"). Finite numbers only.
std::optional<std::pair<double, double>> parse_scores(std::string_view text);

}  // namespace gavel
