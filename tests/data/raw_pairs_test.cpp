#include "data/raw_pairs.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

class RawPairs : public testing::Test {
 protected:
  void SetUp() override {
    dir_ =
        fs::temp_directory_path() /
        ("gavel_raw_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  fs::path file(const std::string& name, const std::string& text) {
    write_file_atomic(dir_ / name, text);
    return dir_ / name;
  }

  std::vector<JudgePair> good(const fs::path& path, const RawOptions& options = {}) {
    faults_.clear();
    std::vector<JudgePair> pairs;
    PairReader reader(path, options);
    for (auto rows = reader.next(1024); !rows.empty(); rows = reader.next(1024))
      for (RawRow& row : rows) {
        if (row.pair)
          pairs.push_back(std::move(*row.pair));
        else
          faults_.push_back(std::move(row));
      }
    return pairs;
  }

  fs::path dir_;
  std::vector<RawRow> faults_;
};

TEST_F(RawPairs, ReadsJudgeLm) {
  const auto pairs = good(file(
      "j.jsonl",
      R"({"question_id": 7, "score": [8.0, 5.5], "question_body": "Q?\n", "answer1_body": "one",)"
      R"( "answer2_body": "two", "text": "8 5.5\nAssistant 1 is right, and Assistant 2's answer is not. Both Assistants 1 and 2 try.",)"
      R"( "reference": {"text": "ref"}})"
      "\n"
      R"({"question_body": "Q2", "answer1_body": "x", "answer2_body": "y", "text": "3 9\nbecause"})"
      "\n"
      R"({"question_body": "Q3", "answer1_body": "x", "answer2_body": "y", "score": [4, 4]})"));
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_TRUE(faults_.empty());
  EXPECT_EQ(pairs[0].id, "7");
  EXPECT_EQ(pairs[0].question, "Q?");
  EXPECT_EQ(pairs[0].label, Verdict::a);
  EXPECT_EQ(pairs[0].reason,
            "Answer A is right, and Answer B's answer is not. Both Answers A and B try.");
  EXPECT_EQ(pairs[0].reference, "ref");
  EXPECT_EQ(pairs[1].label, Verdict::b);  // from the review's first line
  EXPECT_EQ(pairs[1].reason, "because");
  EXPECT_EQ(pairs[2].label, Verdict::tie);
}

TEST_F(RawPairs, ReadsPandaLmByMajority) {
  const std::string rest =
      R"("instruction": "Do.", "input": "X", "response1": "a", "response2": "b")";
  const auto path = file("p.json", "[\n{" + rest +
                                       R"(, "annotator1": 1, "annotator2": 2, "annotator3": 2},
{)" + rest + R"(, "annotator1": 0, "annotator2": 0, "annotator3": 1},

{)" + rest + R"(, "annotator1": 0, "annotator2": 1, "annotator3": 2},
{)" + rest + R"(, "annotator1": 3, "annotator2": 1, "annotator3": 2}
]
)");
  const auto pairs = good(path);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].question, "Do.\n\nX");
  EXPECT_EQ(pairs[0].label, Verdict::b);
  EXPECT_EQ(pairs[0].votes, (std::vector<int>{1, 2, 2}));
  EXPECT_EQ(pairs[1].label, Verdict::tie);
  ASSERT_EQ(faults_.size(), 2u);
  EXPECT_EQ(faults_[0].fault, "no majority");
  EXPECT_EQ(faults_[0].line, 5);
  EXPECT_EQ(faults_[1].fault, "bad label");
  EXPECT_EQ(good(path, {.split_votes_tie = true}).size(), 3u);
}

TEST_F(RawPairs, ReadsCsvWithQuotesAndMappedFields) {
  RawOptions options{
      .field_mappings = {"question=prompt", "answer_a=chosen", "answer_b=other", "label=winner"}};
  const auto pairs = good(file("c.csv",
                               "prompt,chosen,other,winner\r\n"
                               "\"a, \"\"b\"\"\nc\",x,,A\r\n"
                               "q,x\n"
                               "q2,x,y,tie\n"),
                          options);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].question, "a, \"b\"\nc");
  EXPECT_EQ(pairs[0].answer_b, "");  // an empty answer is an answer
  EXPECT_EQ(pairs[0].label, Verdict::a);
  EXPECT_EQ(pairs[1].source_line, 5);
  ASSERT_EQ(faults_.size(), 1u);
  EXPECT_EQ(faults_[0].line, 4);
  EXPECT_EQ(faults_[0].fault, "bad CSV");
}

TEST_F(RawPairs, AnUnclosedQuoteCostsOneRow) {
  const auto pairs = good(file("c.csv",
                               "question,answer_a,answer_b,score_a,score_b\n"
                               "q1,x,y,1,2\n\"q2,x,y,1,2\nq3,x,y,2,1\nq4,x,y,1,1\n"));
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[0].label, Verdict::b);
  EXPECT_EQ(pairs[1].question, "q3");
  EXPECT_EQ(pairs[2].label, Verdict::tie);
  ASSERT_EQ(faults_.size(), 1u);
  EXPECT_EQ(faults_[0].line, 3);
  EXPECT_NE(faults_[0].detail.find("quote"), std::string::npos);
}

TEST_F(RawPairs, AStrayQuoteIsTextAndAnOpenOneCostsItsLine) {
  const auto pairs = good(file("c.csv",
                               "\xEF\xBB\xBFquestion,answer_a,answer_b,label\r\n"
                               "a 5\" disk,x,y,A\r\n"
                               "q2,\"x,y,B\r\n"
                               "q3,\"two\r\nlines\",y,B\r\n"
                               "q4,\"x \"\"\",y,tie\r\n"));
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[0].question, "a 5\" disk");
  EXPECT_EQ(pairs[1].answer_a, "two\r\nlines");
  EXPECT_EQ(pairs[2].answer_a, "x \"");
  ASSERT_EQ(faults_.size(), 1u);
  EXPECT_EQ(faults_[0].line, 3);
  EXPECT_EQ(faults_[0].fault, "bad CSV");
}

TEST_F(RawPairs, JudgeLmScoresHaveAScale) {
  const auto row = [](const std::string& scores) {
    return R"({"question_body": "Q", "answer1_body": "x", "answer2_body": "y", )" + scores + "}\n";
  };
  const auto path = file("j.jsonl", row(R"("score": [0, 10])") + row(R"("score": [-1, -1])") +
                                        row(R"("score": [80, 20])") + row(R"("text": "11 5\nx")"));
  EXPECT_EQ(good(path).size(), 1u);
  ASSERT_EQ(faults_.size(), 3u);
  for (const RawRow& row : faults_) EXPECT_EQ(row.fault, "bad label");
  EXPECT_EQ(faults_[1].line, 3);
  EXPECT_EQ(good(path, {.max_score = 100}).size(), 3u);
}

TEST_F(RawPairs, ReportsEachKindOfBrokenRowAndReadsTheRest) {
  const std::string ok = R"({"question": "q", "answer_a": "x", "answer_b": "y", "label": "A"})";
  const std::vector<std::pair<std::string, std::string>> rows = {
      {ok, ""},
      {R"({"question": "q", )", "bad JSON"},
      {R"({"question": "q", "answer_a": "x", "label": "A"})", "missing field"},
      {R"({"question": "q", "answer_a": "x", "answer_b": [3], "label": "A"})", "wrong type"},
      {R"({"question": "q", "answer_a": "x", "answer_b": "y", "label": "C"})", "bad label"},
      {R"({"question": "q", "answer_a": "x", "answer_b": "y", "label": 5})", "bad label"},
      {R"({"question": "q", "answer_a": "x", "answer_b": "y"})", "no label"},
      {R"({"question": "q", "answer_a": "x", "answer_b": "y", "scores": [1]})", "bad label"},
      {R"({"question": "q", "answer_a": "x", "answer_b": "y", "score_a": "n", "score_b": 1})",
       "bad label"},
      {"{\"question\": \"\xFF\", \"answer_a\": \"x\", \"answer_b\": \"y\", \"label\": \"A\"}",
       "invalid UTF-8"},
      {"{\"question\": \"q\", \"answer_a\": \"" + std::string(1 << 20, 'x') +
           "\", \"answer_b\": \"y\", \"label\": \"A\"}",
       "text too long"},
      {R"({"question": "  ", "answer_a": "x", "answer_b": "y", "label": "A"})", "empty question"},
      {R"({"question": "q", "answer_a": "x", "answer_b": "x", "label": "A"})", "equal answers"},
      {"[1, 2]", "wrong type"},
      {"{\"question\": " + std::string(100000, '[') + std::string(100000, ']') + "}", "bad JSON"},
      {ok, ""}};
  std::string text;
  for (const auto& [row, fault] : rows) text += row + "\n";
  EXPECT_EQ(good(file("x.jsonl", text)).size(), 2u);
  size_t k = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].second.empty()) continue;
    ASSERT_LT(k, faults_.size());
    EXPECT_EQ(faults_[k].fault, rows[i].second) << faults_[k].detail;
    EXPECT_EQ(faults_[k].line, static_cast<int64_t>(i) + 1);
    EXPECT_FALSE(faults_[k].detail.empty());
    ++k;
  }
  EXPECT_EQ(k, faults_.size());
}

TEST_F(RawPairs, ABrokenElementOfAListCostsItselfAlone) {
  const auto pairs =
      good(file("l.json",
                R"([{"question": "q1", "answer_a": "x]", "answer_b": "y", "label": "A"},
{"question": nonsense, "answer_a": "x"},
{"question": "q2", "answer_a": "{\"", "answer_b": "y", "label": "B"},
{"question": "q3", "answer_a": "x")"));
  EXPECT_EQ(pairs.size(), 2u);
  ASSERT_EQ(faults_.size(), 2u);
  EXPECT_EQ(faults_[0].line, 2);
  EXPECT_EQ(faults_[1].line, 4);
  EXPECT_NE(faults_[1].detail.find("ends in the middle"), std::string::npos);
}

TEST_F(RawPairs, NumbersAreAnswersAndIds) {
  const auto pairs = good(
      file("n.json", R"([{"id": 7.5, "question": 1, "answer_a": 4, "answer_b": -2.5, "label": "A"},
{"instruction": "q", "response1": 3, "response2": "x", "annotator1": 1}])"));
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].id, "7.5");
  EXPECT_EQ(pairs[0].question, "1");
  EXPECT_EQ(pairs[0].answer_a, "4");
  EXPECT_EQ(pairs[0].answer_b, "-2.5");
  EXPECT_EQ(good(file("p.json", R"([{"instruction": "q", "response1": 3, "response2": "x",
    "annotator1": 1, "idx": 5}])"))[0]
                .answer_a,
            "3");
}

// PandaLM's test set has six answers "True" that are booleans.
TEST_F(RawPairs, BooleansAreTheTextsThatTheyWere) {
  const auto pairs =
      good(file("b.jsonl", R"({"question": "q", "answer_a": true, "answer_b": false, "label": "A"})"
                           "\n"));
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].answer_a, "True");
  EXPECT_EQ(pairs[0].answer_b, "False");
}

TEST_F(RawPairs, ReadsWhatSpreadsheetsWrite) {
  const auto pairs = good(file("s.csv",
                               "\xEF\xBB\xBFId;Question;Answer A;Answer B;Label\r\n"
                               "1;q;x;y;model_a\r\n2;q2;x;y;1\r\n;;;;\r\n"),
                          {.label_meanings = {"1=B"}});
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_TRUE(faults_.empty());
  EXPECT_EQ(pairs[0].id, "1");
  EXPECT_EQ(pairs[0].label, Verdict::a);
  EXPECT_EQ(pairs[1].label, Verdict::b);
  // Names that the user gives are those of the file, or these but for their case.
  const std::string rows = "Frage;Answer A;Answer B;Question\nq;x;y;tie\n";
  const RawOptions options{.field_mappings = {"question=frage", "label=Question"}};
  ASSERT_EQ(good(file("g.csv", rows), options).size(), 1u);
  EXPECT_EQ(good(file("g.csv", rows), options)[0].question, "q");
}

TEST_F(RawPairs, NanIsNoValue) {
  const std::string row = R"({"question": "q", "answer_a": "x", "answer_b": "y", "label": )";
  const auto pairs =
      good(file("n.jsonl", row + "\"A\", \"reference\": NaN}\n" + row + "NaN}\n" + row +
                               "NaN, \"score_a\": Infinity, \"score_b\": 1}\n"));
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].reference, "");
  ASSERT_EQ(faults_.size(), 2u);
  EXPECT_EQ(faults_[0].fault, "no label");
  EXPECT_EQ(faults_[1].detail, "a score is not finite");
}

TEST_F(RawPairs, FormsThatAreNotReadAreNamed) {
  for (const auto& [row, part] : std::vector<std::pair<std::string, std::string>>{
           {R"({"prompt": "q", "response": "x", "helpfulness": 3, "correctness": 4})",
            "HelpSteer2"},
           {R"({"prompt": "q", "completion": "x", "label": true})", "KTO"},
           {R"({"orig_instruction": "q", "orig_response": "x", "orig_score": "5"})", "Prometheus"},
           {R"({"instruction": "q", "output": "x", "generator": "m"})", "AlpacaEval"},
           {R"({"question_id": 81, "model_id": "m", "choices": [{"turns": ["x"]}]})", "MT-bench"},
           {"{\"question\": ", "f.jsonl:1: bad JSON"}}) {
    try {
      good(file("f.jsonl", row + "\n"));
      FAIL() << row;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  }
  EXPECT_THROW(good(file("j.jsonl", R"({"question_body": "Q", "answer1_body": "x"})"),
                    {.label_meanings = {"1=A"}}),
               UsageError);
}

TEST_F(RawPairs, RefusesFilesItCannotUnderstand) {
  EXPECT_THROW(good(dir_ / "none.jsonl"), Error);
  EXPECT_THROW(good(file("e.jsonl", "\n \n")), Error);
  EXPECT_THROW(good(file("e.csv", "")), Error);
  try {
    good(file("u.jsonl", R"({"prompt": "q", "x": 1})"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("prompt, x"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("--field question="), std::string::npos);
  }
  FieldNames names = field_names(plain_pairs());
  EXPECT_THROW(map_field(names, "nonsense=x"), UsageError);
  EXPECT_THROW(map_field(names, "question"), UsageError);
}

}  // namespace
}  // namespace gavel
