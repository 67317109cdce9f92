// Single answers read as rows of their own, where the template judges one answer.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "data/prepare.h"
#include "data/raw_pairs.h"
#include "folder_test.h"

namespace gavel {
namespace {

JudgeForm form_of(const std::string& text) { return parse_form(text, "t", 1); }

std::vector<RawRow> all_of(PairReader& reader) {
  std::vector<RawRow> all;
  for (auto rows = reader.next(100); !rows.empty(); rows = reader.next(100))
    std::move(rows.begin(), rows.end(), std::back_inserter(all));
  return all;
}

class RatedAnswers : public FolderTest {
 protected:
  std::vector<RawRow> read(const std::string& text, const JudgeForm& form,
                           RawOptions options = {}) {
    options.answers = form;
    std::string lines = text;  // a record of several lines here is one there
    for (size_t at = lines.find("\n "); at != std::string::npos; at = lines.find("\n "))
      lines.erase(at, 1);
    PairReader reader(file("rows.jsonl", lines), options);
    return all_of(reader);
  }
};

TEST_F(RatedAnswers, PlainRowsHaveAScoreARubricAndACritique) {
  const auto rows = read(
      R"({"question": "Why?", "answer": "So.", "score": 4, "rubric": "True?", "critique": "Yes.",
          "reference": "Thus.", "model": "m"})"
      "\n"
      R"({"question": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"},
          {"role": "user", "content": "Why?"}], "answer": "So.", "score": "2"})"
      "\n"
      R"({"question": "Why?", "answer": "So.", "score": 6})"
      "\n"
      R"({"question": "Why?", "answer": "So.", "score": 2.5})"
      "\n"
      R"({"question": "Why?", "answer": "So.", "score": true})"
      "\n"
      R"({"question": "Why?", "answer": "So."})"
      "\n"
      R"({"question": "Why?", "answer": "So.", "ratings": [1, 2, null, 2]})"
      "\n"
      R"({"question": "Why?", "answer": "So.", "ratings": [1, 2]})",
      form_of("score 1..5"));
  ASSERT_EQ(rows.size(), 8u);
  const JudgePair& first = *rows[0].pair;
  EXPECT_TRUE(first.single);
  EXPECT_EQ(first.answer_a, "So.");
  EXPECT_EQ(first.scores, (std::vector<std::pair<std::string, double>>{{"score", 4}}));
  EXPECT_EQ(first.rubric, "True?");
  EXPECT_EQ(first.reason, "Yes.");
  EXPECT_EQ(first.reference, "Thus.");
  EXPECT_EQ(first.meta, (std::vector<std::pair<std::string, std::string>>{{"model", "m"}}));
  EXPECT_EQ(rows[1].pair->question, "User: Hi\n\nAssistant: Yo\n\nUser: Why?");
  EXPECT_EQ(rows[1].pair->scores[0].second, 2);
  EXPECT_EQ(rows[2].fault, "off the scale");
  EXPECT_EQ(rows[2].detail, "\"score\" is 6, and the scale is 1 to 5");
  EXPECT_EQ(rows[3].fault, "between the scale's integers");
  EXPECT_EQ(rows[4].fault, "bad label");
  EXPECT_EQ(rows[5].fault, "no label");
  EXPECT_EQ(rows[6].pair->scores[0].second, 2);
  ASSERT_EQ(rows[6].pair->ratings[0].size(), 4u);
  EXPECT_TRUE(std::isnan(rows[6].pair->ratings[0][2]));
  EXPECT_EQ(rows[7].fault, "no majority");
}

TEST_F(RatedAnswers, ThumbsPassOrFail) {
  const JudgeForm form = form_of("pass good bad");
  const auto kto = read(
      R"({"prompt": "Why?", "completion": [{"role": "assistant", "content": "So."}], "label": true})"
      "\n"
      R"({"prompt": "Why?", "completion": "No.", "label": 0})"
      "\n"
      R"({"prompt": "Why?", "completion": "Eh.", "label": 3})",
      form);
  EXPECT_EQ(kto[0].pair->pass, true);
  EXPECT_EQ(kto[0].pair->answer_a, "So.");
  EXPECT_EQ(kto[1].pair->pass, false);
  EXPECT_EQ(kto[2].fault, "bad label");
  const auto plain = read(
      "{\"question\": \"Why?\", \"answer\": \"So.\", \"pass\": \"bad\", \"feedback\": \"Short.\"}\n"
      "{\"question\": \"Why?\", \"answer\": \"So.\", \"feedback\": \"thumbs up\"}",
      form);
  EXPECT_EQ(plain[0].pair->pass, false);
  EXPECT_EQ(plain[0].pair->reason, "Short.");
  EXPECT_EQ(plain[1].pair->pass, true);
  EXPECT_EQ(plain[1].pair->reason, "");
  const auto whole = read(
      R"({"messages": [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"},
          {"role": "user", "content": "C"}, {"role": "assistant", "content": "D"}], "label": false})"
      "\n"
      R"({"messages": [{"role": "user", "content": "A"}], "label": false})",
      form);
  EXPECT_EQ(whole[0].pair->question, "User: A\n\nAssistant: B\n\nUser: C");
  EXPECT_EQ(whole[0].pair->answer_a, "D");
  EXPECT_EQ(whole[1].fault, "no answer");
  // A score of 1 is no pass.
  EXPECT_THROW(
      read(R"({"prompt": "q", "response": "a", "helpfulness": 1, "correctness": 0})", form), Error);
}

TEST_F(RatedAnswers, CriteriaHaveAScoreEach) {
  const JudgeForm form = form_of("criteria\nhelpfulness 0..4\ncorrectness 0..4 weight 2");
  const auto steer = read(
      R"({"prompt": "q", "response": "a", "helpfulness": 1, "correctness": 0, "coherence": 3})",
      form);
  EXPECT_EQ(steer[0].pair->scores,
            (std::vector<std::pair<std::string, double>>{{"helpfulness", 1}, {"correctness", 0}}));
  const auto plain = read(
      R"({"question": "q", "answer": "a", "scores": {"helpfulness": 2, "correctness": 3},
          "ratings": {"helpfulness": [2, 1], "correctness": [3, 3]}})"
      "\n"
      R"({"question": "q", "answer": "a", "scores": {"helpfulness": 2}})",
      form);
  EXPECT_EQ(plain[0].pair->ratings[1], (std::vector<double>{3, 3}));
  EXPECT_EQ(plain[1].detail, "there is no score for correctness");
  RawOptions named;
  named.field_mappings = {"scores.correctness=right"};
  EXPECT_EQ(
      read(R"({"question": "q", "answer": "a", "helpfulness": 2, "right": 4})", form, named)[0]
          .pair->scores[1]
          .second,
      4);
}

TEST_F(RatedAnswers, UltraFeedbackIsARowACompletion) {
  const std::string row =
      R"({"source": "s", "instruction": "q", "completions": [)"
      R"({"model": "m1", "response": "a", "overall_score": 8.0, "critique": "Good.",)"
      R"( "annotations": {"helpfulness": {"Rating": "5"}, "honesty": {"Rating": "N/A"}}},)"
      R"({"model": "m2", "response": "b", "overall_score": 2.5,)"
      R"( "annotations": {"helpfulness": {"Rating": "1"}, "honesty": {"Rating": "2"}}}]})";
  const auto overall = read(row, form_of("score 1..10"));
  ASSERT_EQ(overall.size(), 2u);
  EXPECT_EQ(overall[0].pair->scores[0].second, 8);
  EXPECT_EQ(overall[0].pair->reason, "Good.");
  EXPECT_EQ(overall[0].pair->meta[0].second, "m1");
  EXPECT_EQ(overall[1].detail,
            "\"completions.1.overall_score\" is 2.5, and the judge says an integer from 1 to 10");
  const auto rated = read(row, form_of("criteria\nhelpfulness 1..5\nhonesty 1..5"));
  EXPECT_EQ(rated[0].fault, "no label");
  EXPECT_EQ(rated[1].pair->scores[1].second, 2);
}

TEST_F(RatedAnswers, PrometheusRubricHasItsAnchors) {
  const auto rows = read(
      R"({"orig_instruction": "q", "orig_response": "a", "orig_reference_answer": "r",
          "orig_criteria": "Is it kind?", "orig_score1_description": "no",
          "orig_score5_description": "yes", "orig_score": "4", "orig_feedback": "Nearly."})",
      form_of("score 1..5"));
  EXPECT_EQ(rows[0].pair->rubric, "Is it kind?\n1: no\n5: yes");
  EXPECT_EQ(rows[0].pair->question, "q");
  EXPECT_EQ(rows[0].pair->reason, "Nearly.");
  EXPECT_EQ(rows[0].pair->scores[0].second, 4);
}

TEST_F(RatedAnswers, PairsAreRefused) {
  EXPECT_THROW(read(R"({"question": "q", "answer_a": "a", "answer_b": "b", "label": "A"})",
                    form_of("score 1..5")),
               Error);
  EXPECT_THROW(read(R"({"question": "q", "answer": "a", "thumbs": "up"})",
                    form_of("criteria\ntone 1..5\nfacts 1..5"), {.form = find_form("kto")}),
               Error);
}

TEST_F(RatedAnswers, PrepareWritesRowsThatAreReadAgain) {
  PrepareOptions options;
  options.inputs = {file("raw.jsonl",
                         R"({"question": "q", "answer": "a", "score": 3, "critique": "c"})"
                         "\n"
                         R"({"question": "q", "answer": "a", "score": 3})"
                         "\n"
                         R"({"question": "q", "answer": "a", "score": 3, "rubric": "r"})"
                         "\n"
                         R"({"question": "q", "answer": "a", "score": 0})"
                         "\n"
                         R"({"question": "q", "answer": "a", "score": 1})"
                         "\n"
                         R"({"question": "q", "answer": "b", "ratings": [0, 1, 1]})")};
  options.output = dir_ / "out";
  options.form = FormKind::score;
  options.scale = "0..4";
  options.shares = {1, 0, 0};
  const PrepareReport report = prepare(options, nullptr);
  EXPECT_EQ(report.rows_kept, 3);
  EXPECT_EQ(report.dropped.at("duplicate").count, 1);
  EXPECT_EQ(report.dropped.at("contradicting duplicate").count, 2);
  EXPECT_EQ(report.splits[0].labels, (std::vector<int64_t>{0, 1, 0, 2, 0}));
  EXPECT_DOUBLE_EQ(report.splits[0].sums[0], 7);
  RawOptions raw;
  set_answers(raw, JudgeTemplate::from_file(dir_ / "out/template.txt").form());
  PairReader reader(dir_ / "out/train.jsonl", raw);
  EXPECT_EQ(&reader.form(), &plain_answers());
  const auto rows = all_of(reader);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].pair->reason, "c");
  EXPECT_EQ(rows[1].pair->rubric, "r");
  EXPECT_EQ(rows[2].pair->scores[0].second, 1);
  EXPECT_EQ(rows[2].pair->ratings[0], (std::vector<double>{0, 1, 1}));
  options.swap_augment = true;
  EXPECT_THROW(prepare(options, nullptr), UsageError);
}

// It makes no row, and so must be said.
TEST_F(RatedAnswers, AnEmptyListOfAnswersIsAFault) {
  PrepareOptions options;
  const std::string answers =
      R"({"instruction": "q", "completions": [{"response": "r", "overall_score": 2}]})";
  options.inputs = {file(
      "in.jsonl", answers + "\n" + R"({"instruction": "p", "completions": []})" + "\n" + answers)};
  options.output = dir_ / "out";
  options.form = FormKind::score;
  options.scale = "1..10";
  const PrepareReport report = prepare(options, nullptr);
  EXPECT_EQ(report.rows_read, 3);
  EXPECT_EQ(report.rows_kept, 1);
  ASSERT_EQ(report.dropped.at("wrong type").count, 1);
  EXPECT_NE(report.dropped.at("wrong type").places[0].first.find("in.jsonl:2"), std::string::npos);
}

}  // namespace
}  // namespace gavel
