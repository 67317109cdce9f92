// Tokens that stand in a model directory's other files, against transformers; see
// scripts/added_token_goldens.py.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "text/added_tokens.h"
#include "text/tokenizer.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const std::string folder = std::string(GAVEL_GOLDEN_DIR) + "/tokenizers/";

class DirectoryTokenizerTest : public ::testing::Test {
 protected:
  DirectoryTokenizerTest() {
    std::string pattern = (fs::temp_directory_path() / "gavel-test-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~DirectoryTokenizerTest() override { fs::remove_all(path); }
  void write(const std::string& name, const Json& json) {
    std::ofstream(path / name) << json.dump();
  }
  std::string error() {
    try {
      Tokenizer::from_directory(path);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  fs::path path;
};

TEST_F(DirectoryTokenizerTest, SameAsTransformers) {
  const Json golden = Json::parse(read_file(folder + "added_tokens.json"));
  const Json& texts = golden.at("texts");
  const Json& cases = golden.at("cases");
  ASSERT_GE(cases.size(), 100u);
  std::map<std::string, Json> bases;
  int different = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Json& c = cases[i];
    const std::string base = c.at("base");
    if (!bases.contains(base)) bases[base] = Json::parse(read_file(folder + base + ".json"));
    Json file = bases[base];
    if (c.contains("added")) file["added_tokens"] = c["added"];
    write("tokenizer.json", file);
    for (const char* name :
         {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}) {
      fs::remove(path / name);
      if (c.contains(name)) write(name, c[name]);
    }
    const DirectoryTokenizer read = Tokenizer::from_directory(path);
    const Tokenizer& t = read.tokenizer;
    Json got{{"ids", Json::array()}, {"full", Json::array()}, {"plain", Json::array()}};
    for (const Json& text : texts) {
      const auto ids = t.encode(text.get<std::string>());
      got["ids"].push_back(ids);
      got["full"].push_back(t.decode(ids));
      got["plain"].push_back(t.decode(ids, true));
    }
    got["bos"] = read.bos_token;
    got["eos"] = read.eos_token;
    std::map<std::string, int> added;
    for (const AddedToken& token : t.added_tokens()) added[token.content] = token.id;
    const std::map<std::string, int> expected = c["expect"]["added"];
    EXPECT_EQ(added, expected) << "case " << i;
    Json want = c["expect"];
    want.erase("added");
    for (const char* key : {"full", "plain"})
      if (want[key].is_null()) got[key] = nullptr;
    if (got == want) continue;
    if (++different <= 3) {
      Json shown = c;
      shown.erase("expect");
      for (const auto& [key, value] : got.items())
        EXPECT_EQ(value, want[key]) << "case " << i << ", " << key << ": " << shown.dump();
    }
  }
  EXPECT_EQ(different, 0);
}

Json small() {
  return Json::parse(R"({"added_tokens": [{"id": 2, "content": "<s>", "special": true}],
      "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})");
}

TEST_F(DirectoryTokenizerTest, ContradictionsAreSaid) {
  write("tokenizer.json", small());
  write("tokenizer_config.json",
        {{"eos_token", "<e>"}, {"added_tokens_decoder", {{"2", {{"content", "<e>"}}}}}});
  write("special_tokens_map.json", {{"eos_token", "<s>"}});
  write("added_tokens.json", {{"<x>", 3}});
  const DirectoryTokenizer read = Tokenizer::from_directory(path);
  EXPECT_EQ(read.eos_token, "<e>");
  EXPECT_EQ(read.tokenizer.encode("a<e><s>"), (std::vector<int>{0, 3, 2}));
  ASSERT_EQ(read.contradictions.size(), 3u);
  EXPECT_NE(read.contradictions[0].find("tokenizer_config.json gives tokens other ids than they "
                                        "have, as in transformers: \"<e>\" is 2 there and 3 here"),
            std::string::npos)
      << read.contradictions[0];
  EXPECT_NE(read.contradictions[1].find("\"<x>\" is 3 there and no token here"), std::string::npos)
      << read.contradictions[1];
  EXPECT_NE(read.contradictions[2].find("\"<e>\" counts"), std::string::npos)
      << read.contradictions[2];
}

TEST_F(DirectoryTokenizerTest, AgreementIsSilent) {
  write("tokenizer.json", small());
  write("tokenizer_config.json", {{"eos_token", "<e>"}, {"bos_token", {{"content", "<s>"}}}});
  write("special_tokens_map.json", {{"eos_token", {{"content", "<e>"}}}});
  write("added_tokens.json", {{"<e>", 3}, {"<s>", 2}});
  const DirectoryTokenizer read = Tokenizer::from_directory(path);
  EXPECT_TRUE(read.contradictions.empty()) << read.contradictions[0];
  EXPECT_EQ(read.tokenizer.token_to_id("<e>"), 3);
  EXPECT_TRUE(read.tokenizer.is_special(3));
}

TEST_F(DirectoryTokenizerTest, BadFilesAreNamed) {
  write("tokenizer.json", small());
  const auto expect = [&](const char* name, const char* text, const char* part) {
    std::ofstream(path / name) << text;
    EXPECT_NE(error().find(part), std::string::npos) << error();
    fs::remove(path / name);
  };
  expect("tokenizer_config.json", "[]", "tokenizer_config.json is not a JSON object");
  expect("tokenizer_config.json", "{", "tokenizer_config.json is not JSON");
  expect("tokenizer_config.json", R"({"eos_token": 3})", "neither a string nor a token's settings");
  expect("tokenizer_config.json", R"({"eos_token": {}})", "has no \"content\"");
  expect("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "y"}}})",
         "the key \"x\", which is no id");
  expect("tokenizer_config.json", R"({"added_tokens_decoder": 7})", "is not an object");
  expect("tokenizer_config.json", R"({"additional_special_tokens": "x"})", "not a list of tokens");
  expect("added_tokens.json", R"({"x": -1})", "the id of \"x\" is -1");
  expect("special_tokens_map.json", R"({"eos_token": {"content": "x", "lstrip": 1}})",
         "\"lstrip\" of \"eos_token\"");
}

}  // namespace
}  // namespace gavel
