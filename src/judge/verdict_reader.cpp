#include "judge/verdict_reader.h"

#include <algorithm>

namespace gavel::verdict {
namespace {

// Tokens that a statement may be long. Bounds the work at each place, and so makes all linear.
constexpr size_t kReach = 40;
// What may stand between an announcement and the label.
constexpr uint64_t kBetween =
    kFiller | kNoun | kFormal | kAnnounce | kAnswer | kCopula | kBetter | kBeats | kPrefer | kScore;

Verdict other(Verdict side) { return swapped(side); }

}  // namespace

// --- looking around -----------------------------------------------------------------------------

bool Reader::is_symbol(size_t i, std::string_view any) const {
  const char symbol = at(i).symbol;
  return symbol != 0 && any.find(symbol) != std::string_view::npos;
}

size_t Reader::skip_symbols(size_t i, std::string_view any) const {
  for (size_t n = 0; n < kReach && is_symbol(i, any); ++n) ++i;
  return i;
}

// Past words of these roles that name no answer.
size_t Reader::skip_words(size_t i, uint64_t roles) const {
  for (size_t n = 0; n < kReach && at(i).is(roles) && at(i).names == Verdict::none; ++n) ++i;
  return i;
}

// The answer that is named from `i` on, past nouns, small words and opening signs; else kNowhere.
size_t Reader::named(size_t i) const {
  for (size_t n = 0; n < 6; ++n, ++i) {
    if (at(i).names != Verdict::none) return i;
    if (!is_symbol(i, "\"([{#") && !at(i).is(kNoun | kFiller)) break;
  }
  return kNowhere;
}

// Behind the name at `i`, with the closing signs and nouns that belong to it ("second answer's").
size_t Reader::after_name(size_t i) const {
  const Token& name = at(i);
  const size_t next = skip_symbols(i + 1, ")]}\"");
  const Token& noun = at(next);
  const bool belongs =
      name.form == Form::ordinal || name.possessive || (!noun.latin && !noun.spaced);
  return belongs ? skip_symbols(skip_words(next, kNoun), ")]}\"") : next;
}

size_t Reader::line_end(size_t i) const {
  for (size_t n = 0; n < kReach && !at(i).is(kLineEnd | kEnd); ++n) ++i;
  return i;
}

bool Reader::ends_sentence(size_t i) const {
  return at(i).is(kEnd | kLineEnd) || is_symbol(i, ".!?;");
}

// Whether a word of these roles stands from `i` to the end of its sentence.
bool Reader::follows(size_t i, uint64_t roles) const {
  for (size_t n = 0; n < kReach && !ends_sentence(i); ++n, ++i)
    if (at(i).is(roles)) return true;
  return false;
}

bool Reader::stands_before(size_t i, uint64_t roles, size_t reach) const {
  for (size_t n = 0; n < reach && i > 0 && !ends_sentence(i - 1); ++n, --i)
    if (at(i - 1).is(roles)) return true;
  return false;
}

// Whether the sentence asks, or speaks of a case: "Is A better?", "if A is better".
bool Reader::doubted(size_t i) const {
  if (stands_before(i, kIf, 6)) return true;
  for (size_t n = 0; n < kReach && !ends_sentence(i); ++n) ++i;
  return is_symbol(i, "?");
}

// Whether the answer named at `i` is only what another one is compared with: "than answer A".
bool Reader::is_object(size_t i) const {
  constexpr uint64_t kCompare = kThan | kQue | kBy;
  for (size_t n = 0; n < 4 && i > 0; ++n, --i) {
    const Token& before = at(i - 1);
    if (before.is(kThan | kBy)) return true;
    if (before.is(kQue)) return stands_before(i - 1, kBetter | kWorse | kMore | kLess | kPrefer, 8);
    const bool passed =
        is_symbol(i - 1, "\"([{#") || (before.is(kNoun | kFiller) && before.names == Verdict::none);
    if (!passed || before.is(kCompare)) return false;
  }
  return false;
}

// --- what follows a name ------------------------------------------------------------------------

// "A > B", "A >> B", "A = B"; `next` is at the sign.
Finding Reader::relation(size_t i, size_t next) const {
  const char sign = at(next).symbol;
  if (name(named(skip_symbols(next, "<>="))) != other(at(i).names)) return {};
  if (sign == '=') return {Verdict::tie};
  return {sign == '>' ? at(i).names : other(at(i).names)};
}

// Whether the name at `i` is one of a list: "A, B or tie", "A | B". `next` is at the separator.
bool Reader::lists(size_t i, size_t next) const {
  const size_t item = skip_words(next + 1, kOr | kAnd);
  const size_t second = named(item);
  if (name(second) != other(at(i).names)) return item > next + 1 && at(item).is(kTie | kBoth);
  // Else a new clause begins: "A, B is wrong".
  return !at(after_name(second)).is(kCopula | kBeats | kLoses | kWorse | kBetter | kNot);
}

Reader::Settled Reader::settle_symbol(size_t i, size_t next) const {
  const Finding label = {at(i).names, i};
  if (at(i).bare && is_symbol(next, "+-/=<>%&|")) return {};  // arithmetic
  const bool second_named = named(skip_symbols(next, "<>=&+")) != kNowhere;
  if (is_symbol(next, "<>=") && second_named) return {relation(i, next)};
  if (is_symbol(next, "?")) return {};
  if (is_symbol(next, "&+") && second_named)
    return {follows(next, kTie) ? Finding{Verdict::tie} : Finding{}};
  if (is_symbol(next, ",/|-") && lists(i, next)) return {};
  return {label};
}

// Behind a word such as "worse" at `next`: the answer that the one at `i` is compared with.
Finding Reader::compared(size_t i, size_t next) const {
  for (size_t n = 0; n < 8 && !ends_sentence(next); ++n, ++next) {
    if (!at(next).is(kThan | kQue | kBy | kLoses)) continue;
    if (const size_t second = named(next + 1); name(second) == other(at(i).names))
      return {at(second).names};
  }
  return {};
}

Reader::Settled Reader::settle_copula(size_t i, size_t next) const {
  next = skip_words(next, kCopula | kFiller);
  const Token& t = at(next);
  if (t.is(kNot | kBad)) return {};
  if (t.is(kWorse | kLess | kLoses)) return {compared(i, next)};
  if (t.is(kTie | kBoth)) return {{Verdict::tie}};
  if (name(named(next)) == other(at(i).names)) return {};
  if (t.is(kBeats) && at(next + 1).is(kBy)) return {{name(named(next + 2))}};
  const bool known = !t.word() || t.is(kBetter | kBeats | kMore | kNoun | kFormal);
  return {{at(i).names, i}, !known};
}

Reader::Settled Reader::settle(size_t i) const {
  const Finding label = {at(i).names, i};
  const size_t next = after_name(i);
  const Token& t = at(next);
  if (t.is(kEnd | kLineEnd)) return {label};
  if (t.symbol != 0) return settle_symbol(i, next);
  if (t.names == other(at(i).names)) return {};
  if (t.is(kAnd) && name(named(next + 1)) == other(at(i).names))
    return {follows(next, kTie) ? Finding{Verdict::tie} : Finding{}};
  if (t.is(kNot | kThan | kIf | kYori | kBad)) return {};
  if (t.is(kOr) && !t.is(kFiller)) return {};
  if (t.is(kCopula)) return settle_copula(i, next);
  if (t.is(kWorse | kLess | kLoses)) return {compared(i, next)};
  if (t.is(kTie)) return {{Verdict::tie, next}};
  if (t.is(kBetter | kBeats | kBecause | kMore | kHou | kAnd)) return {label};
  return {label, true};
}

// --- statements ---------------------------------------------------------------------------------

// "tie" at `i`, where it is not one of several ("tie, A or B").
Finding Reader::said_tie(size_t i) const {
  const size_t next = skip_symbols(i + 1, ")]}\"");
  if (at(next).is(kOr) && !at(next).is(kFiller)) return {};
  if (is_symbol(next, "?")) return {};
  if (is_symbol(next, ",/|")) {
    const size_t item = named(skip_words(next + 1, kOr));
    if (item != kNowhere && !at(after_name(item)).is(kCopula | kBeats)) return {};
  }
  return {Verdict::tie, i};
}

// "Both are good" is a tie, unless more is said of one of them.
Finding Reader::both(size_t i) const {
  const size_t end = line_end(i);
  if (const Finding found = preference(i + 1, end)) return found;
  bool sides[2] = {};
  for (size_t k = i; k < end; ++k)
    if (at(k).names != Verdict::none) sides[at(k).names == Verdict::a ? 0 : 1] = true;
  return sides[0] == sides[1] ? Finding{Verdict::tie, i} : Finding{};
}

// What is said from `i` on, behind an announcement: a label, or a sentence that prefers one.
Finding Reader::said(size_t i, Manner manner) const {
  const size_t limit = i + kReach;
  for (bool words = false; at(i).names == Verdict::none; ++i) {
    const Token& t = at(i);
    if (i >= limit || t.is(kEnd) || is_symbol(i, "?")) return {};
    if (t.is(kLineEnd)) {
      if (words && !is_symbol(i - 1, ":") && !at(i - 1).is(kCopula)) return {};
    } else if (t.symbol != 0) {
      if (words && is_symbol(i, ".!;")) return {};
    } else if (t.side != Verdict::none && (t.joined || at(i + 1).names == other(t.side))) {
      return {};  // "A/B", "A B"
    } else if (t.is(kTie)) {
      return said_tie(i);
    } else if (t.is(kBoth)) {
      return both(i);
    } else if (manner == Manner::field && t.side == Verdict::tie && !at(i + 1).word()) {
      return {Verdict::tie, i};  // {"verdict": "C"}
    } else if (t.is(kBetween) && !t.is(kNot)) {
      words = true;
    } else {
      return {};
    }
  }
  const Settled settled = settle(i);
  if (!settled.open) return settled.found;
  // "Answer A covers more, but answer B is better": what the line goes on to prefer.
  const size_t end = line_end(i);
  if (const Finding found = preference(i, end)) return found;
  if (manner == Manner::prose || follows(i, kNot | kBad | kWorse | kLess | kLoses | kThan))
    return {};
  for (size_t k = i + 1; k < end; ++k)
    if (at(k).names == other(at(i).names)) return {};
  return settled.found;
}

// The colon, or what stands for one, of the announcement whose word is at `i`; else kNowhere.
size_t Reader::colon_after(size_t i) const {
  if (is_symbol(i + 1, "]")) return i + 1;  // "[RESULT] A"
  size_t k = skip_symbols(i + 1, "\")}");
  constexpr uint64_t kPassed = kNoun | kFiller | kCopula | kFormal | kAnnounce;
  for (size_t n = 0; n < 6 && at(k).is(kPassed) && at(k).names == Verdict::none; ++n)
    k = skip_symbols(k + 1, "\")}");
  if (is_symbol(k, ":=|")) return k;
  return is_symbol(k, "-") && at(k).spaced ? k : kNowhere;
}

// What the word at `i` announces: "verdict is A", "preferred answer: A", "[RESULT] A".
Finding Reader::announced(size_t i) const {
  const Token& t = at(i);
  const bool field = t.key || (is_symbol(i + 1, "\"") && is_symbol(i + 2, ":"));
  const size_t colon = colon_after(i);
  if (field) return said(i + 1, Manner::field);
  if (t.is(kFormal)) {
    if (const Finding found = said(i + 1, colon == kNowhere ? Manner::prose : Manner::formal))
      return found;
    // "The verdict, after all that was said: A"
    size_t later = i + 1;
    for (size_t n = 0; n < 12 && !ends_sentence(later) && at(later).names == Verdict::none; ++n)
      if (is_symbol(later++, ":")) return said(later, Manner::prose);
    return {};
  }
  if (!t.is(kAnnounce)) return {};  // what is only "answer" may be the question's
  const bool heading = at(i + 1).is(kLineEnd) && (i == 0 || at(i - 1).is(kLineEnd | kFiller));
  if (heading) return said(i + 1, Manner::prose);
  return colon == kNowhere ? Finding{} : said(colon + 1, Manner::prose);
}

// Whether the sentence around the brackets at `i` has a condition and other brackets.
bool Reader::instructs(size_t i) const {
  size_t begin = i, pairs = 0;
  for (size_t n = 0; n < kReach && begin > 0 && !ends_sentence(begin - 1); ++n) --begin;
  bool condition = false;
  for (size_t n = 0, k = begin; n < 2 * kReach && !ends_sentence(k); ++n, ++k) {
    condition |= at(k).is(kIf);
    pairs += is_symbol(k, "[") && is_symbol(k + 1, "[") ? 1 : 0;
  }
  return condition && pairs > 1;
}

// "[[A]]", "[[B>A]]", "[[C]]" and "\boxed{...}"; `i` is at the first sign.
Finding Reader::in_brackets(size_t i) const {
  const bool boxed = is_symbol(i, "\\");
  if (!boxed && !(is_symbol(i, "[") && is_symbol(i + 1, "["))) return {};
  const size_t begin = boxed ? i + 1 : i + 2;
  size_t end = begin;
  const std::string_view close = boxed ? "}" : "]";
  while (end < begin + 12 && !at(end).is(kLineEnd | kEnd) && !is_symbol(end, close)) ++end;
  if (!is_symbol(end, close) || (!boxed && !is_symbol(end + 1, close))) return {};
  // "[[A]] if answer A is better" is an instruction, and so is "if ... [[A]], else [[B]]".
  if (instructs(i)) return {};
  const Token& after = at(skip_symbols(end, "]}\""));
  if (after.is(kIf | kOr) && after.latin) return {};
  const size_t inner = skip_symbols(begin, "{([\"");
  if (at(inner).side == Verdict::tie && inner + 1 == end) return {Verdict::tie, inner};
  const size_t second = skip_symbols(inner + 1, ",");
  if (boxed && at(inner).is(kNumber) && at(second).is(kNumber) && second + 1 == end) {
    const double a = at(inner).number, b = at(second).number;
    return {a > b ? Verdict::a : a < b ? Verdict::b : Verdict::tie};
  }
  if (const size_t label = named(begin); label < end)
    return at(label).bare && !(inner == label && label + 1 == end) ? Finding{}
                                                                   : settle(label).found;
  const size_t word = skip_words(inner, kFiller);
  return word < end && at(word).is(kTie | kBoth) ? Finding{Verdict::tie, word} : Finding{};
}

Finding Reader::statement() const {
  for (size_t i = tokens_.size(); i-- > 0;) {
    Finding found;
    if (at(i).is(kFormal | kAnnounce | kAnswer) && at(i).names == Verdict::none)
      found = announced(i);
    else if (is_symbol(i, "[\\"))
      found = in_brackets(i);
    if (found) return found;
  }
  return {};
}

// --- lines --------------------------------------------------------------------------------------

std::vector<Reader::Line> Reader::lines() const {
  std::vector<Line> all;
  for (size_t begin = 0, i = 0; i < tokens_.size(); ++i) {
    if (!at(i).is(kLineEnd | kEnd)) continue;
    const auto has_word = [&](size_t k) { return at(k).word(); };
    for (size_t k = begin; k < i; ++k)
      if (has_word(k)) {
        all.push_back({begin, i});
        break;
      }
    begin = i + 1;
  }
  return all;
}

// The answer that a line "Answer A" names and says no more of.
Verdict Reader::heading(const Line& line) const {
  if (line.end - line.begin > 4) return Verdict::none;
  Verdict side = Verdict::none;
  for (size_t i = line.begin; i < line.end; ++i) {
    if (at(i).names != Verdict::none && at(i).after_noun)
      side = at(i).names;
    else if (at(i).word() && !at(i).is(kNoun))
      return Verdict::none;
  }
  return side;
}

// The verdict of a line that says nothing but a label: "A", "So the answer is B.", "A tie".
Finding Reader::only_label(const Line& line, const std::vector<Line>& all) const {
  Finding found;
  size_t words = 0, open = 0;
  bool ranks = false;
  Verdict second = Verdict::none;  // the other answer, where the two are set against each other
  for (size_t i = line.begin; i < line.end; ++i) {
    const Token& t = at(i);
    if (is_symbol(i, "?") || (is_symbol(i, ":") && i + 1 == line.end)) return {};
    open += is_symbol(i, "[") ? 1 : is_symbol(i, "]") ? static_cast<size_t>(-1) : 0;
    if (t.symbol != 0) continue;
    if (++words > 8) return {};
    if (t.names != Verdict::none) {
      if (t.names == second) continue;
      if (found) return {};
      if (t.form == Form::ordinal && !t.after_noun) return {};
      if (t.bare &&
          (ranks || (i > line.begin && at(i - 1).word() && !at(i - 1).is(kPrefer | kFormal))))
        return {};  // "The answer is 2" may be the question's
      const Settled settled = settle(i);
      if (settled.open || !settled.found) return {};
      found = settled.found;
      if (found.label == kNowhere) second = other(t.names);
    } else if (t.is(kTie | kBoth)) {
      if (!found) found = {Verdict::tie, i};
    } else if (t.form == Form::upper && t.side != Verdict::none) {
      return {};  // "A B"
    } else if (!t.is(kBetween | kRank) || (t.is(kNot) && !t.is(kBoth))) {
      return {};
    }
    ranks |= t.is(kRank);
  }
  if (!found || open != 0) return {};  // "[[A" was cut
  if (const Verdict side = heading(line); side != Verdict::none)
    for (const Line& l : all)
      if (heading(l) == other(side)) return {};  // the two answers are gone through
  return found;
}

// What the line says, unless its neighbour is the other answer's label: "A", "B".
Finding Reader::label_of(const Line& line, const Line& neighbour,
                         const std::vector<Line>& all) const {
  const Finding found = only_label(line, all);
  const Finding next = found ? only_label(neighbour, all) : Finding{};
  return next && next.verdict == other(found.verdict) && found.verdict != Verdict::tie ? Finding{}
                                                                                       : found;
}

Finding Reader::last_line() const {
  const auto all = lines();
  return all.empty() ? Finding{}
                     : label_of(all.back(), all[all.size() - std::min<size_t>(all.size(), 2)], all);
}

Finding Reader::first_line() const {
  const auto all = lines();
  return all.empty() ? Finding{}
                     : label_of(all.front(), all[std::min<size_t>(all.size() - 1, 1)], all);
}

// A label that the text begins with, before an explanation: "A, because it is right", "B. It says".
Finding Reader::opening() const {
  const size_t begin = at(0).is(kLineEnd) ? 1 : 0;
  const size_t i = named(begin);
  if (i == kNowhere) return {};
  for (size_t k = begin; k < i; ++k)
    if (at(k).word() && !at(k).is(kNoun)) return {};
  const size_t next = after_name(i);
  const Finding label = {at(i).names, i};
  if (at(is_symbol(next, ",") ? next + 1 : next).is(kBecause)) return label;
  if (!is_symbol(next, ".") || !at(next + 1).word() || at(i).after_noun || at(i).bare) return {};
  // "A. Paris", "B. Lyon": choices are gone through.
  for (const Line& line : lines())
    if (name(line.begin) == other(at(i).names)) return {};
  return label;
}

// --- scores -------------------------------------------------------------------------------------

// The score given to the answer named at `i`: "Answer A: 8/10", "Score of B is 7", "A": 6.
std::optional<Reader::Score> Reader::score_of(size_t i) const {
  const bool field = is_symbol(i + 1, "\"") && is_symbol(i + 2, ":");  // {"A": 9, "B": 4}
  Score score{.value = 0, .called = field || stands_before(i, kScore, 6)};
  double sign = 1;
  size_t k = after_name(i);
  for (size_t n = 0; n < 8 && !at(k).is(kNumber); ++n, ++k) {
    score.called |= at(k).is(kScore | kRank);
    if (at(k).is(kRank)) sign = -1;
    const bool passed =
        is_symbol(k, ":=-({[\"|,") ||
        (at(k).is(kScore | kRank | kFiller | kCopula | kAnnounce) && at(k).names == Verdict::none);
    if (!passed) return std::nullopt;
  }
  if (!at(k).is(kNumber)) return std::nullopt;
  score.value = sign * at(k).number;
  score.called |= at(k + 1).is(kScore);
  if (is_symbol(k + 1, "/") && at(k + 2).is(kNumber) && at(k + 2).number > 0) {
    score.scale = at(k + 2).number;
    score.called = true;
  }
  return score;
}

// "Answer A: 8" on a line of its own.
std::optional<Reader::Score> Reader::bare_score_of(size_t i) const {
  const size_t begin = i > 0 && at(i - 1).is(kNoun) ? i - 1 : i;
  const bool starts = begin == 0 || at(begin - 1).is(kLineEnd) || is_symbol(begin - 1, "-");
  const size_t k = after_name(i);
  const bool ends = is_symbol(k, ":=") && at(k + 1).is(kNumber) &&
                    at(skip_symbols(k + 2, ".;,")).is(kLineEnd | kEnd);
  if (!starts || !ends) return std::nullopt;
  return Score{.value = at(k + 1).number, .called = true};
}

std::optional<std::pair<double, double>> Reader::scores_of_answers(bool bare) const {
  std::optional<Score> scores[2];
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (at(i).names == Verdict::none || at(i).bare) continue;
    if (const auto score = bare ? bare_score_of(i) : score_of(i))
      scores[at(i).names == Verdict::a ? 0 : 1] = score;
  }
  if (!scores[0] || !scores[1] || !(scores[0]->called || scores[1]->called)) return std::nullopt;
  // "8/10" and "7": a scale that is told once is that of both.
  const double scale_a = scores[0]->scale, scale_b = scores[1]->scale;
  if (scale_a == 0 || scale_b == 0) return std::pair{scores[0]->value, scores[1]->value};
  return std::pair{scores[0]->value / scale_a, scores[1]->value / scale_b};
}

}  // namespace gavel::verdict
