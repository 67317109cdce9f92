// Reading what a judge wrote about one answer: a score, a word for pass or fail, or a score for
// each of several criteria.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "judge/rating.h"

namespace gavel {

struct ParsedRatings {
  // Of each part; nothing where the text does not say it.
  std::vector<std::optional<int>> values;
  std::vector<size_t> begins;  // where the value stands in the text
  bool complete() const;
};

// Reads the ratings out of a judge's text (any bytes). What it thinks before it answers is passed
// over, and a thought that is not finished says nothing; `thinking` says that the prompt began one.
// Of one part, the first of these that says a value decides, and of it the last place:
//
//   the lead       "**Score:** 4", as the template writes it
//   a statement    "Score: 4/5", "rating is 4", {"score": 4}, <score>4</score>, "[RESULT] 4",
//                  "Verdict: pass"
//   a mark         "[[4]]", "\boxed{4}"
//   a line alone   the last that is not blank, else the first: "4", "**4/5**", "Pass."
//
// Of criteria, each is the last "NAME: 4" (or = or | or a JSON field), behind the lead where all
// are there. A value off the scale, a part of an integer, a range ("1-5"), or a choice ("pass or
// fail") is none.
ParsedRatings parse_ratings(std::string_view text, const std::vector<RatedPart>& parts,
                            std::string_view lead, bool thinking = false);

}  // namespace gavel
