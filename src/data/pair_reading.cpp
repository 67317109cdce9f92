#include "data/pair_reading.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/blanks.h"
#include "base/error.h"
#include "base/random.h"
#include "data/conversation.h"
#include "data/jsonl.h"
#include "data/raw_records.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;
using Fault = RecordFault;

constexpr const char* kMissing = "missing field";
constexpr const char* kType = "wrong type";
constexpr const char* kLabel = "bad label";
constexpr const char* kNoLabel = "no label";

// One record's fields, found by our names.
class Row {
 public:
  Row(const Json& fields, const FormFields& form, const RawOptions& options)
      : form(form), options(options), fields_(fields) {}

  const FormFields& form;
  const RawOptions& options;

  const Json* find(const std::string& name) const {
    for (const std::string& path : form.paths.at(name)) {
      const Json* value = at_path(fields_, path);
      if (value == nullptr) continue;
      // A CSV cell that is empty is a value that is absent, except where it may be an answer.
      const bool empty = value->is_string() && value->get_ref<const std::string&>().empty();
      const bool answer =
          name == "answer_a" || name == "answer_b" || name == "chosen" || name == "rejected";
      if (!empty || answer) return value;
    }
    return nullptr;
  }

  // What it is called in the file.
  std::string called(const std::string& name) const {
    const auto& paths = form.paths.at(name);
    for (const std::string& path : paths)
      if (at_path(fields_, path) != nullptr) return path;
    return paths.empty() ? name : paths[0];
  }

  const Json& needed(const std::string& name) const {
    const Json* value = find(name);
    if (value == nullptr) throw Fault{kMissing, fmt::format("there is no \"{}\"", called(name))};
    return *value;
  }

  std::string text(const std::string& name) const {
    const Json* value = find(name);
    if (value == nullptr) return "";
    if (name == "reference" && value->is_object()) {  // JudgeLM: {"text": "..."}
      const auto inner = value->find("text");
      if (inner == value->end()) throw Fault{kType, "the reference has no \"text\""};
      value = &*inner;
    }
    auto text = text_of(*value);
    if (!text)
      throw Fault{kType,
                  fmt::format("\"{}\" must be text and is {}", called(name), value->type_name())};
    check_size(*text, called(name));
    return std::move(*text);
  }

  void check_size(const std::string& text, const std::string& name) const {
    if (text.size() > options.max_text_bytes)
      throw Fault{"text too long", fmt::format("\"{}\" has {} bytes; the limit is {}", name,
                                               text.size(), options.max_text_bytes)};
  }

  Conversation turns(const Json& value, const std::string& name, const char* role) const {
    return conversation_of(value, role, form.form->json_in_text, called(name));
  }

  const Json& fields() const { return fields_; }

 private:
  const Json& fields_;
};

std::optional<double> number_of(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const std::string text(trimmed(value.get_ref<const std::string&>()));
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// JudgeLM's scale ends at 10, and a reviewer that failed left -1; other data may have any scale.
Verdict by_scores(double a, double b, const Row& row) {
  for (const double score : {a, b}) {
    if (!std::isfinite(score)) throw Fault{kLabel, "a score is not finite"};
    const double most = row.options.max_score;
    if (row.form.form == find_form("judgelm") && !(score >= 0 && score <= most))
      throw Fault{kLabel, fmt::format("the score {} is not from 0 to {}", score, most)};
  }
  return a > b ? Verdict::a : b > a ? Verdict::b : Verdict::tie;
}

double score_of(const Json& value, const std::string& name) {
  const auto number = number_of(value);
  if (!number)
    throw Fault{kLabel, fmt::format("\"{}\" is no number: {}", name, value.dump().substr(0, 60))};
  return *number;
}

// Two scores on the first line of a review, JudgeLM's way ("8 5"), and the text after that line.
struct ScoresLine {
  double a = 0, b = 0;
};
std::optional<ScoresLine> take_scores_line(std::string& review) {
  const size_t begin = review.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return std::nullopt;
  const size_t end = std::min(review.find('\n', begin), review.size());
  double scores[2];
  const char* at = review.data() + begin;
  const char* stop = review.data() + end;
  for (double& score : scores) {
    while (at < stop && (*at == ' ' || *at == ',' || *at == '\t')) ++at;
    const auto [next, error] = std::from_chars(at, stop, score);
    if (error != std::errc() || !std::isfinite(score)) return std::nullopt;
    at = next;
  }
  for (; at < stop; ++at)
    if (*at != ' ' && *at != '\r' && *at != '\t') return std::nullopt;
  review = std::string(trimmed(std::string_view(review).substr(end)));
  return ScoresLine{scores[0], scores[1]};
}

// annotator1, annotator2, ... : 0 tie, 1 the first, 2 the second.
std::vector<int> votes_of(const Row& row) {
  std::vector<int> votes;
  if (row.form.paths.at("votes").empty()) return votes;
  const std::string prefix = row.form.paths.at("votes")[0];
  for (int i = 1;; ++i) {
    const std::string name = prefix + std::to_string(i);
    const auto it = row.fields().find(name);
    if (it == row.fields().end()) break;
    const auto number = number_of(*it);
    if (!number || (*number != 0.0 && *number != 1.0 && *number != 2.0))
      throw Fault{kLabel, fmt::format("\"{}\" must be 0, 1 or 2 and is {}", name,
                                      it->dump().substr(0, 60))};
    votes.push_back(static_cast<int>(*number));
  }
  return votes;
}

Verdict majority(const std::vector<int>& votes, bool split_tie) {
  int counts[3] = {0, 0, 0};
  for (const int vote : votes) ++counts[vote];
  for (int choice = 0; choice < 3; ++choice)
    if (2 * counts[choice] > static_cast<int>(votes.size()))
      return choice == 0 ? Verdict::tie : choice == 1 ? Verdict::a : Verdict::b;
  if (split_tie) return Verdict::tie;
  throw Fault{"no majority", fmt::format("the annotators are split {}:{}:{} (first, second, tie)",
                                         counts[1], counts[2], counts[0])};
}

// A label that is the name of one of the two models.
std::optional<Verdict> winner_by_name(const Row& row, const Json& label) {
  const Json* a = row.find("model_a");
  const Json* b = row.find("model_b");
  if (a == nullptr || b == nullptr || *a == *b) return std::nullopt;
  return label == *a   ? std::optional(Verdict::a)
         : label == *b ? std::optional(Verdict::b)
                       : std::nullopt;
}

// The label where a form has one of its own kind; nothing where it is not there.
std::optional<Verdict> label_field(const Row& row, JudgePair& pair) {
  const Json* label = row.find("label");
  if (label == nullptr || is_unlabelled(*label)) return std::nullopt;
  if (const auto verdict = meaning_of(*label, row.form.meanings)) return verdict;
  const std::string name = row.called("label");
  if (row.form.form->outcome == Outcome::said) {
    if (const auto model = winner_by_name(row, *label)) return model;
    if (const auto verdict = read_label(*label)) return verdict;
    throw Fault{kLabel, fmt::format("\"{}\" {}", name, label_advice(*label))};
  }
  const double value = label->is_boolean() ? (label->get<bool>() ? 1 : 0) : score_of(*label, name);
  const auto outside = [&](const char* allowed) {
    return Fault{kLabel, fmt::format("\"{}\" must be {} and is {}", name, allowed, value)};
  };
  switch (row.form.form->outcome) {
    case Outcome::one_two:
      if (value == 0 || value == 1.5) return Verdict::tie;
      if (!(value >= 1 && value <= 2)) throw outside("from 1 (first) to 2 (second)");
      return value < 1.5 ? Verdict::a : Verdict::b;
    case Outcome::zero_one:
      if (value != 0 && value != 1 && value != 2) throw outside("0 (first), 1 (second), 2 (tie)");
      return value == 0 ? Verdict::a : value == 1 ? Verdict::b : Verdict::tie;
    case Outcome::one_is_first:
      if (value != 0 && value != 1) throw outside("1 (first) or 0 (second)");
      return value == 1 ? Verdict::a : Verdict::b;
    case Outcome::sign:
      if (!(value >= -3 && value <= 3)) throw outside("from -3 (first) to 3 (second)");
      pair.meta.emplace_back("strength", fmt::format("{}", std::abs(value)));
      return value < 0 ? Verdict::a : value > 0 ? Verdict::b : Verdict::tie;
    default:
      return std::nullopt;
  }
}

// A column for each outcome: 1 in just one of them.
Verdict by_columns(const Row& row) {
  std::optional<Verdict> winner;
  for (const auto& [name, verdict] :
       {std::pair{"wins_a", Verdict::a}, {"wins_b", Verdict::b}, {"wins_tie", Verdict::tie}}) {
    const Json* value = row.find(name);
    if (value == nullptr) continue;
    const double number =
        value->is_boolean() ? (value->get<bool>() ? 1 : 0) : score_of(*value, row.called(name));
    if (number != 0 && number != 1)
      throw Fault{kLabel, fmt::format("\"{}\" must be 0 or 1 and is {}", row.called(name), number)};
    if (number == 0) continue;
    if (winner) throw Fault{kLabel, "more than one of the outcomes' columns has a 1"};
    winner = verdict;
  }
  if (!winner) throw Fault{kNoLabel, "none of the outcomes' columns has a 1"};
  return *winner;
}

Verdict label_of(const Row& row, JudgePair& pair) {
  if (row.form.form->outcome == Outcome::columns) return by_columns(row);
  if (const auto verdict = label_field(row, pair)) return *verdict;
  if (row.form.form->outcome != Outcome::said)
    throw Fault{kNoLabel, fmt::format("\"{}\" is empty", row.called("label"))};
  if (const Json* scores = row.find("scores")) {
    if (scores->is_array() && scores->size() == 2)
      return by_scores(score_of((*scores)[0], row.called("scores")),
                       score_of((*scores)[1], row.called("scores")), row);
    throw Fault{kLabel, fmt::format("\"{}\" must be a list of two numbers and is {}",
                                    row.called("scores"), scores->dump().substr(0, 60))};
  }
  const Json* a = row.find("score_a");
  const Json* b = row.find("score_b");
  if (a != nullptr && b != nullptr)
    return by_scores(score_of(*a, row.called("score_a")), score_of(*b, row.called("score_b")), row);
  if (!pair.votes.empty()) return majority(pair.votes, row.options.split_votes_tie);
  if (const auto line = take_scores_line(pair.reason)) return by_scores(line->a, line->b, row);
  throw Fault{kMissing, "there is neither a label, nor scores, nor votes"};
}

// What stands beside the texts, and no answer.
JudgePair common_of(const Row& row) {
  JudgePair pair;
  pair.reason = trimmed(row.text("reason"));
  pair.reference = trimmed(row.text("reference"));
  pair.id = row.text("id");
  pair.category = row.text("category");
  for (const auto& [name, paths] : row.form.meta)
    for (const std::string& path : paths)
      if (const Json* value = at_path(row.fields(), path)) {
        auto text = value->is_boolean() ? std::optional(value->dump()) : text_of(*value);
        if (!text || text->empty()) continue;
        row.check_size(*text, path);
        pair.meta.emplace_back(name, std::move(*text));
        break;
      }
  return pair;
}

Conversation question_of(const Row& row, bool needed) {
  Conversation turns;
  if (const std::string system(trimmed(row.text("system"))); !system.empty())
    turns.push_back({"system", system});
  const Json* value = needed ? &row.needed("question") : row.find("question");
  if (value != nullptr)
    for (Turn& turn : row.turns(*value, "question", "user")) turns.push_back(std::move(turn));
  if (const std::string input(trimmed(row.text("input"))); !input.empty() && !turns.empty())
    turns.back().text += "\n\n" + input;
  return turns;
}

int64_t exchanges_of(const Row& row) {
  const Json* turn = row.find("turn");
  const auto number = turn == nullptr ? std::nullopt : number_of(*turn);
  return number && *number >= 1 && *number < 1e6 ? static_cast<int64_t>(*number) : 0;
}

// Fills in the texts and looks at them.
void set_texts(const Row& row, JudgePair& pair, const Conversation& question, const Conversation& a,
               const Conversation& b) {
  TwoAnswers texts = compare(question, a, b, exchanges_of(row));
  pair.question = trimmed(texts.question);
  if (const std::string rubric(trimmed(row.text("rubric"))); !rubric.empty())
    pair.question += "\n\nCriterion: " + rubric;
  pair.answer_a = std::move(texts.answer_a);
  pair.answer_b = std::move(texts.answer_b);
  if (pair.question.empty())
    throw Fault{"empty question", row.form.paths.at("question").empty()
                                      ? std::string("the conversations have no common beginning")
                                      : fmt::format("\"{}\" is empty", row.called("question"))};
  row.check_size(pair.question, "question");
  row.check_size(pair.answer_a, "answer_a");
  row.check_size(pair.answer_b, "answer_b");
}

void check_answers(const JudgePair& pair) {
  if (pair.label && pair.answer_a == pair.answer_b && pair.label != Verdict::tie)
    throw Fault{"equal answers", fmt::format("the answers are the same, but the label is {}",
                                             to_string(*pair.label))};
}

JudgePair two_answers(const Row& row) {
  JudgePair pair = common_of(row);
  const bool whole = row.form.paths.at("question").empty();  // the answers hold the question
  const Conversation question = question_of(row, !whole);
  set_texts(row, pair, question, row.turns(row.needed("answer_a"), "answer_a", "assistant"),
            row.turns(row.needed("answer_b"), "answer_b", "assistant"));
  pair.votes = votes_of(row);
  try {
    pair.label = label_of(row, pair);
  } catch (const Fault&) {
    if (row.options.needs_label) throw;
  }
  take_scores_line(pair.reason);  // a review may repeat the scores that were given apart
  pair.reason = with_letters(pair.reason);
  check_answers(pair);
  return pair;
}

// The first answer won; then the order is drawn, the same for the same texts and seed.
JudgePair better_and_worse(const Row& row, JudgePair pair, const Conversation& question,
                           const Conversation& better, const Conversation& worse, Verdict label) {
  set_texts(row, pair, question, better, worse);
  pair.label = label;
  check_answers(pair);
  uint64_t hash = row.options.seed ^ 0x0D2E;
  for (const std::string* text : {&pair.question, &pair.answer_a, &pair.answer_b})
    hash = stable_hash(*text, hash);
  return Random(hash).below(2) == 0 ? pair : swapped(pair);
}

JudgePair chosen_rejected(const Row& row) {
  Verdict label = Verdict::a;
  const Json* a = row.find("score_a");
  const Json* b = row.find("score_b");
  if (a != nullptr && b != nullptr &&
      score_of(*a, row.called("score_a")) == score_of(*b, row.called("score_b")))
    label = Verdict::tie;
  return better_and_worse(row, common_of(row), question_of(row, false),
                          row.turns(row.needed("chosen"), "chosen", "assistant"),
                          row.turns(row.needed("rejected"), "rejected", "assistant"), label);
}

// Runs `make` for one pair of several; what it throws is that pair's fault.
template <typename Make>
void add_row(std::vector<RawRow>& rows, Make make) {
  RawRow& row = rows.emplace_back();
  try {
    row.pair = make();
  } catch (const Fault& fault) {
    row.fault = fault.kind;
    row.detail = fault.detail;
  }
}

std::string id_of(const JudgePair& pair, size_t i, size_t j) {
  return pair.id.empty() ? "" : fmt::format("{}/{}-{}", pair.id, i, j);
}

constexpr size_t kMostAnswers = 64;  // of one record: they make up to half its square of pairs

const Json& list_of(const Row& row, const std::string& name, size_t least) {
  const Json& list = row.needed(name);
  if (!list.is_array() || list.size() < least || list.size() > kMostAnswers)
    throw Fault{kType, fmt::format("\"{}\" must be a list of {} to {} answers", row.called(name),
                                   least, kMostAnswers)};
  return list;
}

std::vector<RawRow> each_better(const Row& row) {
  const Json& better = list_of(row, "chosen", 1);
  const Json& worse = list_of(row, "rejected", 1);
  const JudgePair common = common_of(row);
  const Conversation question = question_of(row, true);
  std::vector<RawRow> rows;
  for (size_t i = 0; i < better.size(); ++i)
    for (size_t j = 0; j < worse.size(); ++j)
      add_row(rows, [&] {
        JudgePair pair = common;
        pair.id = id_of(pair, i, j);
        pair.meta.emplace_back("place_a", std::to_string(i));
        pair.meta.emplace_back("place_b", std::to_string(j));
        return better_and_worse(row, pair, question, row.turns(better[i], "chosen", "assistant"),
                                row.turns(worse[j], "rejected", "assistant"), Verdict::a);
      });
  return rows;
}

// An answer of a list, best first.
struct Ranked {
  Conversation turns;
  double rank = 0;  // the less the better
  std::string model;
  size_t place = 0;
};

Ranked ranked_answer(const Row& row, const Json& item, size_t place) {
  const auto inner = [&](const char* name) -> const Json* {
    for (const std::string& path : row.form.paths.at(name))
      if (const Json* value = at_path(item, path)) return value;
    return nullptr;
  };
  const std::string where = fmt::format("{}.{}", row.called("answers"), place);
  const Json* answer = inner("answer");
  const Json* rank = inner("rank");
  const Json* score = inner("score");
  if (answer == nullptr) throw Fault{kMissing, where + " has no answer"};
  if (rank == nullptr && score == nullptr)
    throw Fault{kNoLabel, where + " has neither a rank nor a score"};
  const double value = score_of(rank != nullptr ? *rank : *score, where);
  const Json* model = inner("model");
  return {conversation_of(*answer, "assistant", false, where), rank != nullptr ? value : -value,
          model != nullptr ? text_of(*model).value_or("") : "", place};
}

std::vector<RawRow> ranked(const Row& row) {
  const Json& list = list_of(row, "answers", 2);
  const JudgePair common = common_of(row);
  const Conversation question = question_of(row, true);
  std::vector<Ranked> answers;
  for (size_t i = 0; i < list.size(); ++i) answers.push_back(ranked_answer(row, list[i], i));
  std::stable_sort(answers.begin(), answers.end(),
                   [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
  std::vector<RawRow> rows;
  for (size_t i = 0; i < answers.size(); ++i) {
    const size_t end =
        row.options.neighbours_only ? std::min(i + 2, answers.size()) : answers.size();
    for (size_t j = i + 1; j < end; ++j)
      add_row(rows, [&] {
        JudgePair pair = common;
        pair.id = id_of(pair, answers[i].place, answers[j].place);
        if (!answers[i].model.empty()) pair.meta.emplace_back("model_a", answers[i].model);
        if (!answers[j].model.empty()) pair.meta.emplace_back("model_b", answers[j].model);
        return better_and_worse(row, pair, question, answers[i].turns, answers[j].turns,
                                answers[i].rank == answers[j].rank ? Verdict::tie : Verdict::a);
      });
  }
  return rows;
}

}  // namespace

std::vector<RawRow> pairs_of(const Json& record, const FormFields& form,
                             const RawOptions& options) {
  const Row row(record, form, options);
  std::vector<RawRow> rows;
  try {
    switch (form.form->outcome) {
      case Outcome::better_each:
        return each_better(row);
      case Outcome::ranked:
        return ranked(row);
      case Outcome::better:
        rows.emplace_back().pair = chosen_rejected(row);
        return rows;
      default:
        rows.emplace_back().pair = two_answers(row);
        return rows;
    }
  } catch (const Fault& fault) {
    return {RawRow{.pair = std::nullopt, .fault = fault.kind, .detail = fault.detail}};
  }
}

}  // namespace gavel
