#include "judge/eval_groups.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "fake_judge.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;
using testing::pair_of;

JudgePair with(std::vector<std::pair<std::string, std::string>> meta, std::string category = "") {
  JudgePair pair = pair_of("q", "good", "bad", Verdict::a);
  pair.meta = std::move(meta);
  pair.category = std::move(category);
  return pair;
}

// "value:pairs value:pairs ..."
std::string text_of(const PairGroups& groups) {
  std::string out;
  for (const PairGroup& g : groups.groups) {
    out += (out.empty() ? "" : " ") + g.value + ":";
    for (const size_t i : g.pairs) out += std::to_string(i);
  }
  return out;
}

TEST(EvalGroups, GroupsByAValueOrByTheModelsOfBothAnswers) {
  const std::vector<JudgePair> pairs = {
      with({{"turn", "10"}, {"model_a", "x"}, {"model_b", "y"}, {"source", "t.jsonl:1"}}, "chat"),
      with({{"turn", "2"}, {"model_a", "y"}, {"model_b", "z"}, {"source", "t.jsonl:12"}}, "code"),
      with({{"turn", "2"}, {"model_a", "y"}, {"model_b", "y"}, {"source", "forum"}}, "code"),
      with({{"source", "a:b"}})};
  EXPECT_EQ(text_of(groups_by(pairs, "turn")), "2:12 10:0 (none):3");
  EXPECT_EQ(text_of(groups_by(pairs, "model")), "y:012 (none):3 x:0 z:1");
  EXPECT_EQ(text_of(groups_by(pairs, "model_a")), "y:12 (none):3 x:0");
  EXPECT_EQ(text_of(groups_by(pairs, "category")), "code:12 (none):3 chat:0");
  // A row's place in its file is no group.
  EXPECT_EQ(text_of(groups_by(pairs, "source")), "t.jsonl:01 a:b:3 forum:2");
}

TEST(EvalGroups, WhatNoPairHasIsRefusedWithWhatThereIs) {
  const std::vector<JudgePair> pairs = {with({{"model_a", "x"}}, "chat")};
  try {
    groups_by(pairs, "turn");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("these pairs have category, model, model_a"),
              std::string::npos)
        << e.what();
  }
  const std::vector<JudgePair> bare = {with({})};
  EXPECT_THROW(groups_by(bare, "model"), Error);
}

TEST(EvalGroups, RareValuesAreOneGroup) {
  std::vector<JudgePair> pairs;
  for (int i = 0; i < 60; ++i) pairs.push_back(with({{"annotator", "p" + std::to_string(i)}}));
  pairs.push_back(with({{"annotator", "p59"}}));
  const PairGroups groups = groups_by(pairs, "annotator");
  ASSERT_EQ(groups.groups.size(), kMostGroups);
  EXPECT_EQ(groups.groups[0].value, "p59");
  EXPECT_EQ(groups.groups.back().value, "(11 other values)");
  EXPECT_EQ(groups.groups.back().pairs.size(), 11u);
}

TEST(EvalGroups, MeasuresEachGroupAsIfItWereAll) {
  std::vector<JudgePair> pairs;
  EvalResult result{{"tuned", {}, {}}, {}, {}, {}, {}, {}, {}};
  for (int i = 0; i < 12; ++i) {
    pairs.push_back(with({{"turn", i < 8 ? "1" : "2"}}));
    Judgement j;
    j.label = i % 2 == 0 ? Verdict::a : Verdict::b;
    j.verdict = i == 0 || i >= 10 ? Verdict::tie : j.label;  // 7 of 8, 2 of 4
    result.set.judgements.push_back(j);
    result.set.wall.push_back(0.1);
  }
  const std::vector<PairGroups> groups = {groups_by(pairs, "turn")};
  const std::vector<EvalResult> results = {result};
  BootstrapOptions options;
  options.resamples = 300;
  const Json json = groups_json(results, groups, options);
  ASSERT_EQ(json[0]["groups"].size(), 2u);
  const Json& first = json[0]["groups"][0]["judges"][0]["metrics"]["agreement"];
  const Json& second = json[0]["groups"][1]["judges"][0]["metrics"]["agreement"];
  EXPECT_DOUBLE_EQ(first["value"].get<double>(), 7.0 / 8);
  EXPECT_DOUBLE_EQ(second["value"].get<double>(), 0.5);
  const std::vector<Judgement> last(result.set.judgements.begin() + 8, result.set.judgements.end());
  const auto alone = bootstrap(last, options)[static_cast<size_t>(Metric::agreement)];
  EXPECT_EQ(second["low"].get<double>(), alone.low);
  EXPECT_EQ(second["high"].get<double>(), alone.high);
  EXPECT_LT(alone.low, 0.5);
  EXPECT_EQ(json[0]["groups"][1]["pairs"], 4);
  EXPECT_EQ(json[0]["groups"][1]["baselines"]["majority"]["value"], 0.5);
  const std::string table = groups_tables({{"groups", json}});
  EXPECT_NE(table.find("turn     judge"), std::string::npos) << table;
  EXPECT_NE(table.find("tuned      4   50.0 [0.0, 100.0]   0.33  "), std::string::npos) << table;
  EXPECT_NE(table.find("always A      4   50.0 ["), std::string::npos) << table;
  EXPECT_EQ(table.find("the longer"), std::string::npos) << table;  // all are as long
  EXPECT_EQ(groups_tables(Json::object()), "");
}

}  // namespace
}  // namespace gavel
