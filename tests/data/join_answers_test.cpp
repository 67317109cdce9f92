// Single answers, of one file or of several, made pairs. In labelled ones the better answer begins
// with "good".
#include "data/join_answers.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "data/jsonl.h"
#include "data/raw_pairs.h"
#include "folder_test.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

class JoinAnswers : public FolderTest {
 protected:
  std::vector<JudgePair> join(const std::vector<fs::path>& files, const RawOptions& options = {}) {
    EXPECT_TRUE(hold_single_answers(files, options));
    report_ = join_answers(files, options, dir_ / "out.jsonl");
    EXPECT_FALSE(fs::exists(dir_ / "out.jsonl.answers"));
    std::vector<JudgePair> pairs;
    PairReader reader(dir_ / "out.jsonl", {.labels = RawOptions::Labels::optional});
    EXPECT_STREQ(reader.form().name, "pairs");
    for (auto rows = reader.next(100); !rows.empty(); rows = reader.next(100))
      for (RawRow& row : rows) {
        EXPECT_TRUE(row.pair) << row.detail;
        if (row.pair) pairs.push_back(std::move(*row.pair));
      }
    return pairs;
  }

  static std::string meta(const JudgePair& pair, const std::string& name) {
    for (const auto& [key, value] : pair.meta)
      if (key == name) return value;
    return "";
  }

  // Whether the good answer won, of all pairs that are no tie.
  static void expect_good(const std::vector<JudgePair>& pairs) {
    for (const JudgePair& pair : pairs) {
      ASSERT_TRUE(pair.label);
      if (pair.label == Verdict::tie) continue;
      EXPECT_TRUE((pair.label == Verdict::a ? pair.answer_a : pair.answer_b).starts_with("good"));
    }
  }

  JoinReport report_;
};

TEST_F(JoinAnswers, AlpacaEvalOneFileAModel) {
  const auto one = file("gpt.json", R"([
    {"dataset": "d", "instruction": "q1", "output": "x1", "generator": "gpt"},
    {"dataset": "d", "instruction": "q2", "output": "x2", "generator": "gpt"},
    {"dataset": "d", "instruction": "q3", "output": "x3", "generator": "gpt"}])");
  const auto two = file("llama.json", R"([
    {"dataset": "d", "instruction": "q2", "output": "y2", "generator": "llama"},
    {"dataset": "d", "instruction": "q1", "output": "y1", "generator": "llama"}])");
  const auto pairs = join({one, two});
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].question, "q1");
  EXPECT_EQ(pairs[0].answer_a, "x1");  // the first file's
  EXPECT_EQ(pairs[0].answer_b, "y1");
  EXPECT_FALSE(pairs[0].label);
  EXPECT_EQ(pairs[0].category, "d");
  EXPECT_EQ(meta(pairs[1], "model_a"), "gpt");
  EXPECT_EQ(meta(pairs[1], "model_b"), "llama");
  EXPECT_EQ(meta(pairs[0], "source_b"), file_line(two, 3));
  EXPECT_EQ(report_.alone, 1);
  EXPECT_FALSE(report_.labelled);
  try {
    join({one});
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("no two of the 3 answers are to the same question"),
              std::string::npos);
  }
  EXPECT_THROW(PairReader(one, {}), Error);
}

TEST_F(JoinAnswers, MtBenchHasItsQuestionsInAFileOfTheirOwn) {
  const std::string choices = R"("choices": [{"index": 0, "turns": [")";
  const auto a = file(
      "a.jsonl", R"({"question_id": 81, "model_id": "m1", )" + choices + R"(x1", "x2"]}]})" + "\n");
  const auto b = file(
      "b.jsonl", R"({"question_id": 81, "model_id": "m2", )" + choices + R"(y1", "y2"]}]})" + "\n");
  const auto questions = file(
      "question.jsonl", R"({"question_id": 81, "category": "writing", "turns": ["q1", "q2"]})");
  const auto pairs = join({questions, a, b});
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].question, "q1");
  EXPECT_EQ(pairs[0].answer_a, "Assistant: x1\n\nUser: q2\n\nAssistant: x2");
  EXPECT_EQ(pairs[0].answer_b, "Assistant: y1\n\nUser: q2\n\nAssistant: y2");
  EXPECT_EQ(pairs[0].category, "writing");
  EXPECT_EQ(pairs[0].id, "81");
  EXPECT_EQ(meta(pairs[0], "model_b"), "m2");
  try {
    join({a, b});
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("give the file of questions too"), std::string::npos);
  }
  // A benchmark's questions can be kept out of training.
  std::vector<std::string> texts;
  for_each_question(questions, {}, [&](const std::string& text) { texts.push_back(text); });
  EXPECT_EQ(texts, (std::vector<std::string>{"User: q1\n\nUser: q2", "q1"}));
}

TEST_F(JoinAnswers, ScoresSayWhoWon) {
  const auto row = [](const std::string& answer, int score) {
    return R"({"prompt": "q", "response": ")" + answer + R"(", "helpfulness": )" +
           std::to_string(score) + R"(, "correctness": 4, "coherence": 4, "complexity": 1, )" +
           R"("verbosity": 2})" + "\n";
  };
  const auto path = file("h.jsonl", row("bad", 1) + row("good", 4) + row("also good", 4));
  auto pairs = join({path});
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[0].label, Verdict::tie);  // the best ones first
  EXPECT_TRUE(report_.labelled);
  pairs = join({path}, {.neighbours_only = true});
  EXPECT_EQ(pairs.size(), 2u);
  // Exchanged together with the answers.
  for (const JudgePair& pair : pairs) {
    EXPECT_EQ(meta(pair, pair.answer_a == "bad" ? "helpfulness_a" : "helpfulness_b") == "1",
              pair.answer_a == "bad" || pair.answer_b == "bad");
  }
  // Another criterion.
  pairs = join({path}, {.field_mappings = {"score=verbosity"}});
  for (const JudgePair& pair : pairs) EXPECT_EQ(pair.label, Verdict::tie);
}

TEST_F(JoinAnswers, RubricsAndThumbs) {
  const auto rubric = [](const std::string& answer, const std::string& criteria, int score) {
    return R"({"orig_instruction": "q", "orig_response": ")" + answer + R"(", "orig_criteria": ")" +
           criteria + R"(", "orig_reference_answer": "r", "orig_score": ")" +
           std::to_string(score) + R"(", "orig_feedback": "f"})" + "\n";
  };
  auto pairs = join({file("p.jsonl", rubric("good", "Right?", 5) + rubric("bad", "Right?", 2) +
                                         rubric("good", "Polite?", 1))});
  ASSERT_EQ(pairs.size(), 1u);  // another rubric is another question
  expect_good(pairs);
  EXPECT_EQ(pairs[0].question, "q\n\nCriterion: Right?");
  EXPECT_EQ(pairs[0].reference, "r");

  const auto summary = [](const std::string& text, int overall) {
    return R"({"info": {"id": "i", "post": "q", "subreddit": "s"}, "summary": {"text": ")" + text +
           R"(", "policy": "p", "axes": {"overall": )" + std::to_string(overall) +
           R"(, "coverage": 3}}, "worker": "w"})" + "\n";
  };
  pairs = join({file("a.jsonl", summary("bad", 3) + summary("good", 6))});
  ASSERT_EQ(pairs.size(), 1u);
  expect_good(pairs);
  EXPECT_EQ(pairs[0].category, "s");
  EXPECT_EQ(meta(pairs[0], pairs[0].answer_a == "good" ? "overall_a" : "overall_b"), "6");

  const std::string kto = R"({"prompt": [{"role": "user", "content": "q"}], "completion": )"
                          R"([{"role": "assistant", "content": ")";
  pairs = join({file(
      "k.jsonl", kto + R"(bad"}], "label": false})" + "\n" + kto + R"(good"}], "label": true})")});
  ASSERT_EQ(pairs.size(), 1u);
  expect_good(pairs);

  pairs = join(
      {file("t.csv", "prompt,response,thumbs\nq,bad,down\nq,good,up\nq,good too,thumbs_up\n")});
  EXPECT_EQ(pairs.size(), 3u);
  expect_good(pairs);

  pairs = join({file("n.jsonl", R"({"prompt": "q", "response": "x", "score": 1})"
                                "\n"
                                R"({"prompt": "q", "response": "y"})"
                                "\n"
                                R"({"prompt": "p", "response": "bad", "score": 1})"
                                "\n"
                                R"({"prompt": "p", "response": "good", "score": 2})"
                                "\n")});
  EXPECT_EQ(pairs.size(), 1u);
  EXPECT_EQ(report_.faults.at("no label").count, 1);
}

TEST_F(JoinAnswers, PairsAreNotMixedWithThem) {
  const auto pairs = file("p.jsonl", R"({"question": "q", "answer_a": "x", "answer_b": "y"})");
  const auto single = file("s.jsonl", R"({"question": "q", "answer": "x"})");
  EXPECT_FALSE(hold_single_answers({pairs}, {}));
  EXPECT_THROW(hold_single_answers({pairs, single}, {}), Error);
  const auto bad = file("b.jsonl",
                        "{\"question\": \"q\", \"answer\": \"x\"}\n{oops\n"
                        "{\"question\": \"q\", \"answer\": [7]}\n"
                        "{\"question\": \"q\", \"answer\": \"y\"}\n");
  const auto joined = join({bad});
  EXPECT_EQ(joined.size(), 1u);
  EXPECT_EQ(report_.faults.at("bad JSON").places[0].first, file_line(bad, 2));
  EXPECT_EQ(report_.faults.at("wrong type").count, 2);
}

}  // namespace
}  // namespace gavel
