// Pairs to be judged, in the forms in which others publish them.
#include "judge/pairs.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "folder_test.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

class JudgePairs : public FolderTest {};

TEST_F(JudgePairs, PublishedFormsAreReadAsPrepareReadsThem) {
  const auto bench =
      read_pairs(file("judgebench.jsonl",
                      R"({"pair_id": "7", "source": "mmlu", "question": "q", "response_A": "x", )"
                      R"("response_B": "y", "label": "B>A"})"),
                 true);
  ASSERT_EQ(bench.size(), 1u);
  EXPECT_EQ(bench[0].answer_b, "y");
  EXPECT_EQ(bench[0].label, Verdict::b);
  EXPECT_EQ(bench[0].category, "mmlu");
  // Rows without a winner are left out, others that are at fault are not.
  const std::string row = R"({"instruction": "q", "response1": "x", "response2": "y", )";
  const std::string votes = row + R"("annotator1": 1, "annotator2": 2, "annotator3": 0})" + "\n" +
                            row + R"("annotator1": 2, "annotator2": 2, "annotator3": 0})" + "\n";
  EXPECT_EQ(read_pairs(file("pandalm.jsonl", votes), true).size(), 1u);
  EXPECT_THROW(read_pairs(file("pandalm.jsonl", votes + "{oops\n"), true), Error);
  // Without labels, all that has two answers.
  EXPECT_EQ(read_pairs(file("pandalm.jsonl", votes), false).size(), 2u);
}

TEST_F(JudgePairs, WhatPrepareKeptOfARowIsKept) {
  const auto pairs = read_pairs(
      file("test.jsonl", R"({"messages": [], "question": "q", "answer_a": "x", "answer_b": "y", )"
                         R"("label": "A", "meta": {"model_a": "m1", "turn": "2"}})"),
      true);
  EXPECT_EQ(pairs[0].meta,
            (std::vector<std::pair<std::string, std::string>>{{"model_a", "m1"}, {"turn", "2"}}));
}

TEST_F(JudgePairs, AStreamOutlivesItsFirstRecords) {
  const auto path = file("pipe",
                         "{oops\n{\"question\": \"q\"}\n"
                         "{\"prompt\": \"q\", \"response_1\": \"x\", \"response_2\": \"y\", "
                         "\"preference_strength\": -1}\n");
  const int before = ::dup(STDIN_FILENO);
  ASSERT_NE(std::freopen(path.c_str(), "r", stdin), nullptr);
  PairFile pairs(TextSource::standard_input(), false);
  std::vector<std::string> problems;
  std::vector<JudgePair> read;
  for (auto items = pairs.next(1); !items.empty(); items = pairs.next(1))
    for (const PairOrProblem& item : items) {
      if (item.pair)
        read.push_back(*item.pair);
      else
        problems.push_back(item.problem);
    }
  ::dup2(before, STDIN_FILENO);
  ::close(before);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_NE(problems[0].find("standard input:1: bad JSON"), std::string::npos) << problems[0];
  EXPECT_NE(problems[1].find("there is no \"answer_a\""), std::string::npos) << problems[1];
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].answer_a, "x");
}

TEST_F(JudgePairs, TheirRubricStandsAfterTheQuestion) {
  const auto pairs = read_pairs(
      file("pairs.jsonl", R"({"question": "q", "answer_a": "x", "answer_b": "y", "label": "A", )"
                          R"("rubric": "Is it kind?"})"),
      true);
  EXPECT_EQ(pairs[0].question, "q\n\nCriterion: Is it kind?");
  EXPECT_EQ(pairs[0].rubric, "");
}

TEST_F(JudgePairs, WhatTheTemplateDoesNotReadIsSaid) {
  std::vector<JudgePair> rows(3);
  rows[1].reference = "r";
  EXPECT_EQ(unread_fields(JudgeTemplate::standard(), rows), "");
  EXPECT_EQ(unread_fields(JudgeTemplate::standard(FormKind::score), rows), "");
  const auto bare = JudgeTemplate::parse("[form]\nscore 1..5\n[user]\n{question} {answer}\n", "t");
  EXPECT_EQ(unread_fields(bare, rows),
            "1 of 3 rows have a reference, which the template does not use ({reference})");
  rows[0].rubric = rows[1].rubric = "s";
  EXPECT_NE(unread_fields(bare, rows).find("; 2 of 3 rows have a rubric"), std::string::npos);
  rows[1].reference.clear();
  EXPECT_EQ(unread_fields(JudgeTemplate::standard(FormKind::pass), rows), "");
}

}  // namespace
}  // namespace gavel
