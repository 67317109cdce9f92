#include "judge/verdict.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <vector>

namespace gavel {
namespace {

// A run of ASCII letters and digits, in lower case, with where it stood. `gap` is what separated
// it from the word before.
struct Word {
  std::string lower;
  std::string_view gap;
  size_t begin = 0;
};

bool is_word_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '\'';
}

// Statements end with their line, so a line's words are all that is ever looked at together.
std::vector<Word> words_of(std::string_view line, size_t offset, size_t limit) {
  std::vector<Word> words;
  size_t end_of_last = 0;
  for (size_t i = 0; i < line.size() && words.size() < limit;) {
    if (!is_word_char(line[i])) {
      ++i;
      continue;
    }
    Word word;
    word.begin = offset + i;
    word.gap = line.substr(end_of_last, i - end_of_last);
    for (; i < line.size() && is_word_char(line[i]); ++i) {
      const char c = line[i];
      if (c == '\'' && word.lower.empty()) ++word.begin;
      if (c != '\'') word.lower += (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
    }
    end_of_last = i;
    if (!word.lower.empty()) words.push_back(std::move(word));
  }
  return words;
}

template <size_t N>
bool one_of(std::string_view word, const char* const (&list)[N]) {
  for (const char* item : list)
    if (word == item) return true;
  return false;
}

constexpr const char* kNouns[] = {"answer", "response", "assistant",
                                  "option", "model",    "candidate"};
constexpr const char* kFillers[] = {
    "answer", "response", "assistant", "option", "model",  "candidate", "the",   "is",
    "goes",   "to",       "for",       "winner", "better", "best",      "final", "my",
    "in",     "favor",    "favour",    "of",     "its",    "that",      "it",    "would",
    "be",     "clearly",  "choice",    "one",    "s",      "label"};
constexpr const char* kTies[] = {"tie",  "tied", "ties",    "draw",  "drawn",
                                 "both", "same", "neither", "equal", "equally"};
constexpr const char* kAdverbs[] = {
    "clearly", "much", "slightly",      "the",  "far", "definitely", "overall", "also", "thus",
    "a",       "bit",  "significantly", "more", "to",  "therefore",  "answer",  "one"};
constexpr const char* kBetter[] = {"better",   "best",      "superior",   "preferable", "preferred",
                                   "stronger", "favorable", "favourable", "winner",     "wins"};

std::optional<Verdict> label_of(std::string_view word) {
  if (word == "a" || word == "1" || word == "first") return Verdict::a;
  if (word == "b" || word == "2" || word == "second") return Verdict::b;
  if (one_of(word, kTies)) return Verdict::tie;
  return std::nullopt;
}

bool mentions_tie(const std::vector<Word>& words, size_t from) {
  for (size_t i = from; i < words.size(); ++i)
    if (one_of(words[i].lower, kTies)) return true;
  return false;
}

bool is_side(std::optional<Verdict> label) { return label == Verdict::a || label == Verdict::b; }

// What the words after a label turn it into: "A and B are equal" is a tie, "A or B" and "A is not"
// are nothing.
Verdict settle(Verdict label, const std::vector<Word>& words, size_t at) {
  if (at + 1 >= words.size() || label == Verdict::tie) return label;
  const Word& next = words[at + 1];
  const auto other = label_of(next.lower);
  if (words[at].lower == "a" && other == Verdict::tie) return Verdict::tie;  // "a tie"
  if (is_side(other) && other != label) {
    if (next.gap.find('>') != std::string_view::npos) return label;
    if (next.gap.find('<') != std::string_view::npos) return *other;
    if (next.gap.find('=') != std::string_view::npos) return Verdict::tie;
    return mentions_tie(words, at + 2) && next.gap.find('&') != std::string_view::npos
               ? Verdict::tie
               : Verdict::none;
  }
  if ((next.lower == "or" || next.lower == "and") && at + 2 < words.size()) {
    size_t named = at + 2;
    while (named + 1 < words.size() && one_of(words[named].lower, kNouns)) ++named;
    const auto second = label_of(words[named].lower);
    if (second && second != label)
      return next.lower == "and" && mentions_tie(words, named) ? Verdict::tie : Verdict::none;
  }
  if (next.lower == "isnt" || next.lower == "not") return Verdict::none;
  if (next.lower == "is" && at + 2 < words.size() &&
      (words[at + 2].lower == "not" || words[at + 2].lower == "worse"))
    return Verdict::none;
  return label;
}

// The label that the words from `at` on state, fillers skipped.
ParsedVerdict stated(const std::vector<Word>& words, size_t at) {
  while (at < words.size() && one_of(words[at].lower, kFillers)) ++at;
  if (at >= words.size()) return {};
  const Word& word = words[at];
  // "[[C]]" is a tie; a bare C is no label.
  const bool bracketed_c = word.lower == "c" && word.gap.ends_with("[[");
  const auto label = bracketed_c ? std::optional(Verdict::tie) : label_of(word.lower);
  if (!label) return {};
  const Verdict verdict = settle(*label, words, at);
  if (verdict == Verdict::none) return {};
  return {verdict, word.begin};
}

struct Line {
  std::string_view text;
  size_t begin = 0;
};

bool has_words(std::string_view line) {
  for (char c : line)
    if (is_word_char(c)) return true;
  return false;
}

// The lines that hold at least one word.
std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) end = text.size();
    const std::string_view line = text.substr(begin, end - begin);
    if (has_words(line)) lines.push_back({line, begin});
    begin = end + 1;
  }
  return lines;
}

constexpr size_t kStatementWords = 24;  // enough for any statement; bounds the work on long lines

ParsedVerdict by_keyword(const std::vector<Line>& lines) {
  for (size_t l = lines.size(); l-- > 0;) {
    std::vector<Word> words = words_of(lines[l].text, lines[l].begin, SIZE_MAX);
    for (size_t i = words.size(); i-- > 0;) {
      if (words[i].lower != "verdict") continue;
      std::vector<Word> rest(words.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                             words.begin() + static_cast<std::ptrdiff_t>(
                                                 std::min(words.size(), i + 1 + kStatementWords)));
      // "Verdict:" with the label on the next line.
      if (rest.empty() && l + 1 < lines.size())
        rest = words_of(lines[l + 1].text, lines[l + 1].begin, kStatementWords);
      if (const ParsedVerdict found = stated(rest, 0); found.verdict != Verdict::none) return found;
      // "The verdict goes against A": the words before "verdict" may still hold an earlier one.
      words.resize(i);
    }
  }
  return {};
}

ParsedVerdict by_brackets(std::string_view text) {
  for (size_t at = text.rfind("[["); at != std::string_view::npos;
       at = at == 0 ? at : text.rfind("[[", at - 1)) {
    if (text.size() >= at + 5 && text.substr(at + 3, 2) == "]]") {
      const char c = text[at + 2];
      if (c == 'A' || c == 'a') return {Verdict::a, at + 2};
      if (c == 'B' || c == 'b') return {Verdict::b, at + 2};
      if (c == 'C' || c == 'c') return {Verdict::tie, at + 2};
    }
    if (at == 0) break;
  }
  return {};
}

// The last line, where it is nothing but a label: "A", "Answer B.", "It is a tie".
ParsedVerdict by_last_line(const std::vector<Line>& lines) {
  if (lines.empty()) return {};
  const std::vector<Word> words = words_of(lines.back().text, lines.back().begin, 6);
  if (words.size() > 5) return {};
  size_t last = words.size() - 1;
  for (size_t i = 0; i < last; ++i)
    if (!one_of(words[i].lower, kFillers) && words[i].lower != "a") return {};
  if (!label_of(words[last].lower)) return {};
  // "First" alone more likely begins an argument than ends one.
  if (last == 0 && (words[0].lower == "first" || words[0].lower == "second")) return {};
  return stated(words, last);
}

// "Answer A is clearly better", "B wins", "the better answer is B", "both are equally good".
ParsedVerdict by_preference(const std::vector<Line>& lines) {
  for (size_t l = lines.size(); l-- > 0;) {
    const std::vector<Word> words = words_of(lines[l].text, lines[l].begin, SIZE_MAX);
    for (size_t i = words.size(); i-- > 0;) {
      const std::string& word = words[i].lower;
      if (is_side(label_of(word)) && i + 1 < words.size()) {
        size_t next = i + 1;
        const bool copula = words[next].lower == "is" || words[next].lower == "was";
        if (copula) ++next;
        while (copula && next < words.size() && one_of(words[next].lower, kAdverbs)) ++next;
        if (next < words.size() && (copula || words[next].lower == "wins") &&
            one_of(words[next].lower, kBetter))
          return {*label_of(word), words[i].begin};
      }
      const bool prefers = word == "prefer" || word == "choose";
      if (prefers || (one_of(word, kBetter) && word != "wins")) {
        size_t next = i + 1;
        bool copula = prefers;
        while (next < words.size() && one_of(words[next].lower, kFillers))
          copula |= words[next++].lower == "is";
        if (copula && next < words.size() && is_side(label_of(words[next].lower)))
          if (const Verdict v = settle(*label_of(words[next].lower), words, next);
              v != Verdict::none)
            return {v, words[next].begin};
      }
      if (word == "equally" && i + 1 < words.size() &&
          (words[i + 1].lower == "good" || words[i + 1].lower == "bad"))
        return {Verdict::tie, words[i].begin};
    }
  }
  return {};
}

}  // namespace

ParsedVerdict parse_verdict(std::string_view text) {
  const std::vector<Line> lines = lines_of(text);
  if (const auto found = by_keyword(lines); found.verdict != Verdict::none) return found;
  if (const auto found = by_brackets(text); found.verdict != Verdict::none) return found;
  if (const auto scores = parse_scores(text)) {
    if (scores->first == scores->second) return {Verdict::tie, std::nullopt};
    return {scores->first > scores->second ? Verdict::a : Verdict::b, std::nullopt};
  }
  if (const auto found = by_last_line(lines); found.verdict != Verdict::none) return found;
  return by_preference(lines);
}

std::optional<std::pair<double, double>> parse_scores(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n,;/|";
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(begin);
  line = line.substr(0, line.find('\n'));
  double scores[2];
  for (double& score : scores) {
    const size_t start = line.find_first_not_of(kBlank);
    if (start == std::string_view::npos) return std::nullopt;
    line.remove_prefix(start);
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), score);
    if (error != std::errc() || !std::isfinite(score)) return std::nullopt;
    line.remove_prefix(static_cast<size_t>(end - line.data()));
    if (!line.empty() && kBlank.find(line[0]) == std::string_view::npos) return std::nullopt;
  }
  if (line.find_first_not_of(kBlank) != std::string_view::npos) return std::nullopt;
  return std::pair{scores[0], scores[1]};
}

}  // namespace gavel
