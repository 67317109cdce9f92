// Ids and decoded text of thousands of strings against Hugging Face's `tokenizers`; see
// scripts/tokenizer_goldens.py.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "text/gguf_fields.h"
#include "text/golden_strings.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace gavel {
namespace {

using namespace testing;

const Json& hashes() {
  static const Json json = Json::parse(read_file(folder + "hashes.json"));
  return json;
}

void expect_golden(const Tokenizer& t, const std::string& name, size_t at_least) {
  const auto& golden = hashes().at(name).get_ref<const std::string&>();
  ASSERT_GE(golden.size() / 4, at_least);
  size_t different = 0;
  for (size_t i = 0; i < golden.size() / 4; ++i) {
    const std::string text = make_string(i);
    if (hash_of(t, text) == golden.substr(i * 4, 4)) continue;
    if (++different <= 3)
      ADD_FAILURE() << name << ", string " << i << ": " << Json(text).dump() << " became "
                    << Json(t.encode(text)).dump() << ", decoded "
                    << Json(t.decode(t.encode(text))).dump();
  }
  EXPECT_EQ(different, 0u) << name;
}

// The tokenizer.json of SmolLM2, with its own pipeline, from the fields of the GGUF file.
std::string smollm2_json() {
  const GgufTokenizerFields& fields = testing::smollm2().fields;
  auto file = nlohmann::json::parse(R"({"normalizer": null, "post_processor": null,
      "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
          {"type": "Digits", "individual_digits": true},
          {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]},
      "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE"}})");
  auto added = nlohmann::json::array();
  for (size_t i = 0; i < fields.tokens.size(); ++i) {
    file["model"]["vocab"][fields.tokens[i]] = i;
    if (fields.token_types[i] == 3)
      added.push_back({{"id", i}, {"content", fields.tokens[i]}, {"special", true}});
  }
  file["model"]["merges"] = fields.merges;
  file["added_tokens"] = std::move(added);
  return file.dump();
}

TEST(TokenizerGolden, SmolLM2FromGguf) {
  expect_golden(Tokenizer::from_gguf(testing::smollm2().fields, "smollm2"), "smollm2", 10000);
}

TEST(TokenizerGolden, SmolLM2FromJson) {
  expect_golden(Tokenizer::from_json(smollm2_json(), "smollm2"), "smollm2", 10000);
}

class Family : public ::testing::TestWithParam<const char*> {};

TEST_P(Family, SameAsTokenizers) {
  expect_golden(Tokenizer::from_file(folder + GetParam() + ".json"), GetParam(), 10000);
}

INSTANTIATE_TEST_SUITE_P(TokenizerGolden, Family,
                         ::testing::Values("qwen2", "llama3", "gpt4o", "llama2", "gemma"),
                         [](const auto& info) { return std::string(info.param); });

TEST(TokenizerGolden, EveryComponent) {
  const Json variants = Json::parse(read_file(folder + "variants.json"));
  for (const auto& [name, variant] : variants.items()) {
    Json file = Json::parse(read_file(folder + variant.at("base").get<std::string>() + ".json"));
    for (const auto& [key, value] : variant.at("file").items()) file[key] = value;
    for (const auto& [key, value] : variant.at("model").items()) file["model"][key] = value;
    expect_golden(Tokenizer::from_json(file.dump(), name), "variant " + name, 500);
  }
}

TEST(TokenizerGolden, BrokenUtf8IsReplacedAsElsewhere) {
  const auto bytes = [](const std::string& hex) {
    std::string out;
    for (size_t i = 0; i < hex.size(); i += 2)
      out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return out;
  };
  for (const Json& pair : hashes().at("broken"))
    EXPECT_EQ(unicode::lossy(bytes(pair[0])), bytes(pair[1])) << pair.dump();
}

// Byte-level tokenizers without a normalizer give back any text, and streams give what decode does.
TEST(TokenizerGolden, RoundTripsAndStreams) {
  const Tokenizer llama3 = Tokenizer::from_file(folder + "llama3.json");
  const Tokenizer llama2 = Tokenizer::from_file(folder + "llama2.json");
  for (uint64_t i = 20000; i < 21000; ++i) {
    const std::string text = make_string(i);
    EXPECT_EQ(llama3.decode(llama3.encode(text)), text);
    for (const Tokenizer* t : {&llama3, &llama2})
      for (const bool skip : {false, true}) {
        StreamDecoder stream(*t, skip);
        std::string out;
        const auto ids = t->encode(text, true);
        for (int id : ids) {
          const std::string piece = stream.push(id);
          EXPECT_TRUE(unicode::is_valid(piece));
          out += piece;
        }
        out += stream.finish();
        EXPECT_EQ(out, t->decode(ids, skip));
      }
  }
}

}  // namespace
}  // namespace gavel
