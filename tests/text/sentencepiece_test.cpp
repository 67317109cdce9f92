// SentencePiece vocabularies of GGUF files against transformers and sentencepiece; see
// scripts/sentencepiece_goldens.py.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "text/golden_strings.h"
#include "text/spm_merges.h"

namespace gavel {
namespace {

using namespace testing;

GgufTokenizerFields sentencepiece() {
  const Json json = Json::parse(read_file(folder + "sentencepiece.json"));
  GgufTokenizerFields f;
  f.model = "llama";
  f.tokens = json.at("tokens").get<std::vector<std::string>>();
  f.scores = json.at("scores").get<std::vector<float>>();
  f.token_types = json.at("types").get<std::vector<int>>();
  f.unknown_token_id = 0;
  f.bos_token_id = 1;
  f.eos_token_id = 2;
  return f;
}

TEST(SentencePiece, SameAsTransformers) {
  const Json hashes = Json::parse(read_file(folder + "sentencepiece_hashes.json"));
  GgufTokenizerFields fields = sentencepiece();
  for (const bool prefix : {true, false}) {
    fields.add_space_prefix = prefix;
    const Tokenizer t = Tokenizer::from_gguf(fields, "t");
    const std::string golden = hashes.at(prefix ? "prefix" : "no_prefix");
    ASSERT_EQ(golden.size(), 2000u * 4);
    int different = 0;
    for (size_t i = 0; i < 2000; ++i) {
      const std::string text = make_string(i);
      if (hash_of(t, text) == golden.substr(i * 4, 4)) continue;
      if (++different <= 3)
        ADD_FAILURE() << Json(text).dump() << " became " << Json(t.encode(text)).dump();
    }
    EXPECT_EQ(different, 0) << prefix;
  }
}

TEST(SentencePiece, StreamsWhatItDecodes) {
  const Tokenizer t = Tokenizer::from_gguf(sentencepiece(), "t");
  for (size_t i = 0; i < 500; ++i) {
    const std::string text = make_string(i);
    const auto ids = t.encode(text, true);
    StreamDecoder stream(t);
    std::string out;
    for (const int id : ids) out += stream.push(id);
    out += stream.finish();
    EXPECT_EQ(out, t.decode(ids, true)) << i;
  }
  // A leading space goes once, also where it is a byte token; those within a text stay.
  const auto byte = [&](int b) { return *t.token_to_id(fmt::format("<0x{:02X}>", b)); };
  const int space = *t.token_to_id("\xE2\x96\x81");
  for (const auto& [ids, text] : std::vector<std::pair<std::vector<int>, std::string>>{
           {{space, space, byte(0xC3), byte(0xA9)}, " \xC3\xA9"},
           {{byte(0x20), byte(0x41)}, "A"},
           {{1, space, byte(0x0A)}, "\n"}}) {
    StreamDecoder stream(t);
    std::string out;
    for (const int id : ids) out += stream.push(id);
    EXPECT_EQ(out + stream.finish(), text);
    EXPECT_EQ(t.decode(ids, true), text);
  }
}

TEST(SentencePiece, WithinATextNoSpaceIsPutBefore) {
  const Tokenizer t = Tokenizer::from_gguf(sentencepiece(), "t");
  const auto whole = t.encode("x\nthe answer");
  auto head = t.encode("x\n");
  const auto tail = t.encode_within("the answer");
  head.insert(head.end(), tail.begin(), tail.end());
  EXPECT_EQ(head, whole);
  EXPECT_NE(t.encode("the answer"), tail);
  EXPECT_EQ(t.encode_within(" the"), t.encode("the"));
}

// The merges are all there is in tokenizer.json, and scores all there is in GGUF.
TEST(SentencePiece, ScoresFollowFromMerges) {
  const GgufTokenizerFields f = sentencepiece();
  const auto ordinary = ordinary_pieces(f);
  const MergeList merges = merges_from_scores(f.tokens, f.scores, ordinary);
  ASSERT_GT(merges.size(), 600u);
  const auto scores = scores_from_merges(f.tokens, merges, ordinary);
  ASSERT_TRUE(scores);
  EXPECT_EQ(merges_from_scores(f.tokens, *scores, ordinary), merges);
  MergeList missing = merges;
  missing.erase(missing.begin() + 100);
  EXPECT_FALSE(scores_from_merges(f.tokens, missing, ordinary));
  // ab before cd before the other way to make abc
  const std::vector<std::string> tokens{"a", "b", "c", "d", "ab", "bc", "cd", "abc"};
  const std::vector<bool> all(tokens.size(), true);
  const MergeList good{{"a", "b"}, {"b", "c"}, {"c", "d"}, {"ab", "c"}, {"a", "bc"}};
  EXPECT_TRUE(scores_from_merges(tokens, good, all));
  const MergeList interleaved{{"a", "b"}, {"b", "c"}, {"ab", "c"}, {"c", "d"}, {"a", "bc"}};
  EXPECT_FALSE(scores_from_merges(tokens, interleaved, all));
}

TEST(SentencePiece, BadVocabulariesAreNamed) {
  const auto error = [](const GgufTokenizerFields& f) -> std::string {
    try {
      Tokenizer::from_gguf(f, "m.gguf");
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  GgufTokenizerFields f = sentencepiece();
  f.scores.pop_back();
  EXPECT_NE(error(f).find("1400 tokens and 1399 scores"), std::string::npos) << error(f);
  f = sentencepiece();
  f.scores[700] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(error(f).find("the score of token 700 is no number"), std::string::npos) << error(f);
  f = sentencepiece();
  f.tokens[700] = "\xFF";
  EXPECT_NE(error(f).find("token 700 is not UTF-8"), std::string::npos) << error(f);
  f = sentencepiece();
  f.model = "t5";
  EXPECT_NE(error(f).find("\"t5\" is not supported"), std::string::npos) << error(f);
}

}  // namespace
}  // namespace gavel
