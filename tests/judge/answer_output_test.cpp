// eval.json and the tables of judges of one answer, and the rows that they are given.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "folder_test.h"
#include "judge/eval_groups.h"
#include "judge/eval_parts.h"
#include "judge/pairs.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

JudgePair row_of(int i) {
  JudgePair row;
  row.single = true;
  row.scores = {{"score", i % 5 + 1}};
  row.meta = {{"model", i % 2 == 0 ? "x" : "y"}};
  row.ratings = {{i % 5 + 1.0, i % 7 == 0 ? 1.0 : i % 5 + 1.0, std::nan("")}};
  return row;
}

// Says 3 where i is divisible by `wrong`.
EvalResult judged(const std::string& name, const std::vector<JudgePair>& rows, int wrong) {
  EvalResult result{{name, name == "base" ? "" : "a", {}}, {}, {}, {}};
  for (size_t i = 0; i < rows.size(); ++i) {
    const int label = static_cast<int>(rows[i].scores[0].second);
    Judgement j;
    j.ratings = {{1, 5, label, static_cast<int>(i) % wrong == 0 ? 3 : label, {}}};
    j.tokens = 4;
    j.seconds = 0.5;
    result.set.judgements.push_back(j);
    result.set.wall.push_back(0.25);
  }
  return result;
}

TEST(AnswerOutput, AnEvaluationHasMeasuresTablesAndGroups) {
  std::vector<JudgePair> rows;
  for (int i = 0; i < 30; ++i) rows.push_back(row_of(i));
  EvalRequest request;
  request.form = parse_form("score 1..5", "t", 1);
  request.bootstrap.resamples = 50;
  const std::vector<EvalResult> results = {judged("base", rows, 1), judged("tuned", rows, 6)};
  Json evaluation = evaluation_json(results, request);
  EXPECT_EQ(evaluation["form"], "score");
  EXPECT_EQ(evaluation["parts"], Json({"score"}));
  const Json& tuned = evaluation["judges"][1];
  EXPECT_NEAR(tuned["metrics"]["agreement"]["value"].get<double>(), 26.0 / 30, 1e-12);
  EXPECT_EQ(tuned["confusion"]["counts"][0], Json({5, 0, 1, 0, 0, 0}));
  EXPECT_NEAR(tuned["speed"]["answers_per_second"]["value"].get<double>(), 4, 1e-9);
  EXPECT_EQ(evaluation["comparisons"][0]["only_second"], 20);
  const std::vector<PairGroups> groups = {groups_by(rows, "model")};
  evaluation["groups"] = groups_json(results, groups, request.bootstrap, request.form);
  EXPECT_EQ(evaluation["groups"][0]["groups"][0]["pairs"], 15);
  evaluation["people"] = raters_json(rows, request.form, request.bootstrap);
  EXPECT_EQ(evaluation["people"]["answers"], 30);
  EXPECT_GT(evaluation["people"]["alpha"]["score"]["value"].get<double>(), 0.5);
  const std::string table = evaluation_table(evaluation) + groups_tables(evaluation);
  for (const char* wanted :
       {"30 answers, form score", "weighted kappa", "86.7 [", "points of agreement",
        "Krippendorff's alpha", "weighted_kappa", "people \\ judge"})
    EXPECT_NE(table.find(wanted), std::string::npos) << wanted << "\n" << table;
}

using AnswerRows = FolderTest;

TEST_F(AnswerRows, AreReadAsTheTemplateHasThem) {
  const JudgeForm form = parse_form("score 1..5", "t", 1);
  const auto good = file("good.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"score\": 2}\n");
  const auto rows = read_pairs(good, true, form);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].scores[0].second, 2);
  auto other = rows;
  other[0].scores[0].second = 3;
  EXPECT_NE(pairs_fingerprint(rows), pairs_fingerprint(other));
  const auto off = file("off.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"score\": 9}\n");
  EXPECT_THROW(read_pairs(off, true, form), Error);
  EXPECT_TRUE(read_pairs(off, false, form)[0].scores.empty());  // to be judged only
  EXPECT_THROW(read_pairs(good, true), Error);                  // a template of pairs
}

}  // namespace
}  // namespace gavel
