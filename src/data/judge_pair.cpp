// Pairs of answers exchanged, and how reasons name the answers.
#include <algorithm>
#include <array>
#include <cctype>

#include "data/judge_prompt.h"

namespace gavel {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::a:
      return "A";
    case Verdict::b:
      return "B";
    case Verdict::tie:
      return "tie";
    case Verdict::none:
      break;
  }
  return "none";
}

std::optional<Verdict> parse_label(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower == "a") return Verdict::a;
  if (lower == "b") return Verdict::b;
  if (lower == "tie") return Verdict::tie;
  return std::nullopt;
}

std::string with_criterion(std::string question, std::string_view rubric) {
  if (!rubric.empty()) question.append("\n\nCriterion: ").append(rubric);
  return question;
}

Verdict swapped(Verdict verdict) {
  return verdict == Verdict::a ? Verdict::b : verdict == Verdict::b ? Verdict::a : verdict;
}

namespace {

// ASCII's; those of <cctype> ask the locale at each character.
bool is_word(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// Whether a word is this one of small letters, in capitals or not.
bool is_spelled(std::string_view word, std::string_view lower) {
  return word.size() == lower.size() &&
         std::equal(word.begin(), word.end(), lower.begin(),
                    [](char c, char small) { return (c | 0x20) == small; });
}

bool is_noun(std::string_view word) {
  static constexpr std::array<std::string_view, 6> kNouns = {"answer",     "response", "assistant",
                                                             "assistants", "answers",  "responses"};
  return std::any_of(kNouns.begin(), kNouns.end(),
                     [&](std::string_view noun) { return is_spelled(word, noun); });
}

// Calls visit(noun, at) for each place where an answer is named by one letter or digit
// after a noun ("answer A", "Assistants 1 and 2"), with the noun's place just before (empty for the
// second name of a pair).
template <typename Visit>
void for_each_mention(std::string_view text, Visit visit) {
  std::string_view noun;  // the noun that the next word may belong to
  bool after_noun = false, joined = false;
  for (size_t i = 0; i < text.size();) {
    if (!is_word(text[i])) {
      if (text[i] != ' ' && text[i] != '*') after_noun = joined = false;
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && is_word(text[end])) ++end;
    const std::string_view word = text.substr(i, end - i);
    if (after_noun && word.size() == 1 &&
        std::string_view("AB12").find(word[0]) != std::string_view::npos) {
      visit(joined ? std::string_view{} : noun, i);
      joined = true;
    } else {
      if (!(joined && (is_spelled(word, "and") || is_spelled(word, "or")))) {
        after_noun = is_noun(word);
        noun = word;
        joined = false;
      }
    }
    i = end;
  }
}

void swap_mentions(std::string& text) {
  for_each_mention(text, [&](std::string_view, size_t at) {
    static constexpr std::string_view kFrom = "AB12", kTo = "BA21";
    text[at] = kTo[kFrom.find(text[at])];
  });
}

}  // namespace

JudgePair swapped(JudgePair out) {
  std::swap(out.answer_a, out.answer_b);
  if (out.label) out.label = swapped(*out.label);
  swap_mentions(out.reason);
  for (int& vote : out.votes) vote = vote == 1 ? 2 : vote == 2 ? 1 : vote;
  for (auto& [name, value] : out.meta) {
    if (name.ends_with("_a"))
      name.back() = 'b';
    else if (name.ends_with("_b"))
      name.back() = 'a';
  }
  std::sort(out.meta.begin(), out.meta.end());
  return out;
}

JudgePair answer_alone(const JudgePair& pair, Verdict which) {
  JudgePair out = pair;
  if (which == Verdict::b) out.answer_a = std::move(out.answer_b);
  out.answer_b.clear();
  out.label.reset();
  out.single = true;
  return out;
}

std::string with_letters(std::string_view text) {
  std::string out;
  size_t copied = 0;
  for_each_mention(text, [&](std::string_view noun, size_t at) {
    if (text[at] != '1' && text[at] != '2') return;
    if (!noun.empty()) {
      const auto begin = static_cast<size_t>(noun.data() - text.data());
      const bool capital = std::isupper(static_cast<unsigned char>(noun[0])) != 0;
      const bool plural = noun.back() == 's' || noun.back() == 'S';
      out += text.substr(copied, begin - copied);
      out += capital ? "Answer" : "answer";
      if (plural) out += 's';
      copied = begin + noun.size();
    }
    out += text.substr(copied, at - copied);
    out += text[at] == '1' ? 'A' : 'B';
    copied = at + 1;
  });
  return out += text.substr(copied);
}

}  // namespace gavel
