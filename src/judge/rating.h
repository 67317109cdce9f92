// The numbers that a judge of one answer gives: a score, one for each criterion, or 1 and 0 for
// pass and fail.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/judge_form.h"

namespace gavel {

// What is asked of an answer: its values are the integers from `low` on, written as `texts`.
struct RatedPart {
  std::string name;  // "score", a criterion's, or "pass"
  int low = 0;
  std::vector<std::string> texts;  // of pass: the word for 0, fail, then that for 1
  double weight = 1;
  bool numbers = true;  // texts are the integers themselves

  int high() const { return low + static_cast<int>(texts.size()) - 1; }
  const std::string& text_of(int value) const { return texts.at(static_cast<size_t>(value - low)); }
};
// One of score and pass, one a criterion of criteria; none of forms of pairs.
std::vector<RatedPart> rated_parts(const JudgeForm& form);

// One part of one answer.
struct Rating {
  int low = 0, high = 0;
  std::optional<int> label;  // what people say
  std::optional<int> value;  // what the judge wrote or finds most probable; none: unreadable
  std::vector<double> probabilities;  // of low..high; empty: not known

  // The mean over the probabilities; the value where they are not known; NaN where neither is.
  double expected() const;
  // The value; of an unreadable one the value that is farthest from the label, which must be there.
  int value_or_farthest() const;
};

// "4", "pass"; of several "accuracy 4, style 2"; "none" where one is not known.
std::string describe_ratings(const std::vector<RatedPart>& parts,
                             const std::vector<std::optional<int>>& values);
std::vector<std::optional<int>> values_of(const std::vector<Rating>& ratings);
std::vector<std::optional<int>> labels_of(const std::vector<Rating>& ratings);

// The probability of the value, of several parts the least of theirs; nothing where one is not
// known.
std::optional<double> confidence_of(const std::vector<Rating>& ratings);

// The mean of the parts by their weights, of values or of expectations; NaN where one is not known.
double weighted_total(const std::vector<RatedPart>& parts, const std::vector<double>& values);

}  // namespace gavel
