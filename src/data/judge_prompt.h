// The judging prompt: one template file, the same for preparing data, judging, and evaluating.
//
// A template is plain text in up to four sections, each begun by a line of its own:
//
//   [form]        what is judged (data/judge_form.h); optional: pairs of answers
//   [system]      optional
//   [user]        the question, the answers and what to do
//   [assistant]   what the judge is to write, for training
//
// Placeholders: {question}, {answer_a} and {answer_b} (or {answer}, in forms with one answer in the
// prompt), {reference}, and where one answer is judged {rubric} and {scale}, in [system] and
// [user]; {reason} and {label} (once, {label} after {reason}) in [assistant].
// {?reference} ... {/reference} keeps what is between only where that value is not empty; a tag
// that stands alone on its line takes the line with it. Other braces are text, and braces within
// the values are never looked at. Lines before the first section are comments.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/judge_form.h"
#include "text/chat_template.h"

namespace gavel {

// Which of two answers is the better one. `none`: a judge that gave no readable verdict, which
// counts as wrong everywhere; a pair's label is never that.
enum class Verdict : uint8_t { a, b, tie, none };

inline constexpr std::array<Verdict, 3> kVerdicts = {Verdict::a, Verdict::b, Verdict::tie};

std::string_view to_string(Verdict verdict);                // "A", "B", "tie", "none"
std::optional<Verdict> parse_label(std::string_view text);  // A|B|tie and a|b|Tie|...
Verdict swapped(Verdict verdict);  // with the two answers exchanged: A and B change places

// What is judged: two answers, or in forms of one answer answer_a alone.
struct JudgePair {
  std::string id;
  std::string question, answer_a, answer_b;
  std::optional<Verdict> label;
  bool single = false;  // answer_b is empty and there is no label
  // Of one answer, by people: its score or that of each criterion, and whether it passes.
  std::vector<std::pair<std::string, double>> scores;
  std::optional<bool> pass;
  // Each annotator's scores, in the order of `scores`; NaN where one gave none.
  std::vector<std::vector<double>> ratings;
  // What this row in particular is judged by; of pairs it is a part of the question.
  std::string rubric;
  std::string reason;      // why, naming the answers as "Answer A" and "Answer B"; may be empty
  std::string reference;   // a reference answer; may be empty
  std::string category;    // of what kind the pair is (where it came from); for reports
  std::vector<int> votes;  // the annotators' choices, where there were several: 0 tie, 1 A, 2 B
  // What else its data say of it (model_a, model_b, annotator, turn, strength, ...), by name.
  std::vector<std::pair<std::string, std::string>> meta;
  int64_t source_line = 0;
};

// The pair with its answers exchanged: label, votes, what is named
// X_a and X_b in `meta`, and the reason's mentions ("Answer A",
// "answer B", "Assistant 1", "Response 2", ...) with them.
JudgePair swapped(JudgePair pair);
// The question of a pair that is judged by something in particular.
std::string with_criterion(std::string question, std::string_view rubric);
// One of its two answers alone, as forms with one answer in the prompt see it.
JudgePair answer_alone(const JudgePair& pair, Verdict which);

// The place of the row's label in label_classes(form); 0 of criteria. The row must have a label.
size_t label_class(const JudgePair& row, const JudgeForm& form);
// The row's label on one line: "A", "4", "pass", "accuracy 4, style 2"; "" where it has none.
std::string label_name(const JudgePair& row, const JudgeForm& form);

// `text` with the answers called A and B where it calls them 1 and 2 ("Assistant 1's" becomes
// "Answer A's"), as reviews written for other prompts do.
std::string with_letters(std::string_view text);

class JudgeTemplate {
 public:
  // The one that is built in for pairs, or for another form ("rank", "score", "pass").
  static const JudgeTemplate& standard();
  static const JudgeTemplate& standard(FormKind kind);
  // That of `score` with another scale ("0..4"), whose values it does not describe.
  static JudgeTemplate standard_of_scale(std::string_view scale);
  static JudgeTemplate from_file(const std::filesystem::path& path);
  // `name` is what errors call it. Throws Error naming the line: unknown placeholder or section, an
  // optional part that is not closed, a missing [user] section, a placeholder that must be there.
  static JudgeTemplate parse(std::string_view source, const std::string& name);

  // The prompt's messages (system where there is one, user); the pair's own text is `literal`
  // there.
  std::vector<Message> to_messages(const JudgePair& pair) const;
  // What the judge is to write: reason and verdict. Throws Error for a pair without a label, or
  // with one that is not of the form.
  std::string target_text(const JudgePair& pair) const;
  // Of the form rank: what the answer's score is the log-odds of, the better word's text over the
  // worse one's.
  std::array<std::string, 2> scored_texts() const;
  // The text right before the label, without trailing blanks ("**Verdict:**"): what a judge that
  // gives no reason begins with.
  const std::string& verdict_lead() const { return verdict_lead_; }
  // The lead with a label behind it as the template has it there.
  std::string verdict_text(std::string_view label) const;
  const JudgeForm& form() const { return form_; }
  // Whether the prompt holds a row's "reference", or "rubric" (of pairs it is in the question).
  bool takes(std::string_view field) const;
  // The template's text, to be kept beside what was made with it.
  const std::string& source() const { return source_; }

 private:
  struct Piece {
    enum class Kind : uint8_t { text, value, open, close } kind;
    std::string text;  // literal text, or the placeholder's name
  };
  static std::vector<Piece> parse_section(std::string_view text, const std::string& where,
                                          int64_t first_line,
                                          const std::vector<std::string_view>& allowed);
  Message fill(const std::string& role, const std::vector<Piece>& pieces, const JudgePair& pair,
               std::string_view label) const;
  std::string label_text(const JudgePair& pair) const;
  bool uses(std::string_view placeholder) const;
  void check_inputs(const std::string& name) const;
  void find_verdict_lead(const std::string& name);

  std::string source_, verdict_lead_, lead_gap_, scale_;
  JudgeForm form_;
  std::vector<Piece> system_, user_, assistant_;
};

// Appends to `out` the line of a split file that trains a judge on this pair, without its end:
// `messages`, and the pair's own fields, so that evaluation reads the same file. A group keeps the
// two orders of a pair in one batch; `source` ("file:line") may be empty. Throws Error for a pair
// without a label, and for text that is not UTF-8.
void append_training_row(const JudgePair& pair, const JudgeTemplate& prompt,
                         std::optional<int64_t> group, std::string_view source, std::string& out);
// The same line, read.
nlohmann::ordered_json training_row(const JudgePair& pair, const JudgeTemplate& prompt);

// A whole split file, replaced atomically; with both_orders, each pair as it is and then swapped.
// Small models learn to judge only where both orders come in one batch: else they learn a place.
void write_training_pairs(const std::filesystem::path& path, std::span<const JudgePair> pairs,
                          const JudgeTemplate& prompt, bool both_orders);

}  // namespace gavel
