#include "judge/verdict.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "judge/verdict_reader.h"
#include "text/thought.h"

namespace gavel {
namespace {

using verdict::Finding;
using verdict::Form;
using verdict::Reader;
using verdict::Token;

constexpr std::string_view kBlanks = " \t\r";

Verdict greater(double a, double b) {
  return a > b ? Verdict::a : b > a ? Verdict::b : Verdict::tie;
}

// What the readers read: the text behind the thought, and its tokens.
struct WrittenVerdict {
  std::string_view text;
  Reader reader;
};

Finding statement(const WrittenVerdict& j) { return j.reader.statement(); }

Finding scores(const WrittenVerdict& j) {
  if (const auto pair = parse_scores(j.text)) return {greater(pair->first, pair->second)};
  if (const auto pair = j.reader.scores_of_answers(false))
    return {greater(pair->first, pair->second)};
  return {};
}

Finding last_line(const WrittenVerdict& j) { return j.reader.last_line(); }
Finding first_line(const WrittenVerdict& j) { return j.reader.first_line(); }
Finding sentence(const WrittenVerdict& j) { return j.reader.sentence(); }
Finding opening(const WrittenVerdict& j) { return j.reader.opening(); }

Finding bare_marks(const WrittenVerdict& j) {
  const auto pair = j.reader.scores_of_answers(true);
  return pair ? Finding{greater(pair->first, pair->second)} : Finding{};
}

// The first that finds a verdict decides. verdict.h says what each of them reads.
constexpr Finding (*kReaders[])(const WrittenVerdict&) = {statement, scores,  last_line, first_line,
                                                          sentence,  opening, bare_marks};

// How A, B and tie would be written where `word` stands; nothing where that is not known.
std::optional<std::array<std::string, 3>> labels_like(const Token& token, std::string_view word,
                                                      bool in_double_brackets) {
  const bool names = token.names != Verdict::none;
  const std::string tie = in_double_brackets ? "C" : "tie";
  if (!names) return {{"A", "B", std::string(word)}};
  switch (token.form) {
    case Form::upper:
      return {{"A", "B", tie}};
    case Form::lower:
      return {{"a", "b", tie}};
    case Form::wide:
      return {{"\uFF21", "\uFF22", tie}};
    case Form::digit:
      return {{"1", "2", tie}};
    case Form::ordinal:
      if (word == "first" || word == "second") return {{"first", "second", tie}};
      if (word == "First" || word == "Second") return {{"First", "Second", "Tie"}};
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

struct LineScore {
  double value = 0;  // 0.8 of "8/10"
  bool scaled = false;
};

// One score at the start of `line`, "8" or "8/10", which is taken off; nothing where there is none.
std::optional<LineScore> take_score(std::string_view& line) {
  double score = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), score);
  if (error != std::errc() || !std::isfinite(score)) return std::nullopt;
  line.remove_prefix(static_cast<size_t>(end - line.data()));
  const size_t slash = std::min(line.find_first_not_of(kBlanks), line.size());
  if (!line.substr(slash).starts_with('/')) return LineScore{score, false};
  std::string_view rest = line.substr(slash + 1);
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
  double scale = 0;
  const auto [stop, fault] = std::from_chars(rest.data(), rest.data() + rest.size(), scale);
  if (fault != std::errc() || !(scale > 0) || !std::isfinite(scale)) return std::nullopt;
  line = rest.substr(static_cast<size_t>(stop - rest.data()));
  return LineScore{score / scale, true};
}

}  // namespace

ParsedVerdict parse_verdict(std::string_view text, bool thinking) {
  const auto begin = after_thought(text, thinking);
  if (!begin) return {};
  const std::string_view answer = text.substr(*begin);
  const WrittenVerdict judgement{answer, Reader(verdict::tokenize(answer, *begin))};
  for (const auto reader : kReaders) {
    const Finding found = reader(judgement);
    if (!found) continue;
    ParsedVerdict parsed{.verdict = found.verdict, .label_begin = {}, .labels = {}};
    if (found.label == verdict::kNowhere) return parsed;
    const Token& token = judgement.reader.at(found.label);
    const bool brackets = text.substr(0, token.begin).ends_with("[[");
    if (const auto labels =
            labels_like(token, text.substr(token.begin, token.end - token.begin), brackets)) {
      parsed.label_begin = token.begin;
      parsed.labels = *labels;
    }
    return parsed;
  }
  return {};
}

std::optional<std::pair<double, double>> parse_scores(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(begin);
  line = line.substr(0, line.find('\n'));
  // "**Scores:** 7 9", "(7, 9)"
  constexpr std::string_view kAround = " \t\r*_`()[]";
  const auto strip = [&](std::string_view more) {
    const size_t first = line.find_first_not_of(more);
    line.remove_prefix(std::min(first, line.size()));
  };
  strip(kAround);
  for (const std::string_view name : {"Scores", "scores", "Score", "score", "Ratings", "Rating"})
    if (line.starts_with(name)) {
      line.remove_prefix(name.size());
      strip(" \t\r*_`()[]:");
      break;
    }
  const auto first = take_score(line);
  if (!first) return std::nullopt;
  const std::string_view before = line;
  strip(" \t\r,;|");
  if (line.size() == before.size()) return std::nullopt;
  const auto second = take_score(line);
  if (!second || first->scaled != second->scaled ||
      line.find_first_not_of(" \t\r,;|*_`()[].") != std::string_view::npos)
    return std::nullopt;
  return std::pair{first->value, second->value};
}

}  // namespace gavel
