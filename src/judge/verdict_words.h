// A judge's text as the words that matter for its verdict. Internal to src/judge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/judge_prompt.h"

namespace gavel::verdict {

// What a word may do in a statement of a verdict; one word may do several of these.
enum Role : uint64_t {
  kNoun = 1u << 0,      // what judges call an answer: "response", "Antwort", "回答"
  kFormal = 1u << 1,    // announces a verdict anywhere: "verdict", "decision", "winner"
  kAnnounce = 1u << 2,  // announces one before a colon: "result", "choice", "Fazit"
  kAnswer = 1u << 3,    // the same, but may as well announce the answer to the question itself
  kBetter = 1u << 4,    // "better", "superior", "besser"
  kBeats = 1u << 5,     // "wins", "outperforms"
  kWorse = 1u << 6,     // "worse", "inferior"
  kLoses = 1u << 7,     // "loses to", "不如"
  kBad = 1u << 8,       // "wrong", "incomplete": says something against the answer it is said of
  kTie = 1u << 9,       // "tie", "equal"
  kBoth = 1u << 10,     // "both", "neither": a tie if nothing else is said
  kCopula = 1u << 11,   // "is", "ist", "は"
  kFiller = 1u << 12,   // may stand between the parts of a statement: "the", "my", "clearly"
  kNot = 1u << 13,      // "not", "isn't", "nicht"
  kAnd = 1u << 14,      // "and", "und"
  kOr = 1u << 15,       // "or", "vs"
  kThan = 1u << 16,     // "than", "over": what follows is what is compared with
  kQue = 1u << 17,      // the same only after a comparative: French "que"
  kYori = 1u << 18,     // "than" behind what is compared with: Japanese "より"
  kHou = 1u << 19,      // marks what is preferred: Japanese "の方が"
  kMore = 1u << 20,     // "more"
  kLess = 1u << 21,     // "less"
  kPrefer = 1u << 22,   // "prefer", "choose"
  kBecause = 1u << 23,  // begins what no longer belongs to the statement: "because", "but"
  kIf = 1u << 24,       // "if", "whether"
  kBy = 1u << 25,       // "beaten by", "loses to"
  kScore = 1u << 26,    // "score", "rating"
  kRank = 1u << 27,     // "rank": less is better
  kArticle = 1u << 28,  // "la", "die": stands between "mejor" and the answer
  kNumber = 1u << 29,   // digits
  kLineEnd = 1u << 30,
  kEnd = 1u << 31,     // behind the last token
  kGood = 1ull << 32,  // "accurate": praise behind "more" and "equally"
};

// How a word names an answer, which is how the other two labels would be written in its place.
enum class Form : uint8_t { none, upper, lower, wide, digit, ordinal, spelled, other };

struct Token {
  uint64_t roles = 0;
  char symbol = 0;  // one ASCII character for all of its kind: '[' for "【", ':' for "->"
  Form form = Form::none;
  Verdict side = Verdict::none;   // what the word may name by itself; "C" a tie
  Verdict names = Verdict::none;  // a or b where it does name one here
  bool bare = false;              // a digit that names one only where nothing else could be meant
  bool after_noun = false;        // "answer A", not "A"
  bool spaced = false;            // a blank stands before it
  bool enclosed = false;          // in quotes, brackets or emphasis: **A**
  bool joined = false;            // part of something longer: "A-level", "n/a", "A+"
  bool possessive = false;        // "A's"
  bool latin = false;
  bool key = false;           // ends the name of a tag or of a JSON field
  double number = 0;          // of kNumber
  size_t begin = 0, end = 0;  // bytes of the text

  bool is(uint64_t any) const { return (roles & any) != 0; }
  bool word() const { return symbol == 0 && !is(kLineEnd | kEnd); }
};

// The tokens of `text` (any bytes), without emphasis and markup, in time linear in its length; the
// last one is kEnd. `offset` is added to their places.
std::vector<Token> tokenize(std::string_view text, size_t offset);

// One entry of the lexicon.
struct Word {
  uint64_t roles = 0;
  Verdict side = Verdict::none;
  Form form = Form::none;
};

// Han, kana and Hangul: written without spaces, or with endings that stick to the word.
bool is_unspaced(char32_t c);
// The form in which words are looked up: lower case, no accents, no compatibility forms.
std::string fold(std::string_view text);
// The entry of a folded word; nullptr where there is none.
const Word* look_up(const std::string& folded);
// The longest entry that `text`, of such a script, begins with, and its length in bytes.
const Word* look_up_prefix(std::string_view text, size_t& length);

}  // namespace gavel::verdict
