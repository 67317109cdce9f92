// Pairs of single answers to one question.
#include <algorithm>
#include <array>
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

}  // namespace

std::optional<double> score_of_word(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  std::string word(trimmed(value.get_ref<const std::string&>()));
  for (char& c : word) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (c == '_' || c == '-') c = ' ';
  }
  constexpr std::array kGood{"true", "yes", "good", "up",       "thumbs up", "thumb up",
                             "pass", "win", "like", "positive", "correct",   "\xF0\x9F\x91\x8D"};
  constexpr std::array kBad{"false",       "no",         "bad",       "down",
                            "thumbs down", "thumb down", "fail",      "loss",
                            "dislike",     "negative",   "incorrect", "\xF0\x9F\x91\x8E"};
  if (std::find(kGood.begin(), kGood.end(), word) != kGood.end()) return 1;
  if (std::find(kBad.begin(), kBad.end(), word) != kBad.end()) return 0;
  return std::nullopt;
}

void split_conversation(Conversation& question, Conversation& answer) {
  if (answer.size() > question.size() &&
      std::equal(question.begin(), question.end(), answer.begin()))
    answer.erase(answer.begin(), answer.begin() + static_cast<std::ptrdiff_t>(question.size()));
  const auto last = std::find_if(answer.rbegin(), answer.rend(),
                                 [](const Turn& turn) { return turn.role != "assistant"; });
  question.insert(question.end(), answer.begin(), last.base());
  answer.erase(answer.begin(), last.base());
}

namespace {

std::optional<double> score_of_answer(const PairRow& row) {
  const Json* score = row.find("score");
  if (score == nullptr) return std::nullopt;
  if (const auto word = score_of_word(*score)) return word;
  return score_of(*score, row.called("score"));
}

// The question is empty where the answer names it by an id.
struct AskedAndSaid {
  Conversation question, answer;
};

AskedAndSaid asked_and_said(const PairRow& row) {
  AskedAndSaid out;
  if (!row.form.paths.at("question").empty()) out.question = question_of(row, true);
  out.answer = row.turns(row.needed("answer"), "answer", "assistant");
  if (row.form.form->outcome == Outcome::conversation) split_conversation(out.question, out.answer);
  return out;
}

struct Scored {
  const SingleAnswer* answer;
  std::optional<double> score;
};

// Meta of one of the two answers, "_a" or "_b" after its names.
void add_meta(JudgePair& pair, const SingleAnswer& answer, const RawOptions& options,
              const char* side) {
  const PairRow row(*answer.record, *answer.form, options);
  if (const std::string model = row.text("model"); !model.empty())
    pair.meta.emplace_back(std::string("model") + side, model);
  for (const auto& [name, value] : common_of(row).meta) pair.meta.emplace_back(name + side, value);
  pair.meta.emplace_back(std::string("source") + side, answer.source);
}

JudgePair pair_of(const Scored& a, const Scored& b, const SingleAnswer* question,
                  const RawOptions& options) {
  const PairRow first(*a.answer->record, *a.answer->form, options);
  const PairRow second(*b.answer->record, *b.answer->form, options);
  JudgePair pair = common_of(first);
  pair.meta.clear();
  AskedAndSaid one = asked_and_said(first), other = asked_and_said(second);
  if (question != nullptr) {
    const PairRow row(*question->record, *question->form, options);
    one.question = question_of(row, true);
    const JudgePair common = common_of(row);
    pair.category = common.category;
    pair.reference = common.reference;
  }
  add_meta(pair, *a.answer, options, "_a");
  add_meta(pair, *b.answer, options, "_b");
  if (a.score && b.score)
    return better_and_worse(first, std::move(pair), one.question, one.answer, other.answer,
                            *a.score == *b.score ? Verdict::tie : Verdict::a);
  set_texts(first, pair, one.question, one.answer, other.answer);
  return pair;
}

}  // namespace

std::optional<uint64_t> question_key(const SingleAnswer& answer, const RawOptions& options) {
  const PairRow row(*answer.record, *answer.form, options);
  const Outcome outcome = answer.form->form->outcome;
  const bool whole = outcome == Outcome::conversation;
  const bool by_id =
      outcome == Outcome::question || (answer.form->paths.at("question").empty() && !whole);
  const std::string text =
      by_id ? row.text("id")
            : as_text(whole ? asked_and_said(row).question : question_of(row, true)) + "\n" +
                  std::string(trimmed(row.text("rubric")));
  if (trimmed(text).empty()) return std::nullopt;
  return stable_hash(text, by_id ? 1 : 2);
}

std::vector<RawRow> pairs_of_answers(std::span<const SingleAnswer> answers,
                                     const SingleAnswer* question, const RawOptions& options) {
  std::vector<RawRow> rows;
  const auto fault = [&](const Fault& f) {
    rows.push_back({.pair = std::nullopt, .fault = f.kind, .detail = f.detail});
  };
  std::vector<Scored> scored;
  try {
    for (const SingleAnswer& answer : answers) {
      const PairRow row(*answer.record, *answer.form, options);
      scored.push_back({&answer, score_of_answer(row)});
      if (scored[0].score.has_value() != scored.back().score.has_value())
        throw Fault{kNoLabel, fmt::format("of the answers to this question some have a score and "
                                          "others, as that of {}, have none",
                                          scored[0].score ? answer.source : answers[0].source)};
    }
  } catch (const Fault& f) {
    fault(f);
    return rows;
  }
  std::stable_sort(scored.begin(), scored.end(),
                   [](const Scored& a, const Scored& b) { return a.score > b.score; });
  for (size_t i = 0; i < scored.size(); ++i) {
    const bool near = options.neighbours_only && scored[i].score.has_value();
    for (size_t j = i + 1; j < (near ? std::min(i + 2, scored.size()) : scored.size()); ++j) try {
        rows.push_back({.pair = pair_of(scored[i], scored[j], question, options)});
      } catch (const Fault& f) {
        fault(f);
      }
  }
  return rows;
}

}  // namespace gavel
