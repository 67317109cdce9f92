// Single answers with what people say of each: a score, whether it passes, or a score for each of
// several criteria. For templates of one answer; with a template of pairs they are joined to pairs
// (join_answers.h).
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/blanks.h"
#include "base/error.h"
#include "data/jsonl.h"
#include "data/pair_row.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;
using Fault = RecordFault;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// One answer of a record: the record itself, or an item of the list in it.
struct AnswerItem {
  const PairRow& row;
  const Json& fields;
  std::string where;  // "completions.1." of an item, else ""

  const JudgeForm& judged() const { return *row.options.answers; }
  // Null where it is not there; an empty text is not there either.
  const Json* find(const std::string& name, std::string* called = nullptr) const {
    for (const std::string& path : row.form.paths.at(name)) {
      const Json* value = at_path(fields, path);
      if (value == nullptr || is_empty_text(*value)) continue;
      if (called != nullptr) *called = where + path;
      return value;
    }
    return nullptr;
  }
};

std::string shown(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60);
}

double scale_value(const Json& value, const std::string& name, const Scale& scale) {
  const auto number = value.is_boolean() ? std::nullopt : number_of(value);
  if (!number || !std::isfinite(*number))
    throw Fault{kBadLabel, fmt::format("\"{}\" must be an integer from {} to {} and is {}", name,
                                       scale.low, scale.high, shown(value))};
  if (*number < scale.low || *number > scale.high)
    throw Fault{"off the scale", fmt::format("\"{}\" is {}, and the scale is {} to {}", name,
                                             *number, scale.low, scale.high)};
  if (*number != std::floor(*number))
    throw Fault{"between the scale's integers",
                fmt::format("\"{}\" is {}, and the judge says an integer from {} to {}", name,
                            *number, scale.low, scale.high)};
  return *number;
}

double pass_value(const Json& value, const std::string& name, const JudgeForm& form) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_string()) {
    const std::string_view word = trimmed(value.get_ref<const std::string&>());
    for (size_t k = 0; k < 2; ++k)
      if (word == form.words[k]) return k == 0 ? 1 : 0;
  }
  if (const auto word = score_of_word(value)) return *word;
  if (const auto number = number_of(value); number && (*number == 0 || *number == 1))
    return *number;
  throw Fault{kBadLabel,
              fmt::format("\"{}\" must be true or false, up or down, {} or {}, and is {}", name,
                          form.words[0], form.words[1], shown(value))};
}

// What stands where a published score is missing.
bool is_missing(const Json& value) {
  return value.is_string() &&
         (value == "N/A" || trimmed(value.get_ref<const std::string&>()).empty());
}

// One number of a row: of pass 1 or 0.
struct Part {
  std::string name;    // that the row's scores have it by
  std::string source;  // our name of its field
  const Scale* scale = nullptr;
};

double value_of(const Json& value, const std::string& name, const Part& part,
                const JudgeForm& form) {
  return part.scale == nullptr ? pass_value(value, name, form)
                               : scale_value(value, name, *part.scale);
}

std::vector<Part> parts_of(const JudgeForm& form) {
  if (form.kind == FormKind::pass) return {{"pass", "pass", nullptr}};
  std::vector<Part> parts;
  for (const Criterion& c : form.criteria)
    parts.push_back(
        {c.name, form.kind == FormKind::score ? "score" : "scores." + c.name, &c.scale});
  return parts;
}

// Each annotator's value, NaN for one who gave none: a list, or of criteria a list by name.
std::vector<double> ratings_of(const AnswerItem& item, const Part& part) {
  std::string name;
  const Json* list = item.find("ratings", &name);
  if (list != nullptr && list->is_object() && list->contains(part.name)) {
    name += "." + part.name;
    list = &list->at(part.name);
  }
  if (list == nullptr || (list->is_object() && item.judged().kind == FormKind::criteria)) return {};
  if (!list->is_array())
    throw Fault{kWrongType, fmt::format("\"{}\" must be a list, a value an annotator", name)};
  std::vector<double> ratings;
  for (const Json& value : *list)
    ratings.push_back(value.is_null() ? kNaN : value_of(value, name, part, item.judged()));
  return ratings;
}

// The middle one, where people's ratings have one.
std::optional<double> median(std::vector<double> ratings) {
  std::erase_if(ratings, [](double r) { return std::isnan(r); });
  if (ratings.empty()) return std::nullopt;
  std::sort(ratings.begin(), ratings.end());
  const size_t n = ratings.size();
  if (ratings[(n - 1) / 2] != ratings[n / 2])
    throw Fault{kNoMajority, fmt::format("half of the ratings are {} and less, half {} and more",
                                         ratings[(n - 1) / 2], ratings[n / 2])};
  return ratings[n / 2];
}

void set_scores(const AnswerItem& item, JudgePair& answer) {
  const JudgeForm& form = item.judged();
  for (const Part& part : parts_of(form)) {
    std::vector<double> ratings = ratings_of(item, part);
    std::string name;
    const Json* given = item.find(part.source, &name);
    std::optional<double> value;
    if (given != nullptr && !is_missing(*given))
      value = value_of(*given, name, part, form);
    else
      value = median(ratings);
    if (!value)
      throw Fault{kNoLabel, form.kind == FormKind::criteria
                                ? fmt::format("there is no score for {}", part.name)
                                : fmt::format("there is no \"{}\"", item.where + part.name)};
    if (form.kind == FormKind::pass)
      answer.pass = *value == 1;
    else
      answer.scores.emplace_back(part.name, *value);
    if (!ratings.empty()) answer.ratings.push_back(std::move(ratings));
  }
  if (answer.ratings.size() != parts_of(form).size() && !answer.ratings.empty())
    throw Fault{kMissingField, "\"ratings\" holds some of the criteria and not the others"};
}

// The row's own rubric, with what it says of the values of the scale.
std::string rubric_of(const AnswerItem& item) {
  std::string rubric(trimmed(item.row.text("rubric")));
  constexpr int kMost = 10;
  for (const std::string& path : item.row.form.paths.at("anchors"))
    for (int value = 0; value <= kMost; ++value)
      if (const Json* anchor = at_path(item.fields, with_star(path, std::to_string(value)));
          anchor != nullptr && anchor->is_string() && !is_empty_text(*anchor))
        rubric += fmt::format("{}{}: {}", rubric.empty() ? "" : "\n", value,
                              trimmed(anchor->get_ref<const std::string&>()));
  item.row.check_size(rubric, "rubric");
  return rubric;
}

JudgePair rated_answer(const AnswerItem& item, JudgePair answer, Conversation question,
                       const Json& text) {
  const PairRow& row = item.row;
  Conversation said = conversation_of(text, "assistant", row.form.form->json_in_text,
                                      item.where + row.called("answer"));
  split_conversation(question, said);
  answer.single = true;
  answer.question = trimmed(as_text(question));
  answer.answer_a = as_text(said);
  if (said.empty()) throw Fault{"no answer", "the conversation does not end with an answer"};
  if (answer.question.empty()) throw Fault{"empty question", "there is no question"};
  row.check_size(answer.question, "question");
  row.check_size(answer.answer_a, "answer");
  answer.rubric = rubric_of(item);
  if (const Json* model = item.find("model"))
    if (auto name = text_of(*model)) answer.meta.emplace_back("model", std::move(*name));
  if (row.options.labels == RawOptions::Labels::ignored) return answer;
  try {
    set_scores(item, answer);
  } catch (const Fault& fault) {
    const bool none = fault.kind == kNoLabel || fault.kind == kNoMajority;
    if (!none || row.options.labels == RawOptions::Labels::needed) throw;
    answer.scores.clear();
    answer.ratings.clear();
  }
  return answer;
}

std::vector<RawRow> each_of_list(const PairRow& row) {
  const Json& list = row.needed("answers");
  if (!list.is_array() || list.empty())
    throw Fault{kWrongType, fmt::format("\"{}\" must be a list of answers", row.called("answers"))};
  const JudgePair common = common_of(row);
  const Conversation question = question_of(row, true);
  std::vector<RawRow> rows;
  for (size_t i = 0; i < list.size(); ++i)
    add_row(rows, [&] {
      const AnswerItem item{row, list[i], fmt::format("{}.{}.", row.called("answers"), i)};
      const Json* text = item.find("answer");
      if (text == nullptr) throw Fault{kMissingField, item.where + "answer is not there"};
      JudgePair answer = common;
      if (!common.id.empty()) answer.id = fmt::format("{}/{}", common.id, i);
      if (const Json* reason = item.find("reason"); reason != nullptr && reason->is_string())
        answer.reason = trimmed(reason->get_ref<const std::string&>());
      return rated_answer(item, std::move(answer), question, *text);
    });
  return rows;
}

}  // namespace

std::vector<RawRow> answers_of(const PairRow& row) {
  if (row.form.form->outcome == Outcome::ranked) return each_of_list(row);
  std::vector<RawRow> rows;
  add_row(rows, [&] {
    const AnswerItem item{row, row.fields(), ""};
    const bool whole = row.form.form->outcome == Outcome::conversation;
    JudgePair answer = common_of(row);
    std::erase_if(answer.meta, [](const auto& entry) { return entry.first == "score"; });
    if (row.form.form == &plain_answers())
      if (const std::string source = source_of(row); !source.empty())
        answer.meta.emplace_back("source", source);
    return rated_answer(item, std::move(answer), question_of(row, !whole), row.needed("answer"));
  });
  return rows;
}

void check_answers_form(const FormFields& form, const JudgeForm& judged, const std::string& file) {
  const PairForm& f = *form.form;
  const auto has = [&](const std::string& name) { return !form.paths.at(name).empty(); };
  const bool single = f.outcome == Outcome::single || f.outcome == Outcome::conversation;
  if (!(single || (f.outcome == Outcome::ranked && has("score"))))
    fail(
        "{} holds {} ({}), and the template judges one answer (form {}): that takes rows of one "
        "answer each",
        file, f.data, f.name, to_string(judged.kind));
  for (const Part& part : parts_of(judged))
    if (!has(part.source) && !has("ratings"))
      fail("{} holds {} ({}), where no field says {} of an answer; --field {}=FIELD names one",
           file, f.data, f.name,
           judged.kind == FormKind::pass ? "pass or fail" : fmt::format("the {}", part.name),
           part.source);
}

}  // namespace gavel
