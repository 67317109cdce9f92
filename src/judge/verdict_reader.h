// Finds statements of a verdict among the tokens of a judge's text. Internal to src/judge.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "judge/verdict_words.h"

namespace gavel::verdict {

inline constexpr size_t kNowhere = static_cast<size_t>(-1);

// A verdict, and the token that states it; kNowhere where no single one does.
struct Finding {
  Verdict verdict = Verdict::none;
  size_t label = kNowhere;
  explicit operator bool() const { return verdict != Verdict::none; }
};

// verdict.h says what each of the readers reads.
class Reader {
 public:
  explicit Reader(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Finding statement() const;
  Finding last_line() const;
  Finding first_line() const;
  Finding opening() const;
  Finding sentence() const { return preference(0, tokens_.size()); }
  // The scores given to the two answers; `bare`: such as are a number on the answer's line and no
  // more, else such as are called scores or are out of something.
  std::optional<std::pair<double, double>> scores_of_answers(bool bare) const;

  const Token& at(size_t i) const { return tokens_[i < tokens_.size() ? i : tokens_.size() - 1]; }

 private:
  struct Line {
    size_t begin = 0, end = 0;
  };
  // What follows the name of an answer makes a verdict of it, or none; `open`: words follow of
  // which nothing is known.
  struct Settled {
    Finding found;
    bool open = false;
  };
  // How much may be taken for a label behind an announcement.
  enum class Manner : uint8_t { prose, formal, field };

  // Looking around. All of these look no further than kReach.
  bool is_symbol(size_t i, std::string_view any) const;
  size_t skip_symbols(size_t i, std::string_view any) const;
  size_t skip_words(size_t i, uint64_t roles) const;
  size_t named(size_t i) const;
  Verdict name(size_t i) const { return i == kNowhere ? Verdict::none : at(i).names; }
  size_t after_name(size_t i) const;
  size_t line_end(size_t i) const;
  bool ends_sentence(size_t i) const;
  bool follows(size_t i, uint64_t roles) const;
  bool stands_before(size_t i, uint64_t roles, size_t reach) const;
  bool doubted(size_t i) const;
  bool is_object(size_t i) const;

  // What follows a name.
  Settled settle(size_t i) const;
  Settled settle_symbol(size_t i, size_t next) const;
  Settled settle_copula(size_t i, size_t next) const;
  Finding relation(size_t i, size_t next) const;
  Finding compared(size_t i, size_t next) const;
  bool lists(size_t i, size_t next) const;

  // Statements.
  Finding said(size_t i, Manner manner) const;
  Finding said_tie(size_t i) const;
  Finding both(size_t i) const;
  size_t colon_after(size_t i) const;
  Finding announced(size_t i) const;
  bool instructs(size_t i) const;
  Finding in_brackets(size_t i) const;

  // Sentences.
  Finding preference(size_t begin, size_t end) const;
  Finding prefers_subject(size_t i) const;
  Finding prefers_object(size_t i) const;
  Finding falls_short(size_t i, size_t next) const;
  bool is_predicate(size_t i) const;
  Finding compares(size_t i) const;
  Finding compares_behind(size_t i) const;
  Finding ties(size_t i) const;
  Finding neither(size_t i) const;
  Finding answered(size_t i) const;

  // Lines.
  std::vector<Line> lines() const;
  Finding only_label(const Line& line, const std::vector<Line>& all) const;
  Finding label_of(const Line& line, const Line& neighbour, const std::vector<Line>& all) const;
  Verdict heading(const Line& line) const;

  // Scores.
  struct Score {
    double value = 0;
    double scale = 0;     // 10 of "8/10"; 0 where none is told
    bool called = false;  // a score: by that word, or by "out of"
  };
  std::optional<Score> score_of(size_t i) const;
  std::optional<Score> bare_score_of(size_t i) const;

  std::vector<Token> tokens_;
};

}  // namespace gavel::verdict
