#include "judge/answer_verdict.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/blanks.h"
#include "text/thought.h"

namespace gavel {
namespace {

constexpr std::string_view kMarkup = "*_`\"'~#";
constexpr size_t kNowhere = std::string_view::npos;

struct Found {
  int value = 0;
  size_t begin = 0, end = 0;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  const auto u = static_cast<unsigned char>(c);
  return is_digit(c) || (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || c == '_' || u >= 0x80;
}
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

size_t skip(std::string_view text, size_t at, std::string_view any) {
  return std::min(text.find_first_not_of(any, at), text.size());
}

// Letters' case, and what separates the words of a name, do not count.
bool same(char a, char b) {
  const auto folded = [](char c) { return c == '-' || c == ' ' ? '_' : lower(c); };
  return folded(a) == folded(b);
}

// Whether `word` stands at this place, and no longer one.
bool word_at(std::string_view text, size_t at, std::string_view word) {
  if (at + word.size() > text.size() ||
      (at > 0 && is_word(text[at - 1]) && is_word(word[0]) && text[at - 1] != '_'))
    return false;
  if (!std::equal(word.begin(), word.end(), text.begin() + static_cast<std::ptrdiff_t>(at), same))
    return false;
  const size_t end = at + word.size();
  return end == text.size() || !is_word(text[end]) || text[end] == '_' || !is_word(word.back());
}

// The integer that begins here; nothing where more digits follow than an int has.
std::optional<int> integer_at(std::string_view text, size_t& at) {
  const size_t begin = at;
  int value = 0;
  while (at < text.size() && is_digit(text[at]) && at - begin < 6)
    value = 10 * value + (text[at++] - '0');
  if (at == begin || (at < text.size() && is_digit(text[at]))) return std::nullopt;
  return value;
}

// What follows a number makes another thing of it: a fraction, a range, a choice.
bool spoils_number(std::string_view text, size_t at, int high) {
  if (at + 1 < text.size() && (text[at] == '.' || text[at] == ',') && is_digit(text[at + 1])) {
    at = std::min(text.find_first_not_of('0', at + 1), text.size());
    if (at < text.size() && is_digit(text[at])) return true;
  }
  if (at < text.size() && (is_word(text[at]) && text[at] != '_')) return true;
  at = skip(text, at, " \t*_`\"'~");
  const std::string_view rest = text.substr(at);
  if (rest.starts_with('%') || rest.starts_with("or ")) return true;
  size_t next = kNowhere;
  if (rest.starts_with('/')) next = skip(text, at + 1, " \t");
  if (rest.starts_with("out of ")) next = skip(text, at + 7, " \t");
  if (next != kNowhere) {
    const auto of = integer_at(text, next);
    return of != high;
  }
  for (const std::string_view range : {"-", "\xE2\x80\x93", "to ", "and "})
    if (rest.starts_with(range)) {
      const size_t after = skip(text, at + range.size(), " \t");
      if (after < text.size() && is_digit(text[after])) return true;
    }
  return false;
}

std::optional<Found> number_at(std::string_view text, size_t at, const RatedPart& part) {
  const size_t begin = at;
  const auto value = integer_at(text, at);
  if (!value || *value < part.low || *value > part.high() || spoils_number(text, at, part.high()))
    return std::nullopt;
  return Found{*value, begin, at};
}

std::optional<Found> named_at(std::string_view text, size_t at, const RatedPart& part) {
  for (size_t k = 0; k < part.texts.size(); ++k) {
    if (!word_at(text, at, part.texts[k])) continue;
    const size_t end = at + part.texts[k].size();
    size_t after = skip(text, end, " \t*_`\"'~");
    const bool or_else = word_at(text, after, "or") || text.substr(after, 1) == "/";
    if (or_else) return std::nullopt;
    return Found{part.low + static_cast<int>(k), at, end};
  }
  return std::nullopt;
}

std::optional<Found> value_at(std::string_view text, size_t at, const RatedPart& part) {
  return part.numbers ? number_at(text, at, part) : named_at(text, at, part);
}

// Behind a name: "** : ", "\": ", " is ". Nowhere where nothing separates name and value.
size_t after_separator(std::string_view text, size_t at) {
  constexpr size_t kMost = 24;
  const size_t begin = at;
  bool separated = false;
  while (at < text.size() && at - begin < kMost) {
    const char c = text[at];
    if (c == ':' || c == '=' || c == '>' || c == '|' || c == ']') {
      separated = true;
      ++at;
    } else if (c == ' ' || c == '\t' || kMarkup.find(c) != kNowhere || c == '[' || c == '(') {
      ++at;
    } else if (word_at(text, at, "is") || word_at(text, at, "of")) {
      separated = true;
      at += 2;
    } else if (word_at(text, at, "a")) {
      ++at;
    } else {
      break;
    }
  }
  return separated ? at : kNowhere;
}

// The last value that stands behind one of the names.
std::optional<Found> stated(std::string_view text, std::span<const std::string_view> names,
                            const RatedPart& part) {
  for (size_t at = text.size(); at-- > 0;)
    for (const std::string_view name : names) {
      if (!word_at(text, at, name)) continue;
      const size_t value = after_separator(text, at + name.size());
      if (value == kNowhere) continue;
      if (const auto found = value_at(text, value, part)) return found;
    }
  return std::nullopt;
}

// Behind the template's own text, a line's end between them or not.
std::optional<Found> behind_lead(std::string_view text, std::string_view lead,
                                 const RatedPart& part) {
  if (lead.empty()) return std::nullopt;
  for (size_t at = text.rfind(lead); at != kNowhere;
       at = at == 0 ? kNowhere : text.rfind(lead, at - 1))
    if (const auto found = value_at(text, skip(text, at + lead.size(), " \t\r\n*_`\"'~[("), part))
      return found;
  return std::nullopt;
}

std::optional<Found> marked(std::string_view text, const RatedPart& part) {
  for (const auto& [open, close] :
       {std::pair<std::string_view, std::string_view>{"[[", "]]"}, {"boxed{", "}"}})
    for (size_t at = text.rfind(open); at != kNowhere;
         at = at == 0 ? kNowhere : text.rfind(open, at - 1))
      if (const auto found = value_at(text, skip(text, at + open.size(), " "), part);
          found && text.substr(skip(text, found->end, " ")).starts_with(close))
        return found;
  return std::nullopt;
}

// A line that is a value and no more.
std::optional<Found> alone(std::string_view text, size_t begin, size_t end, const RatedPart& part) {
  const std::string_view line = text.substr(0, end);
  const auto found = value_at(line, skip(line, begin, " \t\r*_`\"'~#"), part);
  if (!found) return std::nullopt;
  size_t rest = found->end;
  if (line.substr(rest).starts_with('/')) rest = skip(line, rest + 1, "0123456789 ");
  return skip(line, rest, " \t\r*_`\"'~.!") == line.size() ? found : std::nullopt;
}

std::optional<Found> on_a_line(std::string_view text, const RatedPart& part) {
  const size_t last = text.find_last_not_of(" \t\r\n"), first = text.find_first_not_of(" \t\r\n");
  if (last == kNowhere) return std::nullopt;
  const size_t before = text.rfind('\n', last);
  const auto found = alone(text, before == kNowhere ? 0 : before + 1, last + 1, part);
  return found ? found : alone(text, first, std::min(text.find('\n', first), text.size()), part);
}

std::optional<Found> only_part(std::string_view text, const RatedPart& part,
                               std::string_view lead) {
  constexpr std::array<std::string_view, 4> kScores = {"score", "rating", "grade", "result"};
  constexpr std::array<std::string_view, 6> kVerdicts = {"verdict",  "decision",  "result",
                                                         "judgment", "judgement", "conclusion"};
  if (const auto found = behind_lead(text, lead, part)) return found;
  if (const auto found = part.numbers ? stated(text, kScores, part) : stated(text, kVerdicts, part))
    return found;
  if (const auto found = marked(text, part)) return found;
  return on_a_line(text, part);
}

void put(ParsedRatings& out, size_t i, const std::optional<Found>& found, size_t offset) {
  out.values[i].reset();
  if (!found) return;
  out.values[i] = found->value;
  out.begins[i] = found->begin + offset;
}

}  // namespace

bool ParsedRatings::complete() const {
  return std::all_of(values.begin(), values.end(), [](const auto& v) { return v.has_value(); });
}

ParsedRatings parse_ratings(std::string_view whole, const std::vector<RatedPart>& parts,
                            std::string_view lead, bool thinking) {
  ParsedRatings out{std::vector<std::optional<int>>(parts.size()),
                    std::vector<size_t>(parts.size())};
  const auto answer = after_thought(whole, thinking);
  if (!answer) return out;
  const std::string_view text = whole.substr(*answer);
  if (parts.size() == 1 && (parts[0].name == "score" || !parts[0].numbers)) {
    put(out, 0, only_part(text, parts[0], lead), *answer);
    return out;
  }
  const size_t at = lead.empty() ? kNowhere : text.rfind(lead);
  for (const size_t begin : {at, size_t{0}}) {
    if (begin == kNowhere) continue;
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::array<std::string_view, 1> names = {parts[i].name};
      put(out, i, stated(text.substr(begin), names, parts[i]), *answer + begin);
    }
    if (out.complete()) break;
  }
  return out;
}

}  // namespace gavel
