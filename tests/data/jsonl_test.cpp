#include "data/jsonl.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace gavel {
namespace {

TEST(Jsonl, FindsTheFirstByteThatIsNotUtf8) {
  EXPECT_FALSE(invalid_utf8_at(""));
  EXPECT_FALSE(invalid_utf8_at("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xEF\xBF\xBF"));
  EXPECT_EQ(invalid_utf8_at("ab\x80"), 2u);            // lone continuation
  EXPECT_EQ(invalid_utf8_at("a\xC3"), 1u);             // cut off
  EXPECT_EQ(invalid_utf8_at("\xC0\xAF"), 0u);          // overlong
  EXPECT_EQ(invalid_utf8_at("\xE0\x80\xAF"), 0u);      // overlong
  EXPECT_EQ(invalid_utf8_at("x\xED\xA0\x80"), 1u);     // surrogate
  EXPECT_EQ(invalid_utf8_at("\xF4\x90\x80\x80"), 0u);  // beyond U+10FFFF
  EXPECT_EQ(invalid_utf8_at("\xF0\x9F\x98z"), 0u);     // last byte wrong
}

// Two parsers and two writers give the same, whatever the document.
TEST(Jsonl, FastIsTheSameAsPlain) {
  for (const char* text :
       {R"({"a": 1, "b": [true, false, null, -0, 0.1, -2.5e3, 1E400, 18446744073709551615]})",
        R"([18446744073709551615, 9223372036854775807, -9223372036854775808, 1.0, 3, -3])",
        R"({"a": 1, "a": 2, "": {"x": []}})", R"("\u00e9\ud83d\ude00\n\/\b\f\r\t\"\\\u0001\u007f")",
        "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", "  7 ", "{}", "[]", "\xEF\xBB\xBF{\"a\":1}",
        R"({"k\u0000": "v\u0000"})", "[1,]", "{\"a\":}", "", "nul", "\"\\ud800\"", "1 2",
        "123456789012345678901234567890", "[0.1e-400, 1e-320]"}) {
    nlohmann::ordered_json plain =
        nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
    try {
      const auto fast = parse_json(text);
      ASSERT_FALSE(plain.is_discarded()) << text;
      EXPECT_EQ(fast, plain) << text;
      EXPECT_EQ(fast.dump(), plain.dump()) << text;
      EXPECT_EQ(to_line(fast), plain.dump()) << text;
    } catch (const Error&) {
      EXPECT_TRUE(plain.is_discarded()) << text;
    }
  }
  std::string deep(64, '['), deeper(66, '[');
  deep += std::string(64, ']');
  deeper += std::string(66, ']');
  EXPECT_EQ(to_line(parse_json(deep)), deep);
  EXPECT_THROW(parse_json(deeper), Error);
  EXPECT_THROW(to_line("\xFF"), Error);
}

// Eight bytes are looked at together: what must be escaped at each place of them, beside bytes that
// differ from such by one, or by the high bit alone.
TEST(Jsonl, EscapesAtEveryPlace) {
  for (const std::string_view bytes : {"\x1F", "\x20", "\"", "#", "!", "\\", "]", "[", "\x7F", "\n",
                                       "\xC2\xA2", "\xC2\x9F", "\xC3\x9C", "\"\"", "\n\""})
    for (size_t before = 0; before < 18; ++before)
      for (const size_t after : {0, 1, 7, 9}) {
        const std::string text =
            std::string(before, 'a') + std::string(bytes) + std::string(after, ' ');
        const nlohmann::ordered_json value = text;
        EXPECT_EQ(to_line(value), value.dump()) << value.dump();
      }
  const nlohmann::ordered_json zero = std::string("a\0b", 3);
  EXPECT_EQ(to_line(zero), zero.dump());
}

TEST(Jsonl, VisitsLinesWithTheirNumbers) {
  std::vector<std::pair<int64_t, std::string>> seen;
  for_each_line("\xEF\xBB\xBF{1}\r\n\n  \n{2}\n{3}",
                [&](int64_t n, std::string_view line) { seen.emplace_back(n, line); });
  const std::vector<std::pair<int64_t, std::string>> expected = {
      {1, "{1}"}, {4, "{2}"}, {5, "{3}"}};
  EXPECT_EQ(seen, expected);
}

TEST(Jsonl, RefusesBadDocumentsWithAReason) {
  const auto message = [](std::string_view text) -> std::string {
    try {
      parse_json(text);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message("{\"a\": }").find("bad JSON"), std::string::npos);
  EXPECT_NE(message("{\"a\": \"\xFF\"}").find("invalid UTF-8 at byte 7 (0xFF)"), std::string::npos);
  EXPECT_NE(message("{\"a\": \"\\ud800\"}").find("bad JSON"), std::string::npos);
  EXPECT_NE(message(std::string(100000, '[')).find("nested deeper"), std::string::npos);
  EXPECT_EQ(parse_json("{\"b\": 1, \"a\": 2}").dump(), "{\"b\":1,\"a\":2}");
}

}  // namespace
}  // namespace gavel
