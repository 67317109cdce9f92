#include "data/dataset.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "data/jsonl.h"
#include "packed.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const fs::path kGolden = GAVEL_GOLDEN_DIR;

TextEncoder encoder_of(const std::string& chat_template, bool bos = false) {
  TextEncoder encoder{.tokenizer =
                          Tokenizer::from_file(bos ? kGolden / "tokenizer_bos.json"
                                                   : kGolden / "models/llama/tokenizer.json")};
  encoder.chat_template.emplace(read_file(kGolden / "chat_templates" / (chat_template + ".jinja")));
  encoder.bos_token = "<|endoftext|>";
  encoder.eos_token = "<|im_end|>";
  encoder.eos_token_id = encoder.tokenizer.token_to_id("<|im_end|>");
  return encoder;
}

class DatasetFile : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() /
           ("gavel_dataset_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  Dataset load(const std::string& text, const DatasetOptions& options = {},
               const std::string& chat_template = "smollm2", bool bos = false) {
    write_file_atomic(dir_ / "train.jsonl", text);
    return load_split(dir_, "train", encoder_of(chat_template, bos), options);
  }

  std::string error_of(const std::string& text, const DatasetOptions& options = {}) {
    try {
      load(text, options);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  fs::path dir_;
};

// Where mlx_lm's tokens do not begin with the prompt's, the record is refused; see ChatTurn's
// tests.
std::string ranked_row(const std::string& a, const std::string& b, const std::string& label) {
  const auto messages = [](const std::string& answer) {
    return Json::array({{{"role", "user"}, {"content", "How good is " + answer}}});
  };
  return Json{{"messages_a", messages(a)},
              {"messages_b", messages(b)},
              {"scored", {"It is good", "It is bad"}},
              {"answer_a", a},
              {"answer_b", b},
              {"label", label}}
             .dump() +
         "\n";
}

TEST_F(DatasetFile, RankedPairsAreTwoExamplesThatEndWithTheScoredWord) {
  const Dataset set = load(ranked_row("one", "<|im_end|> two", "A") + ranked_row("x", "y", "tie"));
  ASSERT_EQ(set.examples.size(), 4u);
  EXPECT_TRUE(set.masked && set.judge_data);
  EXPECT_EQ(set.summary.ranked, 4);
  const TextEncoder encoder = encoder_of("smollm2");
  const Example& b = set.examples[1];
  const std::vector<int> tokens(b.tokens.begin(), b.tokens.end());
  const std::string text = encoder.tokenizer.decode(tokens);
  EXPECT_TRUE(text.ends_with("assistant\nIt is g")) << text;
  EXPECT_EQ(encoder.tokenizer.decode(std::vector<int>{b.other_token}), "b");
  // This tokenizer has a token a letter. The answer's own text is no end of a turn.
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), *encoder.eos_token_id),
            std::count(set.examples[0].tokens.begin(), set.examples[0].tokens.end(),
                       *encoder.eos_token_id));
  EXPECT_EQ(set.examples[2].wins, 0.5f);
  EXPECT_EQ(set.examples[3].wins, 0.5f);
  EXPECT_NE(set.examples[0].group, set.examples[2].group);
}

TEST_F(DatasetFile, ARankedPairOfWhichOneAnswerIsCutIsLeftOut) {
  std::string longer;
  for (int i = 0; i < 200; ++i) longer += " word";
  const Dataset set =
      load(ranked_row("one", longer, "A") + ranked_row("x", "y", "B"), {.max_seq_length = 400});
  ASSERT_EQ(set.examples.size(), 4u);
  EXPECT_EQ(set.examples[0].loss_tokens(), 0);
  EXPECT_EQ(set.examples[1].loss_tokens(), 0);
  EXPECT_EQ(set.examples[2].loss_tokens(), 1);
  EXPECT_NE(describe(set, {}).find("1 pairs are left out"), std::string::npos) << describe(set, {});
}

TEST_F(DatasetFile, RankedPairsThatAreNoneAreRefused) {
  EXPECT_NE(error_of(ranked_row("a", "b", "C")).find("the label C is none of A, B and tie"),
            std::string::npos);
  Json row = Json::parse(ranked_row("a", "b", "A"));
  row["scored"] = {"It is", "It is good"};
  EXPECT_NE(error_of(row.dump() + "\n").find("cannot be told apart"), std::string::npos);
  row["scored"] = "yes";
  EXPECT_NE(error_of(row.dump() + "\n").find("must be a list of two texts"), std::string::npos);
  row.erase("scored");
  EXPECT_NE(error_of(row.dump() + "\n").find("\"scored\" is missing"), std::string::npos);
  EXPECT_NE(error_of(ranked_row("a", "b", "A"), {.mask_prompt = MaskPrompt::no})
                .find("leave out --no-mask-prompt"),
            std::string::npos);
}

TEST_F(DatasetFile, TokensAndPromptLengthsAreThoseOfMlxLm) {
  const Json cases = Json::parse(read_file(kGolden / "datasets.json"));
  int compared = 0, refused = 0;
  for (const Json& c : cases) {
    const std::string what =
        c.at("template").get<std::string>() + " " + c.at("kind").get<std::string>() + " ";
    const DatasetOptions options{.mask_prompt =
                                     c.at("masked").get<bool>() ? MaskPrompt::yes : MaskPrompt::no};
    const auto load_lines = [&](const std::string& text) {
      return load(text, options, c.at("template").get<std::string>(), c.at("bos").get<bool>());
    };
    std::string text;
    std::vector<size_t> records;
    for (size_t i = 0; i < c.at("records").size(); ++i) {
      const std::string line = c["records"][i].dump() + "\n";
      if (c.at("follows")[i].get<bool>()) {
        text += line;
        records.push_back(i);
        continue;
      }
      EXPECT_THROW(load_lines(line), Error) << what << i;
      ++refused;
    }
    const Dataset dataset = load_lines(text);
    ASSERT_EQ(dataset.examples.size(), records.size());
    EXPECT_EQ(dataset.summary.rebuilt, 0) << what;
    for (size_t i = 0; i < records.size(); ++i) {
      const Example& example = dataset.examples[i];
      const size_t r = records[i];
      EXPECT_EQ(example.tokens, c.at("tokens")[r].get<std::vector<int32_t>>()) << what << r;
      EXPECT_EQ(example.prompt_length, c.at("offsets")[r].get<int32_t>()) << what << r;
      EXPECT_EQ(example.source_line, static_cast<int64_t>(i) + 1);
      ++compared;
    }
  }
  EXPECT_GT(compared, 150);
  EXPECT_EQ(refused, 4);
}

const std::string kChat =
    R"({"messages": [{"role": "user", "content": "Question?"}, {"role": "assistant", "content": "Answer."}]})";

TEST_F(DatasetFile, TruncatesAndCountsWhatCarriesLoss) {
  const Dataset whole = load(kChat + "\n\n" + kChat + "\n", {.mask_prompt = MaskPrompt::yes});
  ASSERT_EQ(whole.examples.size(), 2u);
  const auto n = static_cast<int64_t>(whole.examples[0].tokens.size());
  const int64_t prompt = whole.examples[0].prompt_length;
  EXPECT_EQ(whole.examples[1].source_line, 3);
  EXPECT_EQ(whole.summary.tokens, 2 * n);
  EXPECT_EQ(whole.summary.loss_tokens, 2 * (n - prompt));
  EXPECT_EQ(whole.summary.truncated, 0);

  const Dataset cut = load(kChat, {.max_seq_length = prompt + 1, .mask_prompt = MaskPrompt::yes});
  EXPECT_TRUE(cut.examples[0].truncated);
  EXPECT_EQ(cut.examples[0].loss_tokens(), 1);
  EXPECT_EQ(cut.summary.longest, n);

  const Dataset lost = load(kChat, {.max_seq_length = prompt - 2, .mask_prompt = MaskPrompt::yes});
  EXPECT_EQ(lost.summary.without_targets, 1);
  EXPECT_EQ(lost.summary.loss_tokens, 0);
  EXPECT_NE(
      describe(lost, {.max_seq_length = prompt - 2}).find("1 with no token that carries loss"),
      std::string::npos);

  const Dataset unmasked = load(kChat, {.mask_prompt = MaskPrompt::no});
  EXPECT_EQ(unmasked.examples[0].loss_tokens(), n - 1);  // the first token has no predecessor
}

TEST_F(DatasetFile, MasksJudgeDataByDefaultAndGroupsBothOrders) {
  const auto record = [](int group) {
    return R"({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}], "answer_a": "x", "answer_b": "y", "group": )" +
           std::to_string(group) + "}\n";
  };
  const Dataset judge = load(record(1) + record(1) + record(2) + record(1));
  EXPECT_TRUE(judge.judge_data);
  EXPECT_TRUE(judge.masked);
  EXPECT_GT(judge.examples[0].prompt_length, 0);
  EXPECT_EQ(judge.examples[0].group, judge.examples[1].group);
  EXPECT_NE(judge.examples[1].group, judge.examples[2].group);
  EXPECT_NE(judge.examples[0].group, judge.examples[3].group);
  EXPECT_FALSE(load(kChat).masked);
  EXPECT_FALSE(load(R"({"text": "x"})").masked);
}

TEST_F(DatasetFile, SaysWhereAnswersWerePutAfterThePromptOfInference) {
  const Dataset masked = load(kChat, {.mask_prompt = MaskPrompt::yes}, "deepseek-r1-distill");
  const Dataset whole = load(kChat, {.mask_prompt = MaskPrompt::no}, "deepseek-r1-distill");
  EXPECT_EQ(masked.summary.rebuilt, 1);
  EXPECT_EQ(whole.examples[0].tokens, masked.examples[0].tokens);
  EXPECT_EQ(whole.examples[0].prompt_length, 0);
  const auto text = encoder_of("smollm2").tokenizer.decode(whole.examples[0].tokens);
  EXPECT_NE(text.find("<｜Assistant｜><think>\n\n</think>\n\nAnswer."), std::string::npos) << text;
  EXPECT_NE(describe(whole, {}).find("1 with the answer put after the prompt that inference has"),
            std::string::npos)
      << describe(whole, {});
}

TEST_F(DatasetFile, JoinsTextPartsAndFollowsFeatureNames) {
  const Dataset parts = load(
      R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "Quest"}, {"type": "text", "text": "ion?"}]}, {"role": "assistant", "content": "Answer."}]})");
  EXPECT_EQ(parts.examples[0].tokens, load(kChat).examples[0].tokens);
  DatasetOptions options;
  options.prompt_feature = "q";
  options.completion_feature = "a";
  EXPECT_EQ(load(R"({"q": "Question?", "a": "Answer."})", options).examples[0].tokens,
            parts.examples[0].tokens);
}

TEST_F(DatasetFile, ErrorsNameFileAndLine) {
  const std::string here = (dir_ / "train.jsonl").string();
  const auto expect = [&](const std::string& text, int line, const std::string& reason,
                          const DatasetOptions& options = {}) {
    const std::string error = error_of(text, options);
    EXPECT_EQ(error.find(fmt::format("{}:{}: ", here, line)), 0u) << error;
    EXPECT_NE(error.find(reason), std::string::npos) << error;
  };
  const DatasetOptions masked{.mask_prompt = MaskPrompt::yes};
  expect(kChat + "\n{\"messages\": \n", 2, "bad JSON");
  expect(kChat + "\n\n{\"mesages\": []}\n", 3, "\"messages\" is missing");
  expect("{\"text\": \"\xC3(\"}", 1, "invalid UTF-8");
  expect(kChat + "\n[1]", 2, "must be a JSON object");
  expect(R"({"messages": "hello"})", 1, "must be a list");
  expect(R"({"messages": []})", 1, "messages is empty");
  expect(R"({"messages": [{"role": "user"}]})", 1, "has no \"content\"");
  expect(R"({"messages": [{"role": "user", "content": 4}]})", 1, "must be text");
  expect(R"({"messages": [{"content": "x"}]})", 1, "\"role\" is missing");
  expect(R"({"messages": [{"role": "user", "content": "x"}]})", 1, "nothing to learn");
  expect(R"({"messages": [{"role": "user", "content": [{"type": "image"}]}]})", 1, "only text");
  expect(
      R"({"messages": [{"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]})",
      1, "must be the assistant's", masked);
  expect(R"({"prompt": "x", "completion": null})", 1, "must be a string and is null");
  expect(R"({"text": 1})", 1, "must be a string and is number");
  expect(R"({"text": "x"})", 1, "cannot be masked", masked);
  expect(R"({"question": "x"})", 1, "has none of");
  EXPECT_NE(error_of("").find("no records"), std::string::npos);
  EXPECT_NE(error_of("\n \n").find("no records"), std::string::npos);
  EXPECT_NE(error_of("[ ]").find("no records"), std::string::npos);
  EXPECT_NE(error_of(kChat, {.max_seq_length = 0}).find("at least 1"), std::string::npos);
}

// All of these say the same as the first.
TEST_F(DatasetFile, FormsOfRecordsAreOneConversation) {
  const std::string answer = R"("role": "assistant", "content": "42")";
  const std::string chat = R"({"messages": [{"role": "system", "content": "s"}, )"
                           R"({"role": "user", "content": "Hi"}, {)" +
                           answer + "}]}";
  const std::string system = R"({"role": "system", "content": "s"}, )";
  const auto tokens = [&](const std::string& record, const DatasetOptions& options) {
    const Dataset dataset = load(record, options);
    const Example& example = dataset.examples.at(0);
    return std::pair(example.tokens, example.prompt_length);
  };
  for (const auto mask : {MaskPrompt::no, MaskPrompt::yes}) {
    const DatasetOptions options{.mask_prompt = mask};
    const auto right = tokens(chat, options);
    for (
        const std::string& record : std::vector<std::string>{
            R"({"prompt": [)" + system + R"({"role": "user", "content": "Hi"}], "completion": [{)" +
                answer + "}]}",
            R"({"prompt": [)" + system + R"({"role": "user", "content": "Hi"}], "completion": 42})",
            R"({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "42"}],)"
            R"( "system": "s"})",
            R"({"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "Hi"},)"
            R"( {"from": "gpt", "value": "42"}]})",
            R"({"conversations": [)" + system + R"({"role": "user", "content": "Hi"}, {)" + answer +
                "}]}",
            R"({"instruction": "Hi", "input": " ", "output": 42, "system": "s"})"})
      EXPECT_EQ(tokens(record, options), right) << record;
    EXPECT_EQ(tokens(R"({"instruction": "Hi", "input": "you", "output": "42"})", options),
              tokens(R"({"prompt": "Hi\n\nyou", "completion": "42"})", options));
  }
  const auto refused = [&](const std::string& record, const std::string& part,
                           MaskPrompt mask = MaskPrompt::no) {
    const std::string error = error_of(record, {.mask_prompt = mask});
    EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  refused(R"({"conversations": [{"from": "observation", "value": "x"}]})", "\"observation\"");
  refused(R"({"conversations": [{"from": "human"}]})", "\"value\" is missing");
  refused(R"({"instruction": "x", "output": "y", "history": [["a", "b"]]})", "history");
  refused(R"({"prompt": "q", "chosen": "x", "rejected": "y"})", "gavel prepare");
  refused(R"({"prompt": "q", "completion": "x", "label": false})", "KTO");
  refused(
      R"({"prompt": [], "completion": [{"role": "assistant", "content": "a"}, {)" + answer + "}]}",
      "has 2 messages", MaskPrompt::yes);
}

TEST_F(DatasetFile, SplitsInEveryLayoutAndPacking) {
  const auto encoder = encoder_of("smollm2");
  const auto right = load(kChat + "\n" + kChat).examples;
  fs::remove(dir_ / "train.jsonl");
  for (const auto& [name, bytes] : std::vector<std::pair<std::string, std::string>>{
           {"train.json", "[" + kChat + "," + kChat + "]"},
           {"train.jsonl", "[\n" + Json::parse(kChat).dump(2) + ",\n" + kChat + "\n]\n"},
           {"train.jsonl.gz", gzip(kChat + "\n" + kChat)},
           {"train.jsonl.xz", xz(kChat + "\n" + kChat)},
           {"train.json.zst", zstd(Json::parse(kChat).dump(1) + Json::parse(kChat).dump(1))}}) {
    write_file_atomic(dir_ / name, bytes);
    EXPECT_EQ(find_split(dir_, "train"), dir_ / name);
    const auto dataset = load_split(dir_, "train", encoder, {});
    ASSERT_EQ(dataset.examples.size(), 2u) << name;
    for (const Example& example : dataset.examples) EXPECT_EQ(example.tokens, right[0].tokens);
    fs::remove(dir_ / name);
  }
  write_file_atomic(dir_ / "train.csv", "Prompt;Completion\na;b\n");
  EXPECT_EQ(load_split(dir_, "train", encoder, {}).kind, RecordKind::completion);
  write_file_atomic(dir_ / "train.jsonl.gz", gzip(kChat));
  EXPECT_THROW(load_split(dir_, "train", encoder, {}), Error);  // which of them?
  fs::remove(dir_ / "train.csv");
  write_file_atomic(dir_ / "train.jsonl.gz", gzip(kChat).substr(0, 40));
  EXPECT_THROW(load_split(dir_, "train", encoder, {}), Error);
  fs::remove(dir_ / "train.jsonl.gz");
  write_file_atomic(dir_ / "train.parquet", "PAR1....PAR1");
  try {
    load_split(dir_, "train", encoder, {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("Parquet"), std::string::npos) << e.what();
  }
}

TEST_F(DatasetFile, NamesAMissingSplitAndWhatIsThere) {
  load(kChat);
  try {
    load_split(dir_, "valid", encoder_of("smollm2"), {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("valid.jsonl does not exist; the folder has train.jsonl"),
              std::string::npos)
        << e.what();
  }
  EXPECT_THROW(load_split(dir_ / "none", "train", encoder_of("smollm2"), {}), Error);
}

}  // namespace
}  // namespace gavel
