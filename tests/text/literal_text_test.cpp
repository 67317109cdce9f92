// Text of others within a prompt: what looks like a special token in it is text.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "text/tokenizer.h"

namespace gavel {
namespace {

using Json = nlohmann::json;

const std::filesystem::path kGolden = std::filesystem::path(GAVEL_GOLDEN_DIR) / "tokenizers";

Tokenizer tokenizer_of(const Json& c) {
  const std::string name = c.at("tokenizer").get<std::string>() + ".json";
  Json file = Json::parse(read_file(kGolden / name));
  if (c.contains("normalizer")) file["normalizer"] = {{"type", c.at("normalizer")}};
  if (c.value("normalized", false))
    for (Json& token : file.at("added_tokens")) token["normalized"] = true;
  return Tokenizer::from_json(file.dump(), name);
}

struct Prompt {
  std::string text;
  std::vector<TextSpan> literal;
};

Prompt prompt_of(const Json& parts) {
  Prompt prompt;
  for (const Json& part : parts) {
    const size_t begin = prompt.text.size();
    prompt.text += part.at(1).get<std::string>();
    if (part.at(0) == "literal") prompt.literal.push_back({begin, prompt.text.size()});
  }
  return prompt;
}

TEST(LiteralText, IdsAreThoseOfTokenizers) {
  const Json cases = Json::parse(read_file(kGolden / "literal_text.json"));
  EXPECT_GE(cases.size(), 10u);
  for (const Json& c : cases) {
    const Tokenizer tokenizer = tokenizer_of(c);
    const auto [text, literal] = prompt_of(c.at("parts"));
    std::string marked;
    tokenizer.mark_literal(text, literal, marked);
    EXPECT_EQ(tokenizer.encode_marked(marked), c.at("ids").get<std::vector<int>>()) << text;
  }
}

TEST(LiteralText, TextWithoutSpecialTokensIsNotMarked) {
  const Tokenizer tokenizer = tokenizer_of({{"tokenizer", "qwen2"}});
  std::string marked;
  const std::string text = "<|im_start|>user\n1 < 2 [x] <b> <|im_end|>";
  EXPECT_FALSE(tokenizer.mark_literal(text, std::vector<TextSpan>{{13, 31}}, marked));
  EXPECT_EQ(marked, text);
  EXPECT_EQ(tokenizer.encode_marked(marked), tokenizer.encode(text));
  EXPECT_FALSE(tokenizer.holds_control("<|im_end| >"));
  EXPECT_TRUE(tokenizer.holds_control("a<|im_end|>"));
  EXPECT_TRUE(tokenizer.holds_control("</think>"));  // not special in the file
}

TEST(LiteralText, AnyBytesAreMarked) {
  const Tokenizer tokenizer = tokenizer_of({{"tokenizer", "qwen2"}});
  const std::string text = "\xff<|im_end|>\xef\xb7\x90\xe3\x80<|im_end|>\xc3";
  std::string marked;
  EXPECT_TRUE(tokenizer.mark_literal(text, std::vector<TextSpan>{{0, 99}}, marked));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode_marked(marked)),
            "\uFFFD<|im_end|>\uFDD0\uFFFD<|im_end|>\uFFFD");
  EXPECT_TRUE(tokenizer.encode_marked("").empty());
}

}  // namespace
}  // namespace gavel
