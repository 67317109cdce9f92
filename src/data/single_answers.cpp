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

// Thumbs up and down, in words; 1 or 0.
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

std::optional<double> score_of_answer(const PairRow& row) {
  const Json* score = row.find("score");
  if (score == nullptr) return std::nullopt;
  if (const auto word = score_of_word(*score)) return word;
  return score_of(*score, row.called("score"));
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
  Conversation asked;
  if (question != nullptr) {
    const PairRow row(*question->record, *question->form, options);
    asked = question_of(row, true);
    const JudgePair common = common_of(row);
    pair.category = common.category;
    pair.reference = common.reference;
  } else {
    asked = question_of(first, true);
  }
  add_meta(pair, *a.answer, options, "_a");
  add_meta(pair, *b.answer, options, "_b");
  const Conversation one = first.turns(first.needed("answer"), "answer", "assistant");
  const Conversation other = second.turns(second.needed("answer"), "answer", "assistant");
  if (a.score && b.score)
    return better_and_worse(first, std::move(pair), asked, one, other,
                            *a.score == *b.score ? Verdict::tie : Verdict::a);
  set_texts(first, pair, asked, one, other);
  return pair;
}

}  // namespace

std::optional<uint64_t> question_key(const SingleAnswer& answer, const RawOptions& options) {
  const PairRow row(*answer.record, *answer.form, options);
  const bool by_id =
      answer.form->paths.at("question").empty() || answer.form->form->outcome == Outcome::question;
  const std::string text =
      by_id ? row.text("id")
            : as_text(question_of(row, true)) + "\n" + std::string(trimmed(row.text("rubric")));
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
