// One record of preference data, its fields found by our names. For pair_reading.cpp and
// pair_outcome.cpp.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "data/conversation.h"
#include "data/pair_reading.h"
#include "data/raw_records.h"

namespace gavel {

// Kinds of faults.
inline constexpr const char* kMissingField = "missing field";
inline constexpr const char* kWrongType = "wrong type";
inline constexpr const char* kBadLabel = "bad label";
inline constexpr const char* kNoLabel = "no label";
inline constexpr const char* kNoMajority = "no majority";

class PairRow {
 public:
  PairRow(const nlohmann::ordered_json& fields, const FormFields& form, const RawOptions& options)
      : form(form), options(options), fields_(fields) {}

  const FormFields& form;
  const RawOptions& options;

  // Null where it is not there. An empty text is not there either, as in a cell of CSV, except
  // where it may be an answer.
  const nlohmann::ordered_json* find(const std::string& name) const;
  // Throws RecordFault, as all below do, where it is not there.
  const nlohmann::ordered_json& needed(const std::string& name) const;
  // "" where it is not there. Of a JSON object, the text in it.
  std::string text(const std::string& name) const;
  Conversation turns(const nlohmann::ordered_json& value, const std::string& name,
                     const char* role) const;
  std::string called(const std::string& name) const;  // in the file
  void check_size(const std::string& text, const std::string& name) const;

  const nlohmann::ordered_json& fields() const { return fields_; }

 private:
  const nlohmann::ordered_json& fields_;
};

// A number, or a text that is one.
std::optional<double> number_of(const nlohmann::ordered_json& value);
// The same, true being 1 and false 0. Throws RecordFault, calling the value `name`.
double score_of(const nlohmann::ordered_json& value, const std::string& name);

// ---- parts of a pair (pair_reading.cpp) ----

// What stands beside the texts, and no answer.
JudgePair common_of(const PairRow& row);
// File and line that `gavel prepare` wrote into a row; "" where there is none.
std::string source_of(const PairRow& row);
// With the system's turn before it and the input added; empty where it is not `needed` nor there.
Conversation question_of(const PairRow& row, bool needed);
// Fills in the texts and looks at them.
void set_texts(const PairRow& row, JudgePair& pair, const Conversation& question, Conversation a,
               Conversation b);
// The better answer stands first, or there is a tie; the order is then drawn, the same for the same
// texts and seed.
JudgePair better_and_worse(const PairRow& row, JudgePair pair, const Conversation& question,
                           Conversation better, Conversation worse, Verdict label);

// Runs `make` for one row of several; what it throws is that row's fault.
template <typename Make>
void add_row(std::vector<RawRow>& rows, Make make) {
  RawRow& row = rows.emplace_back();
  try {
    row.pair = make();
  } catch (const RecordFault& fault) {
    row.fault = fault.kind;
    row.detail = fault.detail;
  }
}

// ---- single answers (single_answers.cpp, rated_answers.cpp) ----

// Thumbs up and down, in words; 1 or 0.
std::optional<double> score_of_word(const nlohmann::ordered_json& value);
// Where `answer` is a whole conversation: what comes before its last answer goes to the question.
void split_conversation(Conversation& question, Conversation& answer);
// A record of a single answer, or of a list of answers, as a row an answer: options.answers says
// what each has.
std::vector<RawRow> answers_of(const PairRow& row);
// Throws Error where data of this form has no such answers. `file` is what it calls the data.
void check_answers_form(const FormFields& form, const JudgeForm& judged, const std::string& file);

// ---- who won (pair_outcome.cpp) ----

// By the form's own field for it. Throws RecordFault where nothing says it. What the outcome says
// besides (strength) is added to the pair's meta.
Verdict label_of(const PairRow& row, JudgePair& pair);

// annotator1, annotator2, ...: 0 tie, 1 the first, 2 the second.
std::vector<int> votes_of(const PairRow& row);

// Two scores on the first line of a review, JudgeLM's way ("8 5"), which are taken out of it.
struct ScoresLine {
  double a = 0, b = 0;
};
std::optional<ScoresLine> take_scores_line(std::string& review);

}  // namespace gavel
