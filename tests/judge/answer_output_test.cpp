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

std::vector<JudgePair> thirty_rows() {
  std::vector<JudgePair> rows;
  for (int i = 0; i < 30; ++i) rows.push_back(row_of(i));
  return rows;
}

EvalRequest score_request() {
  EvalRequest request;
  request.form = parse_form("score 1..5", "t", 1);
  request.bootstrap.resamples = 50;
  return request;
}

TEST(AnswerOutput, AnEvaluationHasMeasuresTablesAndGroups) {
  const auto rows = thirty_rows();
  const EvalRequest request = score_request();
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
  EXPECT_NEAR(evaluation["people"]["pairwise"]["score"]["value"].get<double>(), 26.0 / 30, 1e-12);
  EXPECT_NEAR(evaluation["people"]["distance"]["score"]["value"].get<double>(), 10.0 / 30, 1e-12);
  EXPECT_EQ(evaluation["baselines"]["label"], "1");
  EXPECT_NEAR(evaluation["baselines"]["majority"]["value"].get<double>(), 6.0 / 30, 1e-12);
  EXPECT_LT(evaluation["baselines"]["majority"]["low"].get<double>(), 0.2);
  add_trust_tables(evaluation);
  const std::string table =
      evaluation_table(evaluation) + tables_text(evaluation) + groups_tables(evaluation);
  for (const char* wanted :
       {"30 answers, form score", "weighted kappa", "86.7 [", "points of agreement",
        "Krippendorff's alpha", "weighted_kappa", "people \\ judge", "two of them agree",
        "always 1, the most frequent label"})
    EXPECT_NE(table.find(wanted), std::string::npos) << wanted << "\n" << table;
}

TEST(AnswerOutput, ACalibrationAndProbesAreReported) {
  const auto rows = thirty_rows();
  const EvalRequest request = score_request();
  std::vector<EvalResult> results = {judged("tuned", rows, 3)};
  for (Judgement& j : results[0].set.judgements) {
    Rating& r = j.ratings[0];
    r.probabilities.assign(5, 0.01);
    r.probabilities[static_cast<size_t>(*r.value - 1)] = 0.96;
  }
  std::vector<std::string> questions;
  for (int i = 0; i < 30; ++i) questions.push_back("q" + std::to_string(i));
  const auto& judgements = results[0].set.judgements;
  results[0].trials = calibration_trials(judgements, questions, 1);
  results[0].calibration =
      fit_calibration(judgements, results[0].trials, CalibrationMethod::temperature, 0.4, 0.9);
  results[0].probes.push_back(measure_answer_probe(probes()[0], rated_parts(request.form),
                                                   judgements, judgements, request.bootstrap));
  Json evaluation = evaluation_json(results, request);
  add_trust_tables(evaluation);
  const Json& judge = evaluation["judges"][0];
  EXPECT_LT(judge["metrics"]["ece_calibrated"]["value"].get<double>(),
            judge["metrics"]["ece"]["value"].get<double>());
  EXPECT_GT(judge["temperature"].get<double>(), 1);
  for (const char* bins : {"reliability", "reliability_scaled"}) {
    int counted = 0;
    for (const Json& bin : judge.at(bins)) counted += bin["count"].get<int>();
    EXPECT_EQ(counted, 30) << bins;
  }
  EXPECT_EQ(judge["calibrations"].size(), 4u);
  EXPECT_EQ(judge["coverage"].back()["coverage"], 1.0);
  EXPECT_TRUE(judge.contains("sure"));
  EXPECT_EQ(judge["probes"][0]["answers"], 30);
  EXPECT_EQ(judge["probes"][0]["raised"], 0);
  const std::string table = evaluation_table(evaluation) + tables_text(evaluation);
  for (const char* wanted :
       {" -> ", "says itself twice", "dressed up", "sure enough", "surest 10%"})
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
