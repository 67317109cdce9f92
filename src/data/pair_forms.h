// The forms in which preference data is published or collected, as one table: by which fields a
// form is known, how its outcome is read, and which of its fields is which of ours. A new form is a
// new entry of the table in pair_forms.cpp and a test of its reading.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "data/judge_form.h"

namespace gavel {

// Who won, by what a form holds.
enum class Outcome : uint8_t {
  said,          // a label in words or a model's name; else scores, votes, scores in the reason
  one_two,       // a number from 1 (first) to 2 (second); 1.5 and 0 are ties
  zero_one,      // 0 the first, 1 the second, 2 a tie
  one_is_first,  // 1 the first, 0 the second
  sign,          // below 0 the first, above 0 the second, 0 a tie; its size is the strength
  columns,       // a column for each outcome, 1 in one of them
  better,        // a better and a worse answer; their order is drawn
  better_each,   // lists of better and of worse answers: every better one with every worse one
  ranked,        // a list of answers with ranks (least is best) or scores (greatest is best)
  single,        // one answer, with a score or without; those to one question are joined
  conversation,  // the same, the answer being the last turn of a conversation
  question,      // a question without an answer, which others name by its id
};

struct PairForm {
  const char* name;      // --format, and reports
  const char* data;      // what is published so
  const char* found_by;  // fields that it has, ", " between them; see has_fields
  Outcome outcome;
  // "ours=theirs", ", " between them; theirs may be a path into objects and lists ("info.post",
  // "summaries.0.text"), and several of which the first that is there counts ("a|b").
  const char* fields;
  const char* meta = "";      // further fields that are kept, in the same way
  const char* choose = "";    // label fields that mean different things: the user must name one
  bool json_in_text = false;  // conversations are JSON within a text
  // Of an answer's scores, by the criterion's name, which stands for each *; "" where a form has
  // none.
  const char* criteria = "";
};

const std::vector<PairForm>& pair_forms();
const PairForm* find_form(std::string_view name);  // null where there is none
// The forms in which `gavel prepare` writes pairs, and single answers.
const PairForm& plain_pairs();
const PairForm& plain_answers();
// Questions alone, of which no pairs can be made: only what is to be kept out of data comes so.
const PairForm& plain_questions();

// The form that has this record; null where none has.
const PairForm* form_of(const nlohmann::ordered_json& fields);

// Whether records of the form are no pairs but have to be joined (data/join_answers.h).
bool is_joined(const PairForm& form);

// Whether all of "a, b|c, d:texts, e:dialogue" are there and not null; `b|c`: one of them, `texts`:
// as a list of texts, `dialogue`: as a text of several turns.
bool has_fields(const nlohmann::ordered_json& fields, std::string_view needed);

// The value at a name, or at a path of names and places in lists; null where it is not there.
const nlohmann::ordered_json* at_path(const nlohmann::ordered_json& fields, std::string_view path);

// Our names for the fields, and how each is called in the file ("" where a form has it not):
// question, input, system, rubric, anchors (* stands for a value of the scale), answer_a, answer_b,
// label, scores, score_a, score_b, votes (a prefix: annotator means annotator1, annotator2, ...),
// reason, reference, id, category, model_a, model_b, turn, wins_a, wins_b, wins_tie, chosen,
// rejected, answers, answer, rank, score, pass, ratings, model; and where single answers are read
// for a judge of several criteria, scores.NAME for each of them.
using FieldNames = std::map<std::string, std::string>;
FieldNames field_names(const PairForm& form, const std::optional<JudgeForm>& answers = {});
// Changes `names` by "NAME=FIELD". Throws UsageError for a NAME that is not one of the above.
void map_field(FieldNames& names, const std::string& mapping);

// The names that the fields of any form have, for RecordReader::match_header.
const std::set<std::string>& known_fields();

// `path` with `value` for each * in it.
std::string with_star(std::string path, const std::string& value);

// The pieces of `text` between `separator`s.
std::vector<std::string> pieces_of(std::string_view text, std::string_view separator);

}  // namespace gavel
