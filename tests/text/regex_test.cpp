#include "text/regex.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/unicode.h"

namespace gavel {
namespace {

std::vector<std::string> matches(const std::string& pattern, const std::string& text) {
  std::vector<std::string> out;
  Regex(pattern).find_all(
      text, [&](size_t begin, size_t end) { out.push_back(text.substr(begin, end - begin)); });
  return out;
}

using Strings = std::vector<std::string>;

TEST(Regex, SpaceIsTheUnicodeProperty) {
  EXPECT_EQ(matches("\\s+", "a \u00a0\u3000b\u0085c\u180ed"), (Strings{" \u00a0\u3000", "\u0085"}));
  EXPECT_EQ(matches("\\S+", "a \u180eb"), (Strings{"a", "\u180eb"}));
  EXPECT_EQ(matches("[^\\S\\n]+", " \n\u2003x"), (Strings{" ", "\u2003"}));
}

TEST(Regex, LaterUnicodeVersionsAreKnown) {
  // U+2EBF0 and U+10D50 came with Unicode 15.1 and 16.0.
  EXPECT_EQ(matches("\\p{L}+", "a\U0002EBF0\U00010D50b").size(), 1u);
  EXPECT_EQ(matches("[\\p{Lu}]+", "\U00010D50").size(), 1u);
  EXPECT_EQ(matches("\\P{L}+", "a\U0002EBF0").size(), 0u);
  EXPECT_TRUE(unicode::is_letter(U'\U0002EBF0'));
}

TEST(Regex, RubySyntax) {
  EXPECT_EQ(matches("^b$", "a\nb\nc"), (Strings{"b"}));
  EXPECT_EQ(matches("\\h+", "xfFg9"), (Strings{"fF", "9"}));
  EXPECT_EQ(matches("\\u00e9", "é"), (Strings{"é"}));
  EXPECT_EQ(matches("[]a]+", "a]b"), (Strings{"a]"}));
  EXPECT_EQ(matches("a*", "baab"), (Strings{"aa"}));
  EXPECT_THROW(Regex("[a[b]]"), Error);
  EXPECT_THROW(Regex("(?m)."), Error);
  EXPECT_THROW(Regex("[a-"), Error);
  EXPECT_THROW(Regex("\\p{"), Error);
  EXPECT_THROW(Regex("\\"), Error);
  EXPECT_THROW(Regex("\\u00"), Error);
}

TEST(Regex, EscapedTextMatchesItself) {
  const std::string text = "a.b*[c](d){e}\\^$|?+-#&~\n\xC3\xA9";
  EXPECT_EQ(matches(Regex::escape(text), "x" + text + "x"), (Strings{text}));
}

TEST(Unicode, LowerAndUpper) {
  EXPECT_EQ(unicode::lower("ÀÉİ"), "àéi\u0307");
  EXPECT_EQ(unicode::upper("straße"), "STRASSE");
}

TEST(Unicode, Normalization) {
  EXPECT_EQ(unicode::normalize("e\u0301", unicode::Form::nfc), "é");
  EXPECT_EQ(unicode::normalize("é", unicode::Form::nfd), "e\u0301");
  EXPECT_EQ(unicode::normalize("ﬁ①", unicode::Form::nfkc), "fi1");
}

TEST(Regex, PythonsMatch) {
  const auto match = [](const std::string& pattern, const std::string& text) {
    return PythonRegex(pattern).match(text);
  };
  EXPECT_TRUE(match("a.c", "abcd"));   // at the beginning, not as a whole
  EXPECT_FALSE(match("b", "abc"));     // and nowhere else
  EXPECT_FALSE(match("^b", "a\nb"));   // ^ is the text's beginning only
  EXPECT_TRUE(match("a$", "a\n"));     // $ comes before a last line end too,
  EXPECT_FALSE(match("a\\Z", "a\n"));  // \Z does not
  EXPECT_TRUE(match("(?P<x>a)(?P=x)", "aa"));
  EXPECT_TRUE(match("", "a"));
  EXPECT_THROW(PythonRegex("(a"), Error);
  EXPECT_THROW(match("(?:a|aa)+[!?]", std::string(100, 'a')), Error);
  // What a sensible pattern needs is far within the bounds.
  EXPECT_TRUE(match("(.*\\.)?(.*layers\\.(1|2|3)\\..*(q_proj|k_proj|v_proj))$",
                    "base_model.model.model.layers.3.self_attn.v_proj"));
  EXPECT_FALSE(match("(.*\\.)?(.*layers\\.(1|2|3)\\..*(q_proj|k_proj|v_proj).*(a|b).*)$",
                     "base_model.model.model.layers.3.self_attn.o_proj_and_a_long_name_too"));
}

}  // namespace
}  // namespace gavel
