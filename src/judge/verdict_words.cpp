// Text to tokens: words are looked up, symbols of a kind made one, markup left out, and the words
// that name an answer where they stand ("A" in "Answer A is", not in "A better way") are marked.
#include "judge/verdict_words.h"

#include <charconv>

#include "text/unicode.h"

namespace gavel::verdict {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_alnum(char c) { return is_digit(c) || is_lower(c) || is_upper(c); }

struct SymbolRow {
  char symbol;
  std::u32string_view characters;
};
constexpr SymbolRow kSymbols[] = {
    {'.', U"。．｡"},
    {',', U"，、､"},
    {':', U"：→⇒➜"},
    {';', U"；"},
    {'!', U"！"},
    {'?', U"？"},
    {'(', U"（"},
    {')', U"）"},
    {'[', U"【［〔"},
    {']', U"】］〕"},
    {'"', U"“”„«»‘’「」『』'"},
    {'-', U"–—−―"},
    {'=', U"≈≃≅＝"},
    {'>', U"≻≫＞"},
    {'<', U"≺≪＜"},
};

// The ASCII character that stands for `c`; 0 for what says nothing (emphasis, emoji).
char symbol_of(char32_t c) {
  if (c < 0x80) {
    constexpr std::string_view kSilent = "*_`#~$^";
    const char ascii = static_cast<char>(c);
    if (ascii <= ' ' || ascii == 0x7F || kSilent.find(ascii) != std::string_view::npos) return 0;
    return ascii == '\'' ? '"' : ascii;
  }
  for (const SymbolRow& row : kSymbols)
    if (row.characters.find(c) != std::u32string_view::npos) return row.symbol;
  return 0;
}

class Tokenizer {
 public:
  Tokenizer(std::string_view text, size_t offset) : text_(text), offset_(offset) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) step();
    Token end;
    end.roles = kEnd;
    end.begin = end.end = offset_ + text_.size();
    tokens_.push_back(end);
    return std::move(tokens_);
  }

 private:
  char byte(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }

  // The character at `i` and its length; 0 where the bytes are none.
  char32_t character(size_t i, size_t& length) const {
    const unicode::Sequence s = unicode::sequence_at(text_, i);
    length = s.length;
    if (s.kind != unicode::Sequence::valid) return 0;
    size_t next = i;
    return unicode::next(text_, next);
  }

  void add(Token token, size_t begin, size_t end) {
    token.begin = offset_ + begin;
    token.end = offset_ + end;
    token.spaced = spaced_;
    spaced_ = false;
    tokens_.push_back(token);
  }

  void add_symbol(char symbol, size_t length) {
    Token token;
    token.symbol = symbol;
    add(token, at_, at_ + length);
    at_ += length;
  }

  void end_line(size_t length) {
    if (tokens_.empty() || !tokens_.back().is(kLineEnd)) {
      Token token;
      token.roles = kLineEnd;
      add(token, at_, at_ + length);
    }
    at_ += length;
  }

  void step() {
    size_t length = 1;
    const char32_t c = character(at_, length);
    if (c == '\n' || c == '\r' || c == 0x2028 || c == 0x85) return end_line(length);
    if (c == 0 || unicode::is_white_space(c)) {
      spaced_ = true;
      at_ += length;
      return;
    }
    if (c == '<' && take_tag()) return;
    if (c == '\\') return take_backslash();
    if (is_unspaced(c)) return take_unspaced(length);
    if (is_alnum(byte(at_)) || (c >= 0x80 && (unicode::is_letter(c) || unicode::is_decimal(c))))
      return take_word();
    const char symbol = symbol_of(c);
    if ((symbol == '-' || symbol == '=') && byte(at_ + length) == '>')
      return add_symbol(':', length + 1);
    if (symbol != 0) return add_symbol(symbol, length);
    at_ += length;
  }

  // "<answer>" is an announcement, "answer:"; other tags are left out, or end a line.
  bool take_tag() {
    const bool closing = byte(at_ + 1) == '/';
    const size_t begin = at_ + (closing ? 2 : 1);
    constexpr size_t kLongest = 64;
    const size_t end =
        text_.substr(0, std::min(text_.size(), begin + kLongest)).find_first_of("<>\n", begin);
    if (end == std::string_view::npos || text_[end] != '>' || end == begin) return false;
    const char first = byte(begin);
    if (!(is_lower(first) || is_upper(first) || first == '|' || (first & 0x80) != 0)) return false;
    const std::string_view inside = text_.substr(begin, end - begin);
    const std::string_view name = inside.substr(0, inside.find_first_of(" /"));
    if (first != '|' && announces(name)) {
      if (closing) {
        end_line(end + 1 - at_);
        return true;
      }
      at_ = begin;
      while (at_ < begin + name.size()) step();
      tokens_.back().key = true;
      at_ = end;
      add_symbol(':', 1);
      return true;
    }
    const std::string tag = fold_ascii(name);
    if (tag == "br" || tag == "p" || tag == "li" || tag == "tr" || tag == "div")
      end_line(end + 1 - at_);
    else
      at_ = end + 1;
    return true;
  }

  static bool announces(std::string_view name) {
    if (name.size() < 3) return false;
    for (const char c : name)
      if (!is_alnum(c) && c != '_' && c != '-') return false;
    for (const Token& t : Tokenizer(name, 0).run())
      if (t.is(kFormal | kAnnounce | kAnswer | kScore | kNoun)) return true;
    return false;
  }

  // A line's end or a quote in JSON's writing, or a command of LaTeX: \boxed is kept, as the symbol
  // '\', and others are left out.
  void take_backslash() {
    const char next = byte(at_ + 1);
    if (next == 'n' && !is_lower(byte(at_ + 2))) return end_line(2);
    if (next == '"' || next == '\'') {
      ++at_;
      return add_symbol('"', 1);
    }
    size_t end = at_ + 1;
    while (is_lower(byte(end)) || is_upper(byte(end))) ++end;
    const std::string_view command = text_.substr(at_ + 1, end - at_ - 1);
    if (command == "boxed" || command == "fbox") return add_symbol('\\', end - at_);
    at_ = std::max(end, at_ + 1);
  }

  void take_unspaced(size_t character_length) {
    size_t length = 0;
    const Word* word = look_up_prefix(text_.substr(at_), length);
    if (word == nullptr) {
      Token* last = tokens_.empty() ? nullptr : &tokens_.back();
      if (last != nullptr && last->word() && last->roles == 0 && !last->latin &&
          last->side == Verdict::none && last->end == offset_ + at_) {
        last->end += character_length;  // more of an unknown word
      } else {
        add({}, at_, at_ + character_length);
      }
      at_ += character_length;
      return;
    }
    Token token;
    token.roles = word->roles;
    token.side = word->side;
    token.form = word->form == Form::none      ? Form::none
                 : word->form == Form::ordinal ? Form::ordinal
                                               : Form::spelled;
    add(token, at_, at_ + length);
    at_ += length;
  }

  static std::string fold_ascii(std::string_view word) {
    std::string out(word);
    for (char& c : out)
      if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
    return out;
  }

  // The end of the word at `begin`: letters, digits and marks; "finalVerdict", "model1" and the
  // like are several words. `ascii` tells whether it has no other characters.
  size_t word_end(size_t begin, bool& ascii) const {
    size_t i = begin, letters = 0;
    for (ascii = true; i < text_.size();) {
      const char here = text_[i];
      if (is_alnum(here)) {
        const bool new_word =
            letters >= 3 && (is_digit(here) || (is_upper(here) && is_lower(text_[i - 1])));
        if (new_word) break;
        letters += is_digit(here) ? 0 : 1;
        ++i;
        continue;
      }
      if ((here & 0x80) == 0) break;
      size_t length = 1;
      const char32_t c = character(i, length);
      if (c == 0 || is_unspaced(c) ||
          !(unicode::is_letter(c) || unicode::is_mark(c) || unicode::is_decimal(c)))
        break;
      ascii = false;
      i += length;
      ++letters;
    }
    return i;
  }

  // The length of an apostrophe at `i`, else 0.
  size_t apostrophe(size_t i) const {
    if (byte(i) == '\'') return 1;
    return text_.substr(std::min(i, text_.size())).starts_with("\u2019") ? 3 : 0;
  }

  void take_word() {
    const size_t begin = at_;
    bool ascii = true;
    size_t end = word_end(begin, ascii);
    std::string folded = ascii ? fold_ascii(text_.substr(begin, end - begin))
                               : fold(text_.substr(begin, end - begin));
    Token token;
    token.latin = ascii || (static_cast<uint8_t>(text_[begin]) < 0xCE);  // Greek begins at CE
    size_t next = end;
    if (const size_t mark = apostrophe(end); mark > 0 && is_alnum(byte(end + mark))) {
      bool ascii_rest = true;
      const size_t rest_end = word_end(end + mark, ascii_rest);
      const std::string rest = fold(text_.substr(end + mark, rest_end - end - mark));
      if (rest == "s" && folded.size() <= 3) {  // "A's", "it's"
        token.possessive = true;
        next = rest_end;
      } else if (folded.size() <= 2) {  // "l'emporte": what comes first says nothing
        at_ = end + mark;
        spaced_ = true;
        return;
      } else {  // "isn't"
        folded += rest;
        next = rest_end;
      }
    }
    if (is_digits(folded)) {
      if (!token.possessive && byte(end) == '.' && is_digit(byte(end + 1))) {
        for (++next; is_digit(byte(next));) ++next;
        folded += text_.substr(end, next - end);
      }
      token.roles = kNumber;
      std::from_chars(folded.data(), folded.data() + folded.size(), token.number);
      if (folded == "1" || folded == "2") {
        token.side = folded == "1" ? Verdict::a : Verdict::b;
        token.form = ascii ? Form::digit : Form::other;
      }
    } else if (const Word* word = look_up(folded)) {
      token.roles = word->roles;
      token.side = word->side;
      token.form = word->form;
      if (token.form == Form::upper) token.form = letter_form(begin);
    }
    token.enclosed = is_enclosed(begin, next);
    token.joined = is_joined(begin, next);
    at_ = next;
    add(token, begin, end);
  }

  static bool is_digits(std::string_view s) {
    for (const char c : s)
      if (!is_digit(c)) return false;
    return !s.empty();
  }

  Form letter_form(size_t begin) const {
    const char first = text_[begin];
    if (is_upper(first)) return Form::upper;
    if (is_lower(first)) return Form::lower;
    size_t length = 1;
    const char32_t c = character(begin, length);
    if (c == U'Ａ' || c == U'Ｂ') return Form::wide;
    return unicode::to_lower(c) == c ? Form::lower : Form::other;
  }

  bool is_enclosed(size_t begin, size_t end) const {
    if (begin == 0 || end >= text_.size()) return false;
    constexpr std::string_view kOpen = "*_`'\"([{", kClose = "*_`'\")]}";
    size_t before = begin - 1, length = 1;
    while (before > 0 && (text_[before] & 0xC0) == 0x80) --before;
    if (kOpen.find(text_[before]) == std::string_view::npos) {
      const char symbol = symbol_of(character(before, length));
      if (symbol != '"' && symbol != '[' && symbol != '(') return false;
    }
    if (kClose.find(text_[end]) != std::string_view::npos) return true;
    const char symbol = symbol_of(character(end, length));
    return symbol == '"' || symbol == ']' || symbol == ')';
  }

  bool is_joined(size_t begin, size_t end) const {
    constexpr std::string_view kJoins = "/-&+.@%";
    if (begin >= 2 && kJoins.find(text_[begin - 1]) != std::string_view::npos &&
        is_alnum(text_[begin - 2]))
      return true;
    if (end >= text_.size()) return false;
    const char next = text_[end];
    if (next == '/' || next == '+' || next == '%' || next == '@') return true;
    return (next == '-' || next == '.' || next == '&') && is_alnum(byte(end + 1));
  }

  std::string_view text_;
  size_t offset_, at_ = 0;
  bool spaced_ = false;
  std::vector<Token> tokens_;
};

// Whether a letter that stands before `next` can be a name and no article: "A is", "A.", not
// "A better".
bool may_follow(const Token& next) {
  if (!next.word()) return true;
  if (!next.latin) return next.side == Verdict::none && (!next.is(kNoun) || !next.spaced);
  return next.is(kCopula | kThan | kQue | kAnd | kOr | kBecause | kBetter | kWorse | kBeats |
                 kLoses | kNot | kTie | kIf);
}

// Where the words that name an answer are looked for: `t[i]` may be one by itself.
Verdict name_at(const std::vector<Token>& t, size_t i, Token& token) {
  const Token& next = t[i + 1];  // there is always kEnd
  size_t before = i;
  while (before > 0 && i - before < 3) {
    const char symbol = t[before - 1].symbol;
    if (symbol != '(' && symbol != '[' && symbol != '{' && symbol != '"') break;
    --before;
  }
  const Token* prev = before > 0 ? &t[before - 1] : nullptr;
  // "A回答", "1番目"; but not the "one" of "the second one".
  const bool word = token.form == Form::spelled && token.latin;
  const bool noun_follows = next.is(kNoun) && !next.latin && !next.spaced && !word;
  token.after_noun = (prev != nullptr && prev->is(kNoun | kScore)) || noun_follows;
  if (token.joined && !token.enclosed) return Verdict::none;
  switch (token.form) {
    case Form::upper:
    case Form::wide:
    case Form::other:
      if (token.is(kNumber)) break;
      if (token.enclosed || token.possessive || token.after_noun) return token.side;
      return may_follow(next) ? token.side : Verdict::none;
    case Form::lower:
      if (token.enclosed || token.possessive) return token.side;
      if (!next.word())
        return prev == nullptr || prev->roles != 0 || prev->symbol != 0 ? token.side
                                                                        : Verdict::none;
      return token.after_noun && may_follow(next) ? token.side : Verdict::none;
    case Form::ordinal:
      token.after_noun = next.is(kNoun);
      if (token.after_noun || next.is(kCopula | kBeats) || next.is(kEnd | kLineEnd))
        return token.side;
      return next.symbol != 0 && next.symbol != ',' && next.symbol != '-' && next.symbol != ':'
                 ? token.side
                 : Verdict::none;
    case Form::spelled:
      return token.after_noun && prev == &t[i - 1] ? token.side : Verdict::none;
    default:
      break;
  }
  if (token.form != Form::digit && token.form != Form::other) return Verdict::none;
  // A digit: "Answer 1", "第1个"; "1." at the start of a line begins an item of a list.
  const bool item = (next.symbol == '.' || next.symbol == ')') && t[i + 2].word() &&
                    (prev == nullptr || prev->is(kLineEnd));
  if (item || (next.is(kNumber) && !next.spaced)) return Verdict::none;
  token.bare = !token.after_noun;
  if (next.word() && token.bare && !may_follow(next)) return Verdict::none;
  return token.side;
}

}  // namespace

std::vector<Token> tokenize(std::string_view text, size_t offset) {
  std::vector<Token> tokens = Tokenizer(text, offset).run();
  for (size_t i = 0; i + 1 < tokens.size(); ++i)
    if (tokens[i].side == Verdict::a || tokens[i].side == Verdict::b)
      tokens[i].names = name_at(tokens, i, tokens[i]);
  return tokens;
}

}  // namespace gavel::verdict
