// Which of two answers a record says is the better one.
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/blanks.h"
#include "base/error.h"
#include "data/pair_row.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;
using Fault = RecordFault;

// JudgeLM's scale ends at 10, and a reviewer that failed left -1; other data may have any scale.
Verdict by_scores(double a, double b, const PairRow& row) {
  for (const double score : {a, b}) {
    const double most = row.options.max_score;
    if (row.form.form == find_form("judgelm") && !(score >= 0 && score <= most))
      throw Fault{kBadLabel, fmt::format("the score {} is not from 0 to {}", score, most)};
  }
  return a > b ? Verdict::a : b > a ? Verdict::b : Verdict::tie;
}

Verdict majority(const std::vector<int>& votes, bool split_tie) {
  int counts[3] = {0, 0, 0};
  for (const int vote : votes) ++counts[vote];
  for (int choice = 0; choice < 3; ++choice)
    if (2 * counts[choice] > static_cast<int>(votes.size()))
      return choice == 0 ? Verdict::tie : choice == 1 ? Verdict::a : Verdict::b;
  if (split_tie) return Verdict::tie;
  throw Fault{kNoMajority, fmt::format("the annotators are split {}:{}:{} (first, second, tie)",
                                       counts[1], counts[2], counts[0])};
}

// A label that is the name of one of the two models.
std::optional<Verdict> winner_by_name(const PairRow& row, const Json& label) {
  const Json* a = row.find("model_a");
  const Json* b = row.find("model_b");
  if (a == nullptr || b == nullptr || *a == *b) return std::nullopt;
  return label == *a   ? std::optional(Verdict::a)
         : label == *b ? std::optional(Verdict::b)
                       : std::nullopt;
}

// The label where a form has one of its own kind; nothing where it is not there.
std::optional<Verdict> label_field(const PairRow& row, JudgePair& pair) {
  const Json* label = row.find("label");
  if (label == nullptr || is_unlabelled(*label)) return std::nullopt;
  if (const auto verdict = meaning_of(*label, row.form.meanings)) return verdict;
  const std::string name = row.called("label");
  if (row.form.form->outcome == Outcome::said) {
    if (const auto model = winner_by_name(row, *label)) return model;
    if (const auto verdict = read_label(*label)) return verdict;
    throw Fault{kBadLabel, fmt::format("\"{}\" {}", name, label_advice(*label))};
  }
  const double value = score_of(*label, name);
  const auto outside = [&](const char* allowed) {
    return Fault{kBadLabel, fmt::format("\"{}\" must be {} and is {}", name, allowed, value)};
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
Verdict by_columns(const PairRow& row) {
  std::optional<Verdict> winner;
  for (const auto& [name, verdict] :
       {std::pair{"wins_a", Verdict::a}, {"wins_b", Verdict::b}, {"wins_tie", Verdict::tie}}) {
    const Json* value = row.find(name);
    if (value == nullptr) continue;
    const double number = score_of(*value, row.called(name));
    if (number != 0 && number != 1)
      throw Fault{kBadLabel,
                  fmt::format("\"{}\" must be 0 or 1 and is {}", row.called(name), number)};
    if (number == 0) continue;
    if (winner) throw Fault{kBadLabel, "more than one of the outcomes' columns has a 1"};
    winner = verdict;
  }
  if (!winner) throw Fault{kNoLabel, "none of the outcomes' columns has a 1"};
  return *winner;
}

}  // namespace

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

namespace {

int vote_of(const Json& value, const std::string& name) {
  const auto number = number_of(value);
  if (!number || (*number != 0.0 && *number != 1.0 && *number != 2.0))
    throw Fault{kBadLabel, fmt::format("\"{}\" must be 0, 1 or 2 and is {}", name,
                                       value.dump().substr(0, 60))};
  return static_cast<int>(*number);
}

}  // namespace

std::vector<int> votes_of(const PairRow& row) {
  std::vector<int> votes;
  // As gavel prepare writes them.
  const auto own = row.fields().find("votes");
  if (row.form.form == &plain_pairs() && own != row.fields().end() && own->is_array()) {
    for (const Json& vote : *own) votes.push_back(vote_of(vote, "votes"));
    return votes;
  }
  if (row.form.paths.at("votes").empty()) return votes;
  const std::string prefix = row.form.paths.at("votes")[0];
  for (int i = 1;; ++i) {
    const std::string name = prefix + std::to_string(i);
    const auto it = row.fields().find(name);
    if (it == row.fields().end()) break;
    votes.push_back(vote_of(*it, name));
  }
  return votes;
}

Verdict label_of(const PairRow& row, JudgePair& pair) {
  if (row.form.form->outcome == Outcome::columns) return by_columns(row);
  if (const auto verdict = label_field(row, pair)) return *verdict;
  if (row.form.form->outcome != Outcome::said)
    throw Fault{kNoLabel, fmt::format("\"{}\" is empty", row.called("label"))};
  if (const Json* scores = row.find("scores")) {
    if (scores->is_array() && scores->size() == 2)
      return by_scores(score_of((*scores)[0], row.called("scores")),
                       score_of((*scores)[1], row.called("scores")), row);
    throw Fault{kBadLabel, fmt::format("\"{}\" must be a list of two numbers and is {}",
                                       row.called("scores"), scores->dump().substr(0, 60))};
  }
  const Json* a = row.find("score_a");
  const Json* b = row.find("score_b");
  if (a != nullptr && b != nullptr)
    return by_scores(score_of(*a, row.called("score_a")), score_of(*b, row.called("score_b")), row);
  if (!pair.votes.empty()) return majority(pair.votes, row.options.split_votes_tie);
  if (const auto line = take_scores_line(pair.reason)) return by_scores(line->a, line->b, row);
  throw Fault{kNoLabel, "there is neither a label, nor scores, nor votes"};
}

}  // namespace gavel
