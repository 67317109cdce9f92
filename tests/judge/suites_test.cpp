#include "judge/suites.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "judge/evaluate.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class Suites : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("gavel_suites_" + std::to_string(::getpid())) /
                 ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_.parent_path()); }

  fs::path write(const fs::path& name, const std::vector<Json>& rows) {
    fs::create_directories((directory_ / name).parent_path());
    std::ofstream out(directory_ / name);
    for (const Json& row : rows) out << row.dump() << "\n";
    return directory_ / name;
  }

  SuiteData read(const std::string& suite, const fs::path& file, int64_t limit = 0) {
    const SuiteRequest request{&find_suite(suite), {file}};
    return read_suites(std::span(&request, 1), limit);
  }

  // The parts by name, of judgements in the order of the pairs.
  static std::map<std::string, double> scores(const SuiteData& data,
                                              const std::vector<Judgement>& judgements) {
    std::vector<SuiteRow> rows;
    for (const auto& places : data.suites.at(0).rows) {
      SuiteRow& row = rows.emplace_back();
      for (const size_t i : places) row.push_back({&data.pairs[i], &judgements[i]});
    }
    std::vector<const SuiteRow*> all;
    for (const SuiteRow& row : rows) all.push_back(&row);
    std::map<std::string, double> out;
    for (const auto& [part, value] : data.suites[0].suite->score(all)) out[part] = value;
    return out;
  }

  // Right, wrong, or a tie, in each order.
  static Judgement judged(const JudgePair& pair, char first, char second) {
    const auto verdict = [&](char c) {
      return c == 'r'   ? *pair.label
             : c == 'w' ? swapped(*pair.label)
             : c == 't' ? Verdict::tie
                        : Verdict::none;
    };
    Judgement j;
    j.label = *pair.label;
    j.verdict = j.first_order = verdict(first);
    if (second != ' ') j.second_order = verdict(second);
    return j;
  }
  static std::vector<Judgement> judged(const SuiteData& data, const std::string& orders) {
    std::vector<Judgement> out;
    for (size_t i = 0; i < data.pairs.size(); ++i)
      out.push_back(judged(data.pairs[i], orders.at(2 * i), orders.at(2 * i + 1)));
    return out;
  }

  fs::path directory_;
};

Json reward_row(const std::string& subset, int id) {
  return {{"id", id},
          {"prompt", "q" + std::to_string(id)},
          {"chosen", "good " + std::to_string(id)},
          {"chosen_model", "x"},
          {"rejected", "bad " + std::to_string(id)},
          {"rejected_model", "y"},
          {"subset", subset}};
}

TEST_F(Suites, RewardBenchWeighsItsSubsets) {
  const auto data =
      read("rewardbench",
           write("rb.jsonl", {reward_row("alpacaeval-easy", 1), reward_row("mt-bench-easy", 2),
                              reward_row("math-prm", 3), reward_row("math-prm", 4),
                              reward_row("hep-cpp", 5), reward_row("donotanswer", 6)}));
  auto s = scores(data, judged(data, "r w r w r t "));
  EXPECT_DOUBLE_EQ(s["Chat"], 100.0 / 128);
  EXPECT_DOUBLE_EQ(s["Reasoning"], (984 * 0.5 + 164) / 1148);
  EXPECT_DOUBLE_EQ(s["Safety"], 0.5);  // a tie is half
  EXPECT_TRUE(std::isnan(s["Chat Hard"]));
  EXPECT_DOUBLE_EQ(s["overall"], (s["Chat"] + s["Reasoning"] + s["Safety"]) / 3);
}

// Right answers by subset of a reward model in RewardBench's README, and what its
// calculate_scores_per_section makes of them.
TEST_F(Suites, RewardBenchGivesThePublishedSections) {
  struct Part {
    const char* subset;
    int right, of;
  };
  constexpr Part kParts[] = {{"alpacaeval-easy", 50, 100},
                             {"alpacaeval-hard", 67, 95},
                             {"alpacaeval-length", 56, 95},
                             {"mt-bench-easy", 16, 28},
                             {"mt-bench-med", 29, 40},
                             {"mt-bench-hard", 20, 37},
                             {"llmbar-natural", 52, 100},
                             {"llmbar-adver-neighbor", 58, 134},
                             {"llmbar-adver-GPTInst", 36, 92},
                             {"llmbar-adver-GPTOut", 22, 47},
                             {"llmbar-adver-manual", 17, 46},
                             {"refusals-dangerous", 97, 100},
                             {"refusals-offensive", 100, 100},
                             {"xstest-should-refuse", 154, 154},
                             {"xstest-should-respond", 71, 250},
                             {"donotanswer", 112, 136},
                             {"math-prm", 132, 447},
                             {"hep-cpp", 103, 164},
                             {"hep-go", 104, 164},
                             {"hep-java", 116, 164},
                             {"hep-js", 109, 164},
                             {"hep-python", 90, 164},
                             {"hep-rust", 106, 164}};
  SuiteData data;
  data.suites.push_back({&find_suite("rewardbench"), {}});
  std::string orders;
  for (const Part& part : kParts)
    for (int i = 0; i < part.of; ++i) {
      data.suites[0].rows.push_back({data.pairs.size()});
      JudgePair& pair = data.pairs.emplace_back();
      pair.label = Verdict::a;
      pair.category = part.subset;
      orders += i < part.right ? "r " : "w ";
    }
  auto s = scores(data, judged(data, orders));
  EXPECT_NEAR(s["Chat"], 0.6089385474860335, 1e-12);
  EXPECT_NEAR(s["Chat Hard"], 0.44956140350877194, 1e-12);
  EXPECT_NEAR(s["Safety"], 0.7216216216216216, 1e-12);
  EXPECT_NEAR(s["Reasoning"], 0.46675669776831996, 1e-12);
}

TEST_F(Suites, RewardBench2AsksForTheBestOfFour) {
  const auto row = [](const std::string& subset, int id) -> Json {
    return {{"id", std::to_string(id)},
            {"prompt", "q" + std::to_string(id)},
            {"chosen", {"good"}},
            {"rejected", {"bad", "worse", "worst"}},
            {"subset", subset}};
  };
  const auto data =
      read("rewardbench2",
           write("rb2.jsonl", {row("Math", 1), row("Math", 2), row("Focus", 3), row("Ties", 4)}));
  ASSERT_EQ(data.suites[0].rows.size(), 4u);
  ASSERT_EQ(data.pairs.size(), 12u);
  auto s = scores(data, judged(data, "r r r r r t r r r w w w "));
  EXPECT_DOUBLE_EQ(s["Math"], 0.5);
  EXPECT_DOUBLE_EQ(s["Focus"], 1);
  EXPECT_DOUBLE_EQ(s["overall without Ties"], 0.75);
}

// What its authors' process_single_model gives for these scores.
TEST_F(Suites, RewardBench2ScoresTiesLikeItsAuthors) {
  const auto row = [](const std::string& id, int right) -> Json {
    Json chosen = Json::array();
    for (int i = 0; i < right; ++i) chosen.push_back("right " + std::to_string(i));
    return {{"id", id},
            {"prompt", "q " + id},
            {"chosen", chosen},
            {"rejected", {"wrong 0", "wrong 1"}},
            {"subset", "Ties"}};
  };
  const auto data =
      read("rewardbench2", write("ties.jsonl", {row("ref:0", 1), row("tied:0", 2), row("ref:1", 1),
                                                row("tied:1", 3), row("tied:2", 2)}));
  const std::vector<std::vector<double>> scores_of = {
      {3, 1, 0}, {2.5, 2, 1, -1}, {0.5, 1, 0}, {2, 4, 3, 1.5, 0}, {1, 2, 0, -1}};
  auto judgements = judged(data, std::string(2 * data.pairs.size(), 'r'));
  for (size_t r = 0; r < data.suites[0].rows.size(); ++r)
    for (const size_t i : data.suites[0].rows[r]) {
      const JudgePair& pair = data.pairs[i];
      const auto of = [&](const std::string& answer) {
        const size_t place = answer.back() - '0';
        const size_t right = scores_of[r].size() - 2;
        return scores_of[r][answer.starts_with("right") ? place : right + place];
      };
      judgements[i].scores = {of(pair.answer_a), of(pair.answer_b)};
    }
  auto s = scores(data, judgements);
  EXPECT_NEAR(s["Ties"], 0.6495665525799912, 1e-12);
  EXPECT_NEAR(s["overall"], s["Ties"], 1e-12);
  judgements[3].scores.reset();
  EXPECT_EQ(scores(data, judgements).count("Ties"), 0u);
}

// The matrix of RM-Bench's README for scores 1, 2, 3 of the better and 0, 2.5, 2.8 of the worse.
TEST_F(Suites, RmBenchHasThreeLevels) {
  const auto row = [](const std::string& domain, int id) -> Json {
    return {{"id", id},
            {"prompt", "q" + std::to_string(id)},
            {"chosen", {"c0", "c1", "c2"}},
            {"rejected", {"r0", "r1", "r2"}},
            {"domain", domain}};
  };
  const auto data =
      read("rm-bench",
           write("rm.jsonl", {row("chat", 1), row("safety-refuse", 2), row("safety-response", 3)}));
  ASSERT_EQ(data.pairs.size(), 27u);
  const double chosen[] = {1, 2, 3}, rejected[] = {0, 2.5, 2.8};
  std::vector<Judgement> judgements;
  for (const JudgePair& pair : data.pairs) {
    const bool a = pair.label == Verdict::a;
    const std::string& better = a ? pair.answer_a : pair.answer_b;
    const std::string& worse = a ? pair.answer_b : pair.answer_a;
    const bool wins = chosen[better[1] - '0'] > rejected[worse[1] - '0'];
    const bool always = pair.category == "safety-response";
    judgements.push_back(judged(pair, wins || always ? 'r' : 'w', ' '));
  }
  auto s = scores(data, judgements);
  EXPECT_DOUBLE_EQ(s["chat"], 5.0 / 9);
  EXPECT_DOUBLE_EQ(s["safety"], (5.0 / 9 + 1) / 2);
  EXPECT_DOUBLE_EQ(s["easy"], 1);
  EXPECT_DOUBLE_EQ(s["normal"], (2.0 / 3 + (2.0 / 3 + 1) / 2) / 2);
  EXPECT_DOUBLE_EQ(s["hard"], (0 + (0 + 1.0) / 2) / 2);
  EXPECT_DOUBLE_EQ(s["average"], (s["chat"] + s["safety"]) / 2);
  EXPECT_NEAR(s["average"], (s["easy"] + s["normal"] + s["hard"]) / 3, 1e-12);
}

// The domain's files have no field of it; of safety, both kinds' rows count alike.
TEST_F(Suites, RmBenchIsReadByDomainToo) {
  const auto row = [](int id) -> Json {
    return {{"id", id},
            {"prompt", "q" + std::to_string(id)},
            {"subset", "some"},
            {"chosen", {"c0", "c1", "c2"}},
            {"rejected", {"r0", "r1", "r2"}}};
  };
  const auto refuse = write("safety-refuse_filtered.json", {row(1), row(2), row(3)});
  const auto respond = write("safety-response_filtered.json", {row(4)});
  const SuiteRequest request{&find_suite("rm-bench"), {refuse, respond}};
  const auto data = read_suites(std::span(&request, 1), 0);
  ASSERT_EQ(data.pairs.size(), 36u);
  std::string orders;
  for (int i = 0; i < 36; ++i) orders += i < 27 ? "r " : "w ";
  auto s = scores(data, judged(data, orders));
  EXPECT_DOUBLE_EQ(s["safety"], 0.75);
  EXPECT_DOUBLE_EQ(s["hard"], 0.75);
  EXPECT_TRUE(std::isnan(s["chat"]));
}

TEST_F(Suites, JudgeBenchCountsBothOrders) {
  std::vector<Json> rows;
  for (const char* source : {"mmlu-pro-law", "mmlu-pro-math", "livebench-math", "livecodebench"})
    rows.push_back({{"pair_id", source},
                    {"source", source},
                    {"question", source},
                    {"response_model", "gpt-4o"},
                    {"response_A", "x"},
                    {"response_B", "y"},
                    {"label", "B>A"}});
  const auto data = read("judgebench", write("jb.jsonl", rows));
  auto s = scores(data, judged(data, "rrrwrttt"));
  EXPECT_DOUBLE_EQ(s["knowledge"], 0.5);  // contradicting orders are wrong
  EXPECT_DOUBLE_EQ(s["math"], 1);         // right in one order, a tie in the other
  EXPECT_DOUBLE_EQ(s["coding"], 0);
  EXPECT_DOUBLE_EQ(s["overall"], 0.5);
  EXPECT_DOUBLE_EQ(s["same in both orders"], 0.5);
}

TEST_F(Suites, JudgeBenchHasAPairOfTheSameAnswer) {
  const auto row = [](const char* id, const char* b) -> Json {
    return {{"pair_id", id},         {"source", "livecodebench"}, {"question", id},
            {"response_model", "m"}, {"response_A", "x"},         {"response_B", b},
            {"label", "B>A"}};
  };
  const auto data = read("judgebench", write("jb.jsonl", {row("one", "y"), row("two", "x")}));
  ASSERT_EQ(data.pairs.size(), 2u);
  EXPECT_EQ(data.pairs[1].label, Verdict::b);
}

// GPT-4 (Vanilla) on LLMBar's Natural set, by its statistics.json: 95 right in the given order, 96
// exchanged, 93 in both, 95 the same: 95.5% in the mean.
TEST_F(Suites, LlmBarGivesThePublishedFigure) {
  const auto row = [](int i) -> Json {
    return {{"input", "q" + std::to_string(i)},
            {"output_1", "x"},
            {"output_2", "y"},
            {"label", 1 + i % 2}};
  };
  std::vector<Json> natural;
  for (int i = 0; i < 100; ++i) natural.push_back(row(i));
  write("LLMBar/Natural/dataset.json", natural);
  write("LLMBar/Adversarial/Manual/dataset.json", {row(1), row(2)});
  const auto data = read("llmbar", directory_ / "LLMBar");
  ASSERT_EQ(data.pairs.size(), 102u);
  std::string orders = "rwww";  // Adversarial comes first
  for (int i = 0; i < 100; ++i) orders += i < 93 ? "rr" : i < 95 ? "rw" : i < 98 ? "wr" : "ww";
  auto s = scores(data, judged(data, orders));
  EXPECT_DOUBLE_EQ(s["Natural"], 0.955);
  EXPECT_DOUBLE_EQ(s["Manual"], 0.25);
  EXPECT_DOUBLE_EQ(s["Adversarial, mean"], 0.25);
  EXPECT_DOUBLE_EQ(s["same in both orders"], 96.0 / 102);
}

TEST_F(Suites, AutoJAgreesWhereBothOrdersDo) {
  std::vector<Json> rows;
  for (int i = 0; i < 4; ++i)
    rows.push_back({{"prompt", "q" + std::to_string(i)},
                    {"response 1", "x"},
                    {"response 2", "y"},
                    {"label", i % 2},
                    {"scenario", "chitchat"}});
  const auto data = read("auto-j", write("aj.jsonl", rows));
  auto s = scores(data, judged(data, "rrrwwwtt"));
  EXPECT_DOUBLE_EQ(s["agreement"], 0.25);
  EXPECT_DOUBLE_EQ(s["consistency"], 0.75);
  EXPECT_DOUBLE_EQ(scores(data, judged(data, "r r w t "))["agreement"], 0.5);
}

TEST_F(Suites, MtBenchCountsVotesWithAndWithoutTies) {
  const auto row = [](int id, const std::string& winner, int turn,
                      const std::string& who = "expert_1") -> Json {
    const auto talk = [&](const std::string& answer) {
      Json turns = Json::array();
      for (int t = 0; t < turn; ++t) {
        turns.push_back({{"role", "user"}, {"content", "q" + std::to_string(id)}});
        turns.push_back({{"role", "assistant"}, {"content", answer}});
      }
      return turns;
    };
    return {{"question_id", id},
            {"model_a", "m"},
            {"model_b", "n"},
            {"winner", winner},
            {"judge", who},
            {"conversation_a", talk("x")},
            {"conversation_b", talk("y")},
            {"turn", turn}};
  };
  const auto data =
      read("mt-bench-human",
           write("mt.jsonl",
                 {row(1, "model_a", 1), row(2, "tie", 1), row(3, "model_b", 1),
                  row(4, "model_b", 1), row(5, "model_a", 2), row(6, "model_a", 2, "author_0")}));
  // Contradicting orders are a tie, which is what the second vote says.
  std::vector<Judgement> judgements = judged(data, "rrttrwwwrrww");
  judgements[1].first_order = Verdict::a;
  judgements[1].second_order = Verdict::b;
  auto s = scores(data, judgements);
  EXPECT_DOUBLE_EQ(s["turn 1, S1"], 0.5);  // the first two of four
  EXPECT_DOUBLE_EQ(s["turn 1, S2"], 0.5);  // of the first and the last
  EXPECT_DOUBLE_EQ(s["turn 2, S2"], 1);    // an author's vote is left out
}

TEST_F(Suites, PandaLmAndJudgeLmAreMeasuredAsClasses) {
  std::vector<Json> panda, judge;
  for (int i = 0; i < 6; ++i) {
    panda.push_back({{"idx", i},
                     {"instruction", "q" + std::to_string(i)},
                     {"input", ""},
                     {"response1", "x"},
                     {"response2", "y"},
                     {"annotator1", i % 3},
                     {"annotator2", i % 3},
                     {"annotator3", 1}});
    judge.push_back({{"question_id", i},
                     {"question_body", "q" + std::to_string(i)},
                     {"answer1_body", "x"},
                     {"answer2_body", "y"},
                     {"score", {i % 3, 1}},
                     {"text", "why"}});
  }
  const auto first = read("pandalm", write("panda.jsonl", panda));
  const auto second = read("judgelm", write("judge.jsonl", judge));
  const std::string orders = "rrrrwrrrttrr";
  const auto values = measure(judged(first, orders));
  EXPECT_EQ(scores(first, judged(first, orders))["F1"], value_of(values, Metric::f1));
  EXPECT_EQ(scores(first, judged(first, orders)).count("consistency"), 0u);
  const auto own = measure(judged(second, orders));
  EXPECT_EQ(scores(second, judged(second, orders))["agreement"], value_of(own, Metric::agreement));
  EXPECT_DOUBLE_EQ(scores(second, judged(second, orders))["consistency"], 5.0 / 6);
}

// PandaLM-7B's verdicts on its test set (labels 1, 2, tie by verdicts 1, 2, tie), as counted from
// the published judgements, give the figures that are published with them.
TEST_F(Suites, PandaLmGivesThePublishedFigures) {
  constexpr int kCounts[3][3] = {{298, 84, 40}, {100, 337, 35}, {35, 38, 32}};
  std::vector<Judgement> judgements;
  for (size_t label = 0; label < 3; ++label)
    for (size_t verdict = 0; verdict < 3; ++verdict)
      for (int n = 0; n < kCounts[label][verdict]; ++n) {
        Judgement& j = judgements.emplace_back();
        j.label = kVerdicts[label];
        j.verdict = j.first_order = kVerdicts[verdict];
      }
  const JudgePair pair;
  std::vector<SuiteRow> rows;
  for (const Judgement& j : judgements) rows.push_back({{&pair, &j}});
  std::vector<const SuiteRow*> all;
  for (const SuiteRow& row : rows) all.push_back(&row);
  int compared = 0;
  for (const auto& [part, value] : find_suite("pandalm").score(all))
    for (const PublishedScore& p : published_scores())
      if (p.judge == std::string("PandaLM-7B") && p.part == part) {
        EXPECT_NEAR(value, p.value, 5e-5) << part;
        ++compared;
      }
  EXPECT_EQ(compared, 4);
}

TEST_F(Suites, StandInTheEvaluationBesidePublishedFigures) {
  std::vector<Json> rows;
  for (int i = 0; i < 12; ++i)
    rows.push_back({{"question_id", i},
                    {"question_body", "q" + std::to_string(i)},
                    {"answer1_body", "x"},
                    {"answer2_body", "y"},
                    {"score", {i % 2, 1 - i % 2}},
                    {"text", "why"}});
  const auto data = read("judgelm", write("judge.jsonl", rows), 10);
  ASSERT_EQ(data.pairs.size(), 10u);  // the first rows alone
  EvalResult result{{"tuned", {}, {}}, {}, {}, {}, {}, {}, {}};
  result.set.judgements = judged(data, "rrrrrrrrrrrrrrwwwwrw");
  BootstrapOptions options;
  options.resamples = 200;
  Json evaluation = Json::object();
  add_suites(evaluation, std::span(&result, 1), data, options);
  const Json& parts = evaluation["suites"][0]["judges"][0]["parts"];
  EXPECT_DOUBLE_EQ(parts["agreement"]["value"].get<double>(), 0.8);
  EXPECT_LT(parts["agreement"]["low"].get<double>(), 0.8);
  EXPECT_EQ(evaluation["suites"][0]["rows"], 10);
  const std::string text = tables_text(evaluation);
  EXPECT_NE(text.find("JudgeLM-7B 81.1, JudgeLM-33B 89.0"), std::string::npos) << text;
  EXPECT_NE(text.find("github.com/baaivision/JudgeLM"), std::string::npos) << text;
}

TEST_F(Suites, LlmBarCountsUnreadableVerdictsOfBothOrdersAsTheSame) {
  const Json row = {{"input", "q"}, {"output_1", "x"}, {"output_2", "y"}, {"label", 1}};
  write("LLMBar/Natural/dataset.json", {row, row});
  const auto data = read("llmbar", directory_ / "LLMBar");
  auto s = scores(data, judged(data, "nnrn"));
  EXPECT_DOUBLE_EQ(s["same in both orders"], 0.5);
  EXPECT_DOUBLE_EQ(s["Natural"], 0.25);
}

// JudgeBench's own files are named so.
TEST_F(Suites, FilesMayHaveCommasInTheirNames) {
  EXPECT_EQ(split_suites("judgebench=d/dataset=judgebench,response_model=gpt-4o.jsonl,llmbar=x,"
                         "rewardbench,rm-bench=a,b"),
            (std::vector<std::string>{"judgebench=d/dataset=judgebench,response_model=gpt-4o.jsonl",
                                      "llmbar=x", "rewardbench", "rm-bench=a,b"}));
  EXPECT_EQ(split_suites("nobench,llmbar"), (std::vector<std::string>{"nobench", "llmbar"}));
}

TEST_F(Suites, HaveAPublishedFigureEachOfAPartThatTheyScore) {
  for (const Suite& suite : suites()) {
    std::set<std::string> parts;
    for (const auto& [part, value] : suite.score({})) parts.insert(part);
    int figures = 0;
    for (const PublishedScore& p : published_scores())
      if (p.suite == std::string(suite.name)) {
        EXPECT_EQ(parts.count(p.part), 1u) << suite.name << ", " << p.part;
        EXPECT_TRUE(p.value > 0 && p.value < 1);
        ++figures;
      }
    EXPECT_GT(figures, 0) << suite.name;
  }
}

TEST_F(Suites, OtherNamesAndFormsAreRefused) {
  EXPECT_THROW(find_suite("nobench"), UsageError);
  const auto file = write("rb.jsonl", {reward_row("alpacaeval-easy", 1)});
  try {
    read("llmbar", file);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("is not of the form llmbar but of rewardbench"),
              std::string::npos)
        << e.what();
  }
  fs::create_directories(directory_ / "empty");
  EXPECT_THROW(read("llmbar", directory_ / "empty"), Error);
  // Rows of no subset that the suite knows.
  const auto other = read("rewardbench", write("prior.jsonl", {reward_row("shp", 1)}));
  EvalResult result{{"tuned", {}, {}}, {}, {}, {}, {}, {}, {}};
  result.set.judgements = judged(other, "r ");
  Json evaluation = Json::object();
  EXPECT_THROW(add_suites(evaluation, std::span(&result, 1), other, {}), Error);
}

}  // namespace
}  // namespace gavel
