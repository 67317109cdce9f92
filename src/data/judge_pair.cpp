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

Verdict swapped(Verdict verdict) {
  return verdict == Verdict::a ? Verdict::b : verdict == Verdict::b ? Verdict::a : verdict;
}

namespace {

// Calls visit(noun, at) for each place where an answer is named by one letter or digit
// after a noun ("answer A", "Assistants 1 and 2"), with the noun's place just before (empty for the
// second name of a pair).
template <typename Visit>
void for_each_mention(std::string_view text, Visit visit) {
  static constexpr std::array<std::string_view, 6> kNouns = {"answer",     "response", "assistant",
                                                             "assistants", "answers",  "responses"};
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  };
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
    std::string word(text.substr(i, end - i));
    if (after_noun && word.size() == 1 &&
        std::string_view("AB12").find(word[0]) != std::string_view::npos) {
      visit(joined ? std::string_view{} : noun, i);
      joined = true;
    } else {
      for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (!(joined && (word == "and" || word == "or"))) {
        after_noun = std::find(kNouns.begin(), kNouns.end(), word) != kNouns.end();
        noun = text.substr(i, end - i);
        joined = false;
      }
    }
    i = end;
  }
}

std::string swap_mentions(std::string_view text) {
  std::string out(text);
  for_each_mention(text, [&](std::string_view, size_t at) {
    static constexpr std::string_view kFrom = "AB12", kTo = "BA21";
    out[at] = kTo[kFrom.find(text[at])];
  });
  return out;
}

}  // namespace

JudgePair swapped(const JudgePair& pair) {
  JudgePair out = pair;
  std::swap(out.answer_a, out.answer_b);
  if (out.label) out.label = swapped(*out.label);
  out.reason = swap_mentions(pair.reason);
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
