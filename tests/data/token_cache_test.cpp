#include "data/token_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "model/encoder.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

class TokenCache : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() /
           ("gavel_tokens_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    encoder_.chat_template.emplace(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}");
    encoder_.id = "one";
    options_.token_cache = dir_ / "cache";
    options_.least_cached_bytes = 0;
    write_file_atomic(dir_ / "train.jsonl", rows(20));
  }
  void TearDown() override { fs::remove_all(dir_); }

  static std::string rows(int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += R"({"messages": [{"role": "user", "content": "question )" + std::to_string(i) +
              R"("}, {"role": "assistant", "content": "one two three"}], "answer_a": "", )" +
              R"("answer_b": "", "group": )" + std::to_string(i / 2) + "}\n";
    return text;
  }

  Dataset load() { return load_dataset(dir_ / "train.jsonl", encoder_, options_); }
  std::set<fs::path> files() const {
    std::set<fs::path> out;
    for (const auto& entry : fs::directory_iterator(dir_ / "cache")) out.insert(entry.path());
    return out;
  }

  static void expect_same(const Dataset& a, const Dataset& b) {
    ASSERT_EQ(a.examples.size(), b.examples.size());
    for (size_t i = 0; i < a.examples.size(); ++i) {
      const Example &x = a.examples[i], &y = b.examples[i];
      EXPECT_EQ(x.tokens, y.tokens);
      EXPECT_EQ(x.prompt_length, y.prompt_length);
      EXPECT_EQ(x.truncated, y.truncated);
      EXPECT_EQ(x.full_length, y.full_length);
      EXPECT_EQ(x.source_line, y.source_line);
      EXPECT_EQ(x.group, y.group);
      EXPECT_EQ(x.other_token, y.other_token);
      EXPECT_EQ(x.wins, y.wins);
    }
    EXPECT_EQ(a.kind, b.kind);
    EXPECT_EQ(a.masked, b.masked);
    EXPECT_EQ(a.judge_data, b.judge_data);
    EXPECT_EQ(a.summary.tokens, b.summary.tokens);
    EXPECT_EQ(a.summary.loss_tokens, b.summary.loss_tokens);
    EXPECT_EQ(a.summary.longest, b.summary.longest);
    EXPECT_EQ(a.summary.truncated, b.summary.truncated);
    EXPECT_EQ(a.summary.rebuilt, b.summary.rebuilt);
  }

  fs::path dir_;
  TextEncoder encoder_{.tokenizer = Tokenizer::from_file(fs::path(GAVEL_GOLDEN_DIR) /
                                                         "models/llama/tokenizer.json")};
  DatasetOptions options_;
};

TEST_F(TokenCache, KeepsRankedPairs) {
  write_file_atomic(
      dir_ / "train.jsonl",
      R"({"messages_a": [{"role": "user", "content": "q one"}], "messages_b": [{"role": "user", )"
      R"("content": "q two"}], "scored": ["yes", "no"], "answer_a": "one", "answer_b": "two", )"
      R"("label": "B"})"
      "\n");
  const Dataset made = load(), kept = load();
  ASSERT_EQ(made.examples.size(), 2u);
  EXPECT_EQ(made.kind, RecordKind::rank);
  EXPECT_EQ(made.examples[0].wins, 0);
  EXPECT_EQ(made.examples[1].wins, 1);
  EXPECT_TRUE(made.examples[0].ranked());
  EXPECT_EQ(made.examples[0].loss_tokens(), 1);
  EXPECT_NE(made.examples[0].tokens.back(), made.examples[0].other_token);
  EXPECT_EQ(made.examples[0].group, made.examples[1].group);
  expect_same(made, kept);
}

TEST_F(TokenCache, TheSameTokensComeFromTheCache) {
  for (const int64_t longest : {2048, 9}) {
    options_.max_seq_length = longest;
    fs::remove_all(dir_ / "cache");
    const Dataset made = load();
    ASSERT_EQ(files().size(), 1u);
    EXPECT_TRUE(made.tokens);
    options_.token_cache.clear();
    const Dataset plain = load();
    EXPECT_FALSE(plain.tokens);
    expect_same(made, plain);
    options_.token_cache = dir_ / "cache";
    // Read, and not made again.
    const auto before = read_file(*files().begin());
    fs::permissions(dir_ / "cache", fs::perms::owner_read | fs::perms::owner_exec);
    expect_same(load(), plain);
    fs::permissions(dir_ / "cache", fs::perms::owner_all);
    EXPECT_EQ(read_file(*files().begin()), before);
  }
}

TEST_F(TokenCache, AnythingThatChangesIsAnotherFile) {
  load();
  EXPECT_EQ(files().size(), 1u);
  encoder_.id = "two";
  load();
  EXPECT_EQ(files().size(), 2u);
  options_.max_seq_length = 5;
  load();
  EXPECT_EQ(files().size(), 3u);
  std::string text = rows(20);
  text[text.find("three")] = 'T';
  write_file_atomic(dir_ / "train.jsonl", text);
  load();
  EXPECT_EQ(files().size(), 4u);
  encoder_.id.clear();  // not known: not kept
  EXPECT_FALSE(load().tokens);
  options_.least_cached_bytes = 1 << 20;
  encoder_.id = "one";
  EXPECT_FALSE(load().tokens);
  EXPECT_EQ(files().size(), 4u);
}

TEST_F(TokenCache, DamagedFilesAreMadeAnew) {
  const Dataset right = load();
  const fs::path path = *files().begin();
  const std::string whole = read_file(path);
  for (size_t at = 0; at < whole.size(); at += 41) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    write_file_atomic(path, bad);
    expect_same(load(), right);
    EXPECT_EQ(read_file(path), whole) << at;
  }
  for (const size_t size : {size_t{0}, size_t{8}, whole.size() / 2 / 8 * 8, whole.size() - 8}) {
    write_file_atomic(path, whole.substr(0, size));
    expect_same(load(), right);
  }
}

// What tokens follow from: the model's files and its chat template, and the day where that writes
// it.
TEST_F(TokenCache, AnEncoderIsCalledByWhatItIsMadeOf) {
  LoadedModel model;
  model.path = fs::path(GAVEL_GOLDEN_DIR) / "models/llama";
  model.tokenizer = encoder_.tokenizer;
  const auto id = [&](const std::string& chat_template) {
    model.chat_template = chat_template;
    return make_encoder(model).id;
  };
  EXPECT_EQ(id("{{ bos_token }}"), id("{{ bos_token }}"));
  EXPECT_NE(id("{{ bos_token }}"), id("{{ eos_token }}"));
  EXPECT_NE(id("{{ strftime_now('%d %b %Y') }}"), "");
  EXPECT_EQ(id("{{ strftime_now('%H:%M') }}"), "");  // never twice the same
  model.path = dir_ / "none";
  EXPECT_EQ(id("{{ bos_token }}"), "");
}

TEST_F(TokenCache, ARecordAtFaultLeavesNothing) {
  write_file_atomic(dir_ / "train.jsonl", rows(3) + "{oops\n");
  EXPECT_THROW(load(), Error);
  EXPECT_TRUE(files().empty());
}

TEST_F(TokenCache, TheOldestGoWhereThereAreTooMany) {
  fs::create_directories(dir_ / "cache");
  const auto now = fs::file_time_type::clock::now();
  for (int i = 0; i < 5; ++i) {
    const fs::path path = dir_ / "cache" / (std::to_string(i) + ".tokens");
    write_file_atomic(path, std::string(100, 'x'));
    fs::last_write_time(path, now - std::chrono::hours(i));
  }
  write_file_atomic(dir_ / "cache/other", std::string(1000, 'x'));
  trim_token_cache(dir_ / "cache", dir_ / "cache/4.tokens", 300);
  EXPECT_EQ(files(), (std::set<fs::path>{dir_ / "cache/0.tokens", dir_ / "cache/1.tokens",
                                         dir_ / "cache/4.tokens", dir_ / "cache/other"}));
}

}  // namespace
}  // namespace gavel
