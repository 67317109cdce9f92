// Judgements in which the two answers are placeholders, so that each is also read with the answers
// exchanged.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "data/judge_prompt.h"

namespace gavel::testing {

// A placeholder, what stands for it where the answer @X is A, and where it is B.
inline constexpr std::array<std::array<std::string_view, 3>, 14> kPlaceholders = {{
    {"@X", "A", "B"},
    {"@Y", "B", "A"},
    {"@x", "a", "b"},
    {"@y", "b", "a"},
    {"@1", "1", "2"},
    {"@2", "2", "1"},
    {"@first", "first", "second"},
    {"@second", "second", "first"},
    {"@erste", "erste", "zweite"},
    {"@p", "9", "7"},  // the score of the first answer, and of the second
    {"@q", "7", "9"},
    {"@W", "\uFF21", "\uFF22"},          // full width
    {"@M", "\U0001D400", "\U0001D401"},  // mathematical bold
    {"@K", "\u0410", "\u0411"},          // Cyrillic A and Be
}};

inline std::string with_answers(std::string_view text, bool x_is_a) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const std::array<std::string_view, 3>* found = nullptr;
    for (const auto& p : kPlaceholders)
      if (text.substr(i).starts_with(p[0]) && (!found || p[0].size() > (*found)[0].size()))
        found = &p;
    if (found) {
      out += (*found)[x_is_a ? 1 : 2];
      i += (*found)[0].size();
    } else {
      out += text[i++];
    }
  }
  return out;
}

// Pieces that judgements are made of, to be put together in any order: none of them names an answer
// but by a placeholder, and numbers have blanks around them, lest two become another one.
inline constexpr std::string_view kPieces[] = {"@X",
                                               "@Y",
                                               "@X",
                                               "@Y",
                                               " @X ",
                                               " @Y ",
                                               "Answer @X",
                                               "answer @Y",
                                               "Assistant @1 ",
                                               "response @2 ",
                                               "the @first answer",
                                               "the @second one",
                                               "(@x)",
                                               "**@X**",
                                               "`@Y`",
                                               "\"@X\"",
                                               "[[@X]]",
                                               "[[@Y>@X]]",
                                               "[[C]]",
                                               "[[",
                                               "]]",
                                               "\\boxed{@X}",
                                               "\\boxed{",
                                               "}",
                                               "{",
                                               "<answer>",
                                               "</answer>",
                                               "<b>",
                                               "{\"verdict\": \"@X\"}",
                                               "\"winner\": ",
                                               "verdict",
                                               "**Verdict:** ",
                                               "Decision",
                                               "Result",
                                               "Final answer",
                                               "winner",
                                               "conclusion",
                                               ": ",
                                               ":",
                                               " - ",
                                               ", ",
                                               ". ",
                                               "? ",
                                               "! ",
                                               "; ",
                                               "\n",
                                               "\n\n",
                                               " ",
                                               " ",
                                               " ",
                                               "/",
                                               "|",
                                               " > ",
                                               " < ",
                                               " = ",
                                               ">>",
                                               "&",
                                               "+",
                                               "'s ",
                                               "'",
                                               "*",
                                               "_",
                                               "#",
                                               " is ",
                                               " are ",
                                               " was ",
                                               " the ",
                                               " my ",
                                               " better ",
                                               " best ",
                                               " worse ",
                                               " than ",
                                               " over ",
                                               " wins ",
                                               " loses to ",
                                               " beats ",
                                               " beaten by ",
                                               " not ",
                                               " isn't ",
                                               " no ",
                                               " and ",
                                               " or ",
                                               " both ",
                                               " neither ",
                                               " tie ",
                                               " equal ",
                                               " equally good ",
                                               " equal to ",
                                               " because ",
                                               " but ",
                                               " if ",
                                               " more ",
                                               " less ",
                                               " precise ",
                                               " wrong ",
                                               " clearly ",
                                               " I prefer ",
                                               " I choose ",
                                               " compared to ",
                                               " score ",
                                               " 8/10 ",
                                               " 5 ",
                                               "\n@p @q\n",
                                               "Answer @X: 9 ",
                                               " points ",
                                               " rank ",
                                               " @1. so ",
                                               "<think>",
                                               "</think>",
                                               " Antwort @X ",
                                               " ist besser als ",
                                               " die bessere ",
                                               "Urteil: ",
                                               " la respuesta @Y ",
                                               " es mejor ",
                                               "\u5224\u5b9a\uff1a",
                                               "\u56de\u7b54@X",
                                               "\u66f4\u597d",
                                               "\u306e\u65b9\u304c",
                                               "\u3088\u308a",
                                               "\u512a\u308c\u3066\u3044\u308b",
                                               "@W",
                                               " \u041e\u0442\u0432\u0435\u0442 @K ",
                                               " \u043b\u0443\u0447\u0448\u0435 ",
                                               "\xff",
                                               "\xe3\x80",
                                               "\\n",
                                               "\\\"",
                                               "\xf0\x9f\x8f\x86"};

}  // namespace gavel::testing
