#include "data/pair_reading.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/blanks.h"
#include "base/error.h"
#include "base/random.h"
#include "data/jsonl.h"
#include "data/pair_row.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;
using Fault = RecordFault;

// What gavel prepare wrote: an object of texts. It knows better than the row's own fields, of which
// `source` is the file and line.
void add_own_meta(const PairRow& row, JudgePair& pair) {
  const Json* meta = at_path(row.fields(), "meta");
  if (meta == nullptr || !meta->is_object()) return;
  for (const auto& [name, value] : meta->items()) {
    auto text = text_of(value);
    if (!text) continue;
    row.check_size(*text, name);
    const auto known = std::find_if(pair.meta.begin(), pair.meta.end(),
                                    [&, &key = name](const auto& e) { return e.first == key; });
    if (known == pair.meta.end())
      pair.meta.emplace_back(name, std::move(*text));
    else
      known->second = std::move(*text);
  }
}

}  // namespace

std::string source_of(const PairRow& row) {
  const Json* source = at_path(row.fields(), "source");
  return source != nullptr && source->is_string() ? source->get<std::string>() : "";
}

JudgePair common_of(const PairRow& row) {
  JudgePair pair;
  // Thumbs up or down may be called feedback, as a critique may.
  const auto& answers = row.options.answers;
  const char* label = answers && answers->kind == FormKind::pass ? "pass" : "score";
  const bool is_score = row.find(label) != nullptr && row.called("reason") == row.called(label);
  if (!is_score) pair.reason = trimmed(row.text("reason"));
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
  if (row.form.form == &plain_pairs() || row.form.form == &plain_answers()) add_own_meta(row, pair);
  return pair;
}

Conversation question_of(const PairRow& row, bool needed) {
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

namespace {

int64_t exchanges_of(const PairRow& row) {
  const Json* turn = row.find("turn");
  const auto number = turn == nullptr ? std::nullopt : number_of(*turn);
  return number && *number >= 1 && *number < 1e6 ? static_cast<int64_t>(*number) : 0;
}

}  // namespace

void set_texts(const PairRow& row, JudgePair& pair, const Conversation& question, Conversation a,
               Conversation b) {
  TwoAnswers texts = compare(question, std::move(a), std::move(b), exchanges_of(row));
  const std::string rubric = row.text("rubric");
  pair.question = with_criterion(std::string(trimmed(texts.question)), trimmed(rubric));
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

namespace {

void check_answers(const JudgePair& pair, const RawOptions& options) {
  if (pair.label && pair.answer_a == pair.answer_b && pair.label != Verdict::tie &&
      !options.equal_answers)
    throw Fault{"equal answers", fmt::format("the answers are the same, but the label is {}",
                                             to_string(*pair.label))};
}

JudgePair two_answers(const PairRow& row) {
  JudgePair pair = common_of(row);
  const bool whole = row.form.paths.at("question").empty();  // the answers hold the question
  const Conversation question = question_of(row, !whole);
  Conversation a = row.turns(row.needed("answer_a"), "answer_a", "assistant");
  Conversation b = row.turns(row.needed("answer_b"), "answer_b", "assistant");
  set_texts(row, pair, question, std::move(a), std::move(b));
  pair.votes = votes_of(row);
  try {
    pair.label = label_of(row, pair);
  } catch (const Fault& fault) {
    const bool none = fault.kind == kNoLabel || fault.kind == kNoMajority;
    if (row.options.labels == RawOptions::Labels::needed ||
        (row.options.labels == RawOptions::Labels::optional && !none))
      throw;
  }
  take_scores_line(pair.reason);  // a review may repeat the scores that were given apart
  pair.reason = with_letters(pair.reason);
  check_answers(pair, row.options);
  return pair;
}

}  // namespace

JudgePair better_and_worse(const PairRow& row, JudgePair pair, const Conversation& question,
                           Conversation better, Conversation worse, Verdict label) {
  set_texts(row, pair, question, std::move(better), std::move(worse));
  pair.label = label;
  check_answers(pair, row.options);
  uint64_t hash = row.options.seed ^ 0x0D2E;
  for (const std::string* text : {&pair.question, &pair.answer_a, &pair.answer_b})
    hash = stable_hash(*text, hash);
  return Random(hash).below(2) == 0 ? std::move(pair) : swapped(std::move(pair));
}

namespace {

JudgePair chosen_rejected(const PairRow& row) {
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

std::string id_of(const JudgePair& pair, size_t i, size_t j) {
  return pair.id.empty() ? "" : fmt::format("{}/{}-{}", pair.id, i, j);
}

constexpr size_t kMostOfRecord = 64;  // of one record: they make up to half its square of pairs

const Json& list_of(const PairRow& row, const std::string& name, size_t least) {
  const Json& list = row.needed(name);
  if (!list.is_array() || list.size() < least || list.size() > kMostOfRecord)
    throw Fault{kWrongType, fmt::format("\"{}\" must be a list of {} to {} answers",
                                        row.called(name), least, kMostOfRecord)};
  return list;
}

std::vector<RawRow> each_better(const PairRow& row) {
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
  double rank = 0;                                        // the less the better
  std::vector<std::pair<std::string, std::string>> meta;  // without the _a or _b of its place
  size_t place = 0;
};

// Nothing for one without a rating: UltraFeedback's "N/A".
std::optional<Ranked> ranked_answer(const PairRow& row, const Json& item, size_t place) {
  const auto inner = [&](const char* name) -> const Json* {
    for (const std::string& path : row.form.paths.at(name))
      if (const Json* value = at_path(item, path)) return value;
    return nullptr;
  };
  const std::string where = fmt::format("{}.{}", row.called("answers"), place);
  const Json* answer = inner("answer");
  const Json* rank = inner("rank");
  const Json* score = inner("score");
  if (answer == nullptr) throw Fault{kMissingField, where + " has no answer"};
  if (rank == nullptr && score == nullptr)
    throw Fault{kNoLabel, where + " has neither a rank nor a score"};
  if (rank == nullptr && score->is_string() && *score == "N/A") return std::nullopt;
  const double value = score_of(rank != nullptr ? *rank : *score, where);
  Ranked out{conversation_of(*answer, "assistant", false, where),
             rank != nullptr ? value : -value,
             {},
             place};
  if (const Json* model = inner("model"))
    if (auto text = text_of(*model); text && !text->empty())
      out.meta.emplace_back("model", std::move(*text));
  out.meta.emplace_back(rank != nullptr ? "rank" : "score", fmt::format("{}", value));
  return out;
}

std::vector<RawRow> ranked(const PairRow& row) {
  const Json& list = list_of(row, "answers", 2);
  const JudgePair common = common_of(row);
  const Conversation question = question_of(row, true);
  std::vector<Ranked> answers;
  for (size_t i = 0; i < list.size(); ++i)
    if (auto answer = ranked_answer(row, list[i], i)) answers.push_back(std::move(*answer));
  if (answers.size() < 2)
    throw Fault{kNoLabel,
                fmt::format("fewer than two of \"{}\" have a rating", row.called("answers"))};
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
        for (const auto& [name, value] : answers[i].meta)
          pair.meta.emplace_back(name + "_a", value);
        for (const auto& [name, value] : answers[j].meta)
          pair.meta.emplace_back(name + "_b", value);
        return better_and_worse(row, pair, question, answers[i].turns, answers[j].turns,
                                answers[i].rank == answers[j].rank ? Verdict::tie : Verdict::a);
      });
  }
  return rows;
}

}  // namespace

std::vector<RawRow> pairs_of(const Json& record, const FormFields& form,
                             const RawOptions& options) {
  const PairRow row(record, form, options);
  std::vector<RawRow> rows;
  try {
    if (options.answers) return answers_of(row);
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
