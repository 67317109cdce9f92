// What a judge judges, as its template says it. Rows, the prompt, what is trained, the tokens that
// are scored, the verdict's reader and the measures all follow from this one description.
//
// A template's [form] section holds it; without one the form is `pair`:
//
//   rank yes no      score 1..5                     pass good bad     criteria
//                    1: wrong                                         accuracy 1..5 weight 2: true?
//                    5: right and complete                            5: nothing in it is wrong
//                                                                     style 1..5: well written?
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gavel {

enum class FormKind : uint8_t {
  pair,      // two answers in one prompt: A, B or tie
  rank,      // one answer a prompt, trained on pairs: the log-odds of one word over another
  score,     // one answer: an integer of a scale
  pass,      // one answer: it passes or fails
  criteria,  // one answer: an integer for each of several criteria
};

// "pair", "rank", "score", "pass", "criteria".
std::string_view to_string(FormKind kind);

// The integers low..high; `anchors` says what each of them stands for, "" where that is not said.
struct Scale {
  int low = 1, high = 5;
  std::vector<std::string> anchors;  // high - low + 1 of them
  bool operator==(const Scale&) const = default;
};

struct Criterion {
  std::string name;   // of small and capital letters, digits, - and _
  std::string about;  // what is asked; may be empty
  Scale scale;
  double weight = 1;  // in the overall score
  bool operator==(const Criterion&) const = default;
};

struct JudgeForm {
  FormKind kind = FormKind::pair;
  std::array<std::string, 2>
      words;  // rank: the better answer's and the worse one's; pass: pass, fail
  std::vector<Criterion> criteria;  // score: one, called "score"; criteria: one or more

  // Whether the data are pairs of answers (pair, rank), and whether the prompt holds one answer.
  bool of_pairs() const { return kind == FormKind::pair || kind == FormKind::rank; }
  bool one_answer() const { return kind != FormKind::pair; }
  bool operator==(const JudgeForm&) const = default;
};

// The lines of a [form] section, the first of which is line `first_line` of `name`. Throws Error
// naming the line that cannot be read.
JudgeForm parse_form(std::string_view text, const std::string& name, int64_t first_line);

// The labels that rows can have: A, B and tie; pass's two words; score's integers. Of criteria,
// whose rows have several, none.
std::vector<std::string> label_classes(const JudgeForm& form);

// The scale as a judge is told it: "1 to 5", and a line for each anchor; of several criteria a line
// each. Empty for forms without a scale.
std::string describe_scale(const JudgeForm& form);

}  // namespace gavel
