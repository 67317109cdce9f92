#include "data/prepare.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "data/jsonl.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class Prepare : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() /
           ("gavel_prep_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  // `count` rows, two a question; A wins three times as often as B, and every tenth is a tie.
  PrepareOptions options_for(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      const char* label = i % 10 == 9 ? "tie" : i % 4 == 3 ? "B" : "A";
      Json row = {{"question", "question " + std::to_string(i / 2)},
                  {"answer_a", "first " + std::to_string(i)},
                  {"answer_b", "second " + std::to_string(i)},
                  {"label", label},
                  {"reason", "Answer A says so."},
                  {"reference", "reference " + std::to_string(i)}};
      text += row.dump() + "\n";
    }
    write_file_atomic(dir_ / "in.jsonl", text);
    return {.inputs = {dir_ / "in.jsonl"}, .output = dir_ / "out"};
  }

  std::vector<Json> rows(const std::string& split) {
    std::vector<Json> out;
    for_each_line(read_file(dir_ / "out" / (split + ".jsonl")),
                  [&](int64_t, std::string_view line) { out.push_back(Json::parse(line)); });
    return out;
  }

  fs::path dir_;
};

TEST_F(Prepare, WarnsOfWhatTheTemplateDoesNotUse) {
  PrepareOptions options = options_for(40);
  const auto said = [&] {
    std::string all;
    for (const std::string& warning : prepare(options, nullptr).warnings) all += warning + "\n";
    return all;
  };
  EXPECT_EQ(said().find("does not use"), std::string::npos);
  options.template_file = dir_ / "bare.txt";
  write_file_atomic(options.template_file, "[user]\n{question} {answer_a} {answer_b}\n");
  EXPECT_NE(said().find("40 of 40 rows have a reference, which the template does not use"),
            std::string::npos);
  options.use_reference = false;
  EXPECT_EQ(said().find("does not use"), std::string::npos);
}

TEST_F(Prepare, SplitsByQuestionAndWritesChatRows) {
  const PrepareReport report = prepare(options_for(400), nullptr);
  EXPECT_EQ(report.rows_read, 400);
  EXPECT_EQ(report.rows_kept, 400);
  std::map<std::string, std::set<std::string>> where;
  std::map<std::string, int> lines;
  for (const std::string split : {"train", "valid", "test"}) {
    for (const Json& row : rows(split)) {
      where[row.at("question")].insert(split);
      ++lines[split];
      EXPECT_EQ(row.at("messages").size(), 3u);
      EXPECT_EQ(row["messages"][2]["content"],
                "Answer A says so.\n\n**Verdict:** " + row.at("label").get<std::string>());
      EXPECT_NE(row["messages"][1]["content"].get<std::string>().find(
                    row.at("reference").get<std::string>()),
                std::string::npos);
    }
  }
  EXPECT_EQ(where.size(), 200u);
  for (const auto& [question, splits] : where) EXPECT_EQ(splits.size(), 1u) << question;
  EXPECT_EQ(lines["train"], 320);
  EXPECT_EQ(lines["valid"], 40);
  EXPECT_EQ(lines["test"], 40);
  EXPECT_EQ(report.splits[1].questions, 20);
  EXPECT_EQ(read_file(dir_ / "out/template.txt"), JudgeTemplate::standard().source());
}

TEST_F(Prepare, IsTheSameForASeed) {
  PrepareOptions options = options_for(300);
  options.balance_classes = options.balance_positions = options.swap_augment = true;
  options.reference_drop = 0.5;
  prepare(options, nullptr);
  const std::string first = read_file(dir_ / "out/train.jsonl");
  prepare(options, nullptr);
  EXPECT_EQ(first, read_file(dir_ / "out/train.jsonl"));
  options.seed = 1;
  prepare(options, nullptr);
  EXPECT_NE(first, read_file(dir_ / "out/train.jsonl"));
}

TEST_F(Prepare, AQuestionStaysInItsSplitWhenOthersCome) {
  const auto split_of = [&] {
    std::map<std::string, std::string> out;
    for (const std::string split : {"train", "valid", "test"})
      for (const Json& row : rows(split)) out[row.at("question")] = split;
    return out;
  };
  prepare(options_for(400), nullptr);
  const auto before = split_of();
  prepare(options_for(420), nullptr);
  const auto after = split_of();
  int moved = 0;
  for (const auto& [question, split] : before) moved += after.at(question) != split ? 1 : 0;
  EXPECT_LE(moved, 6);  // those at the borders between the splits
}

TEST_F(Prepare, BalancesPositionsAndClasses) {
  PrepareOptions options = options_for(1000);
  options.balance_positions = true;
  PrepareReport report = prepare(options, nullptr);
  for (const SplitReport& s : report.splits) EXPECT_LE(std::abs(s.labels[0] - s.labels[1]), 1);
  // The exchanged pairs are whole: the answer that won still wins.
  for (const Json& row : rows("train")) {
    const bool exchanged = row.at("answer_a").get<std::string>().starts_with("second");
    EXPECT_EQ(row.at("reason"), exchanged ? "Answer B says so." : "Answer A says so.");
  }
  options.balance_classes = true;
  report = prepare(options, nullptr);
  const auto& labels = report.splits[0].labels;
  EXPECT_EQ(labels[0], labels[2]);
  EXPECT_EQ(labels[1], labels[2]);
  EXPECT_GT(report.splits[2].labels[0], report.splits[2].labels[2]);  // test is left as it is
}

TEST_F(Prepare, ReportsTheFormAndKeepsWhatElseItHolds) {
  std::string text;
  for (int i = 0; i < 40; ++i)
    text += Json{{"instruction", "question " + std::to_string(i)},
                 {"output_1", "x"},
                 {"output_2", "y"},
                 {"generator_1", "m1"},
                 {"generator_2", "m2"},
                 {"preference", 1 + i % 2}}
                .dump() +
            "\n";
  write_file_atomic(dir_ / "in.jsonl", text);
  const PrepareReport report = prepare(
      {.inputs = {dir_ / "in.jsonl"}, .output = dir_ / "out", .swap_augment = true}, nullptr);
  EXPECT_EQ(report.inputs.at(0).form, "alpaca-eval");
  EXPECT_NE(describe(report).find("alpaca-eval, AlpacaEval's annotations"), std::string::npos);
  const Json json = to_json(report);
  EXPECT_EQ(json["inputs"][0]["form"], "alpaca-eval");
  EXPECT_EQ(json["splits"]["train"]["rows"], 64);
  for (const Json& row : rows("train"))
    EXPECT_EQ(row["meta"]["model_a"], row["answer_a"] == "x" ? "m1" : "m2");
}

TEST_F(Prepare, NearlyEqualQuestionsStayInOneSplit) {
  // Pairs of questions that differ in their last word of many.
  const auto question = [](int i, const char* end) {
    std::string text;
    for (int k = 0; k < 20; ++k) text += "w" + std::to_string(i * 31 + k) + " ";
    return text + end;
  };
  std::string text;
  for (int i = 0; i < 100; ++i)
    for (const char* end : {"please", "thanks"})
      text +=
          Json{{"question", question(i, end)}, {"answer_a", "x"}, {"answer_b", "y"}, {"label", "A"}}
              .dump() +
          "\n";
  write_file_atomic(dir_ / "in.jsonl", text);
  PrepareOptions options{.inputs = {dir_ / "in.jsonl"}, .output = dir_ / "out"};
  PrepareReport report = prepare(options, nullptr);
  EXPECT_EQ(report.alike_questions, 200);
  EXPECT_GT(report.leaks_by_text, 20);       // of 40 in valid and test
  std::map<std::string, std::string> where;  // by the first words
  for (const std::string split : {"train", "valid", "test"})
    for (const Json& row : rows(split)) {
      const std::string q = row.at("question");
      const auto [it, fresh] = where.emplace(q.substr(0, q.rfind(' ')), split);
      EXPECT_EQ(it->second, split);
    }
  EXPECT_EQ(report.splits[2].questions, 20);
  // Excluded: both of a pair where one is in the file.
  write_file_atomic(
      dir_ / "bench.jsonl",
      Json{{"question", question(5, "please")}, {"answer_a", "p"}, {"answer_b", "q"}}.dump() +
          "\n");
  options.excluded = {dir_ / "bench.jsonl"};
  report = prepare(options, nullptr);
  EXPECT_EQ(report.rows_kept, 198);
  EXPECT_EQ(report.dropped.at("question of an excluded file").count, 2);
  EXPECT_NE(describe(report).find("Excluded files: 1 question; 2 rows have one of them"),
            std::string::npos);
  for (const std::string split : {"train", "valid", "test"})
    for (const Json& row : rows(split))
      EXPECT_FALSE(row.at("question").get<std::string>().starts_with("w155 w156"));
}

// That nothing was left out is said too; a file of questions alone is one to exclude, and no data.
TEST_F(Prepare, ExcludesQuestionsAlone) {
  PrepareOptions options = options_for(20);
  write_file_atomic(dir_ / "none.jsonl", R"({"instruction": "Something else entirely?"})");
  options.excluded = {dir_ / "none.jsonl"};
  PrepareReport report = prepare(options, nullptr);
  EXPECT_EQ(report.rows_kept, 20);
  EXPECT_NE(describe(report).find("Excluded files: 1 question; no row has one of them"),
            std::string::npos);
  EXPECT_EQ(to_json(report).at("excluded").dump(), R"({"questions":1,"rows":0})");
  write_file_atomic(dir_ / "some.csv", "Question,source\nquestion 3,a\nquestion 7,b\n");
  options.excluded.push_back(dir_ / "some.csv");
  report = prepare(options, nullptr);
  EXPECT_EQ(report.rows_kept, 16);
  EXPECT_EQ(report.excluded_rows, 4);
  EXPECT_EQ(report.excluded_questions, 3);
  options.inputs = {dir_ / "some.csv"};
  EXPECT_THROW(prepare(options, nullptr), Error);
  write_file_atomic(dir_ / "broken.jsonl", "{\"question\": \"a\"}\n{\"question\": 1");
  options.excluded = {dir_ / "broken.jsonl"};
  options.inputs = {dir_ / "in.jsonl"};
  EXPECT_THROW(prepare(options, nullptr), Error);
}

TEST_F(Prepare, MixesInputsByShares) {
  PrepareOptions options = options_for(400);
  std::filesystem::rename(dir_ / "in.jsonl", dir_ / "a.v1.jsonl");
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += Json{{"question", "other " + std::to_string(i)},
                 {"answer_a", "x"},
                 {"answer_b", "y"},
                 {"label", "A"}}
                .dump() +
            "\n";
  write_file_atomic(dir_ / "b.jsonl", text);
  options.inputs = {dir_ / "a.v1.jsonl", dir_ / "b.jsonl"};
  options.mix = {{"a", 0.4}, {"b", 0.6}};
  const PrepareReport report = prepare(options, nullptr);
  int a = 0, b = 0;
  for (const Json& row : rows("train"))
    ++(row.at("question").get<std::string>().starts_with("other") ? b : a);
  EXPECT_GT(a, 300);
  EXPECT_NEAR(b / static_cast<double>(a + b), 0.6, 0.01);
  EXPECT_GT(report.dropped.at("left out for the mix").count, 300);
  options.mix = {{"a", 1}};
  EXPECT_THROW(prepare(options, nullptr), UsageError);
  options.mix = {{"a", 1}, {"c", 1}};
  EXPECT_THROW(prepare(options, nullptr), UsageError);
}

TEST_F(Prepare, SwapAugmentationWritesBothOrdersOfTrainTogether) {
  PrepareOptions options = options_for(100);
  options.swap_augment = true;
  prepare(options, nullptr);
  const auto train = rows("train");
  ASSERT_EQ(train.size(), 160u);
  for (size_t i = 0; i < train.size(); i += 2) {
    EXPECT_EQ(train[i].at("group"), train[i + 1].at("group"));
    EXPECT_EQ(train[i].at("answer_a"), train[i + 1].at("answer_b"));
    const std::string label = train[i].at("label"), other = train[i + 1].at("label");
    EXPECT_EQ(other, label == "A" ? "B" : label == "B" ? "A" : "tie");
    EXPECT_EQ(train[i + 1].at("reason"), "Answer B says so.");
  }
  EXPECT_EQ(rows("test").size(), 10u);
}

TEST_F(Prepare, ReferenceSupportAndDrop) {
  PrepareOptions options = options_for(400);
  options.reference_drop = 0.5;
  PrepareReport report = prepare(options, nullptr);
  EXPECT_GT(report.references_dropped, 100);
  EXPECT_LT(report.references_dropped, 220);
  EXPECT_EQ(report.splits[0].with_reference, 320 - report.references_dropped);
  EXPECT_EQ(report.splits[2].with_reference, 40);
  options.use_reference = false;
  report = prepare(options, nullptr);
  EXPECT_EQ(report.splits[2].with_reference, 0);
  for (const Json& row : rows("test"))
    EXPECT_EQ(row["messages"][1]["content"].get<std::string>().find("eference"), std::string::npos);
}

TEST_F(Prepare, DropsDuplicatesInEitherOrderAndSaysSo) {
  write_file_atomic(dir_ / "in.jsonl",
                    R"({"question": "q", "answer_a": "x", "answer_b": "y", "label": "A"}
{"question": " q", "answer_a": "y", "answer_b": "x ", "label": "B"}
{"question": "q", "answer_a": "y", "answer_b": "x", "label": "A"}
{"question": "q", "answer_a": "y", "answer_b": "z", "label": "A"}
not json
)");
  PrepareOptions options{.inputs = {dir_ / "in.jsonl"}, .output = dir_ / "out"};
  options.shares = {0, 0, 1};
  const PrepareReport report = prepare(options, nullptr);
  EXPECT_EQ(report.rows_read, 5);
  EXPECT_EQ(report.rows_kept, 2);
  EXPECT_EQ(report.dropped.at("duplicate").places[0].first, file_line(dir_ / "in.jsonl", 2));
  EXPECT_EQ(report.dropped.at("contradicting duplicate").places[0].first,
            file_line(dir_ / "in.jsonl", 3));
  EXPECT_EQ(report.dropped.at("bad JSON").count, 1);
  EXPECT_EQ(rows("test").size(), 2u);
  EXPECT_FALSE(fs::exists(dir_ / "out/train.jsonl"));
  const std::string text = describe(report);
  EXPECT_NE(text.find("in.jsonl:5: "), std::string::npos) << text;
}

TEST_F(Prepare, PreparedFilesAreReadAgainAsPairs) {
  prepare(options_for(50), nullptr);
  const auto rows = PairReader(dir_ / "out/test.jsonl", {}).next(100);
  ASSERT_EQ(rows.size(), 6u);
  for (const RawRow& row : rows) {
    ASSERT_TRUE(row.pair) << row.detail;
    EXPECT_EQ(row.pair->reason, "Answer A says so.");
    EXPECT_TRUE(row.pair->label);
  }
}

TEST_F(Prepare, TheTerminalShowsExamplesWithTheirLossMarked) {
  const PrepareReport report = prepare(options_for(50), nullptr);
  ASSERT_EQ(report.samples.size(), 20u);
  EXPECT_EQ(describe(report).find("«"), std::string::npos);
  const std::string text = describe(report, 2);
  EXPECT_NE(text.find("Example 2 of 20"), std::string::npos) << text;
  EXPECT_EQ(text.find("Example 3 of 20"), std::string::npos);
  EXPECT_NE(text.find("«Answer A says so.\n\n**Verdict:** "), std::string::npos) << text;
}

TEST_F(Prepare, PairsAreWrittenInBothOrders) {
  const std::vector<JudgePair> pairs = {
      {.id = "1", .question = "q", .answer_a = "x", .answer_b = "y", .label = Verdict::a}};
  fs::create_directories(dir_ / "out");
  write_training_pairs(dir_ / "out/train.jsonl", pairs, JudgeTemplate::standard(), true);
  const auto train = rows("train");
  ASSERT_EQ(train.size(), 2u);
  EXPECT_EQ(train[1].at("label"), "B");
  EXPECT_EQ(train[0].at("group"), train[1].at("group"));
  write_training_pairs(dir_ / "out/train.jsonl", pairs, JudgeTemplate::standard(), false);
  EXPECT_EQ(rows("train").size(), 1u);
  EXPECT_FALSE(rows("train")[0].contains("group"));
}

TEST_F(Prepare, KeepsOldFilesWhenItFails) {
  PrepareOptions options = options_for(50);
  prepare(options, nullptr);
  const std::string before = read_file(dir_ / "out/train.jsonl");
  int asked = 0;
  EXPECT_THROW(prepare(options, nullptr, [&] { return ++asked > 2; }), Error);
  EXPECT_EQ(before, read_file(dir_ / "out/train.jsonl"));
  for (const auto& entry : fs::directory_iterator(dir_ / "out"))
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos);
}

TEST_F(Prepare, RefusesWhatCannotWork) {
  PrepareOptions options = options_for(10);
  options.shares = {0, 0, 0};
  EXPECT_THROW(prepare(options, nullptr), UsageError);
  options = options_for(10);
  options.reference_drop = 2;
  EXPECT_THROW(prepare(options, nullptr), UsageError);
  options = options_for(10);
  options.inputs = {dir_ / "none.jsonl"};
  EXPECT_THROW(prepare(options, nullptr), Error);
  write_file_atomic(dir_ / "train.jsonl", "{}");
  options.inputs = {dir_ / "train.jsonl"};
  options.output = dir_;
  EXPECT_THROW(prepare(options, nullptr), Error);  // would overwrite its input
  write_file_atomic(dir_ / "bad.jsonl", R"({"question": "q", "answer_a": 1, "answer_b": 2})");
  options.inputs = {dir_ / "bad.jsonl"};
  options.output = dir_ / "out";
  try {
    prepare(options, nullptr);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("bad.jsonl:1"), std::string::npos) << e.what();
  }
}

// Records of several rows each, more than are read at once, and an end within one.
TEST_F(Prepare, ReadsUpToARowWithinARecord) {
  std::string text;
  for (int i = 0; i < 700; ++i) {
    Json answers = Json::array();
    for (int k = 0; k < 2 + i % 3; ++k)
      answers.push_back({{"answer", fmt::format("{} of {}", k, i)}, {"rank", k}});
    text += Json({{"prompt", fmt::format("question {}", i)}, {"answers", answers}}).dump() + "\n";
  }
  write_file_atomic(dir_ / "in.jsonl", text);  // 1, 3 and 6 pairs
  PrepareOptions options{.inputs = {dir_ / "in.jsonl"}, .output = dir_ / "out"};
  options.shares = {1, 0, 0};
  EXPECT_EQ(prepare(options, nullptr).rows_kept, 233 * 10 + 1);
  const auto all = rows("train");
  options.max_rows = 1000 + 3;  // the last pair of three is not read
  const PrepareReport report = prepare(options, nullptr);
  EXPECT_EQ(report.rows_read, 1003);
  EXPECT_EQ(report.rows_kept, 1003);
  const auto some = rows("train");
  ASSERT_EQ(some.size(), 1003u);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin()));
  EXPECT_EQ(some.back().at("source"), "in.jsonl:302");
  EXPECT_EQ(some.back().at("id"), "1002");
}

TEST_F(Prepare, AFileThatChangesBetweenThePassesIsAnError) {
  for (const int later : {10, 60}) {
    const PrepareOptions options = options_for(40);
    int asked = 0;  // twice a pass
    try {
      prepare(options, nullptr, [&] {
        if (++asked == 3) options_for(later);
        return false;
      });
      FAIL() << later;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("in.jsonl has changed while it was read"),
                std::string::npos)
          << e.what();
    }
    EXPECT_FALSE(fs::exists(dir_ / "out/train.jsonl"));
  }
}

}  // namespace
}  // namespace gavel
