#include "judge/evaluate.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "fake_judge.h"
#include "judge/eval_parts.h"
#include "judge/exported.h"
#include "judge/pairs.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::fake_judge;
using testing::pair_of;
using testing::prefers_good;

class Evaluate : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("gavel_evaluate_" + std::to_string(::getpid())) /
                 ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(directory_);
    for (int i = 0; i < 9; ++i)
      pairs_.push_back(i % 2 == 0 ? pair_of("q" + std::to_string(i), "good", "bad", Verdict::a)
                                  : pair_of("q" + std::to_string(i), "bad", "good", Verdict::b));
  }
  void TearDown() override { fs::remove_all(directory_.parent_path()); }

  fs::path write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
    return directory_ / name;
  }

  std::optional<JudgedSet> judge(JudgementLog& log, int64_t* asked = nullptr,
                                 const std::function<bool()>& stop = {}) {
    return judge_all(fake_judge(prefers_good, asked), "fake", pairs_, {}, 2, log, {}, stop);
  }

  fs::path directory_;
  std::vector<JudgePair> pairs_;
  const Json settings_ = {{"mode", "reason"}};
  const std::map<std::string, std::string> weights_ = {{"fake", "w1"}};
};

TEST_F(Evaluate, GoesOnWhereItWasInterrupted) {
  const fs::path file = directory_ / "judgements.jsonl";
  int64_t asked = 0;
  int batches = 0;
  {
    JudgementLog log(file, settings_, weights_, false, {});
    EXPECT_FALSE(judge(log, &asked, [&] { return ++batches > 2; }));
  }
  EXPECT_EQ(asked, 8);  // two batches of two pairs in two orders
  // The process died while it wrote: half a line is left.
  std::string text = read_file(file);
  write("judgements.jsonl", text + text.substr(text.size() - 300, 200));
  asked = 0;
  JudgementLog log(file, settings_, weights_, false, {});
  const auto resumed = judge(log, &asked);
  ASSERT_TRUE(resumed);
  EXPECT_EQ(asked, 10);
  JudgementLog fresh(directory_ / "fresh.jsonl", settings_, weights_, false, {});
  const auto whole = judge(fresh);
  ASSERT_EQ(resumed->judgements.size(), whole->judgements.size());
  for (size_t i = 0; i < whole->judgements.size(); ++i) {
    EXPECT_EQ(resumed->judgements[i].label, whole->judgements[i].label);
    EXPECT_EQ(resumed->judgements[i].verdict, whole->judgements[i].verdict);
    EXPECT_EQ(resumed->judgements[i].second_order, whole->judgements[i].second_order);
    EXPECT_EQ(resumed->judgements[i].probabilities, whole->judgements[i].probabilities);
    EXPECT_EQ(resumed->judgements[i].tokens, whole->judgements[i].tokens);
  }
  // Nothing is left to be asked, and the file holds each pair once.
  JudgementLog again(file, settings_, weights_, false, {});
  asked = 0;
  EXPECT_TRUE(judge(again, &asked));
  EXPECT_EQ(asked, 0);
  text = read_file(file);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 10);
}

TEST_F(Evaluate, OtherSettingsAreRefusedAndOtherWeightsJudgedAnew) {
  const fs::path file = directory_ / "judgements.jsonl";
  int64_t asked = 0;
  {
    JudgementLog log(file, settings_, weights_, false, {});
    judge(log);
  }
  EXPECT_THROW(JudgementLog(file, {{"mode", "verdict"}}, weights_, false, {}), Error);
  {
    JudgementLog log(file, settings_, {{"other", "x"}}, false, {});  // keeps what it does not know
  }
  {
    JudgementLog log(file, settings_, {{"fake", "w2"}}, false, {});
    judge(log, &asked);
    EXPECT_EQ(asked, 18);
  }
  JudgementLog log(file, {{"mode", "verdict"}}, weights_, true, {});
  EXPECT_EQ(log.find("fake", 0), nullptr);
}

TEST_F(Evaluate, DamagedLinesAreJudgedAnew) {
  const fs::path file = directory_ / "judgements.jsonl";
  {
    JudgementLog log(file, settings_, weights_, false, {});
    judge(log);
  }
  std::string text = read_file(file);
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"label\":\"A\"", "\"label\":\"Z\""},
                                                        {"[0.8", "[8.8"},
                                                        {"\"tokens\":", "\"tokens\":-"}}) {
    const size_t at = text.find(from, 1500);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  }
  write("judgements.jsonl", "garbage\n" + text);
  int64_t asked = 0;
  JudgementLog log(file, settings_, weights_, false, {});
  const auto set = judge(log, &asked);
  EXPECT_GE(asked, 2);
  EXPECT_LE(asked, 6);
  EXPECT_EQ(value_of(measure(set->judgements), Metric::agreement), 1);
}

TEST_F(Evaluate, SaysWhatCouldNotBeJudged) {
  JudgementLog log(directory_ / "judgements.jsonl", settings_, {{"fake", ""}}, false, {});
  JudgeModel model = fake_judge(prefers_good);
  model.max_prompt_tokens = 10;  // of bytes here
  ::testing::internal::CaptureStderr();
  const auto set = judge_all(model, "fake", pairs_, {}, 4, log, {}, {});
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("fake: 9 of 9 pairs could not be judged"), std::string::npos) << said;
  EXPECT_NE(said.find("tokens, the model takes 10"), std::string::npos) << said;
  EXPECT_EQ(value_of(measure(set->judgements), Metric::unparsable), 1);
}

TEST_F(Evaluate, WritesNumbersAndTable) {
  JudgementLog log(directory_ / "judgements.jsonl", settings_, {{"fake", ""}, {"bad", ""}}, false,
                   {});
  EvalResult good{{"bad", {}, {}}, {}, {}},
      fake{{"fake", "x", 500}, {}, Calibration{{.temperature = 2}, 9, 0.3, 0.2}};
  fake.set = *judge(log);
  const auto opposite = [](const std::string& prompt) {
    auto answer = prefers_good(prompt);
    return testing::FakeAnswer{answer.text[0] == 'F' ? "**Verdict:** B" : "**Verdict:** A",
                               {answer.probabilities[1], answer.probabilities[0], 0.05}};
  };
  good.set = *judge_all(fake_judge(opposite), "bad", pairs_, {}, 4, log, {}, {});
  EvalRequest request;
  request.bootstrap.resamples = 200;
  request.rates.price_per_hour = 1;
  const std::vector results = {good, fake};
  Json e = evaluation_json(results, request);
  EXPECT_EQ(e["judges"][1]["metrics"]["agreement"]["value"], 1.0);
  EXPECT_EQ(e["judges"][0]["metrics"]["agreement"]["value"], 0.0);
  EXPECT_EQ(e["judges"][1]["metrics"]["consistency"]["value"], 1.0);
  EXPECT_TRUE(e["judges"][1]["metrics"]["tie_recall"]["value"].is_null());
  EXPECT_EQ(e["judges"][1]["confusion"]["counts"][0][0], 5);
  EXPECT_EQ(e["judges"][1]["temperature"], 2.0);
  EXPECT_GT(e["judges"][1]["metrics"]["nll_calibrated"]["value"].get<double>(),
            e["judges"][1]["metrics"]["nll"]["value"].get<double>());
  const Json& speed = e["judges"][1]["speed"];
  EXPECT_NEAR(speed["cost_per_1000"]["value"].get<double>() *
                  speed["answers_per_second"]["value"].get<double>(),
              1000.0 / 3600, 1e-9);
  EXPECT_LE(speed["cost_per_1000"]["low"].get<double>(),
            speed["cost_per_1000"]["value"].get<double>());
  EXPECT_EQ(e["comparisons"][0]["only_second"], 9);
  EXPECT_NEAR(e["comparisons"][0]["mcnemar_p"].get<double>(), 2.0 / 512, 1e-12);
  EXPECT_EQ(e["comparisons"][0]["differences"]["agreement"]["value"], 1.0);
  // What needs no judge, and every label's rates, with intervals.
  EXPECT_EQ(e["baselines"]["label"], "A");
  EXPECT_NEAR(e["baselines"]["majority"]["value"].get<double>(), 5.0 / 9, 1e-12);
  EXPECT_LT(e["baselines"]["majority"]["low"].get<double>(), 0.5);
  const Json& a = e["judges"][1]["classes"][0];
  EXPECT_EQ(a["recall"], Json({{"value", 1.0}, {"low", 1.0}, {"high", 1.0}}));
  EXPECT_EQ(a["support"], 5);
  add_trust_tables(e);
  const std::string table = evaluation_table(e) + tables_text(e);
  EXPECT_NE(table.find("fake   100.0 [100.0, 100.0]"), std::string::npos) << table;
  EXPECT_NE(table.find("always A, the most frequent label, %"), std::string::npos) << table;
  EXPECT_NE(table.find("fake       A      5         5  100.0 [100.0, 100.0]"), std::string::npos)
      << table;
  EXPECT_NE(table.find("+100.0 points of agreement"), std::string::npos) << table;
}

TEST_F(Evaluate, FindsTheJudgesThatAreAskedFor) {
  for (const char* name : {"adapters.safetensors", "0000500_adapters.safetensors",
                           "0000100_adapters.safetensors", "x_adapters.safetensors"})
    write(name, "");
  const std::string run = directory_.string();
  auto judges = find_judges({run}, true, true);
  ASSERT_EQ(judges.size(), 3u);
  EXPECT_EQ(judges[0].name, "base");
  EXPECT_EQ(judges[1].name, "step 100");
  EXPECT_EQ(judges[2].step, 500);
  judges = find_judges({run}, false, true);
  ASSERT_EQ(judges.size(), 2u);
  EXPECT_EQ(judges[1].name, "tuned");
  judges = find_judges({run + "/", run, run + "/0000500_adapters.safetensors"}, false, false);
  ASSERT_EQ(judges.size(), 3u);
  EXPECT_EQ(judges[0].name, directory_.filename().string());
  EXPECT_EQ(judges[1].name, directory_.filename().string() + " (2)");
  EXPECT_EQ(judges[2].name, "step 500");
  EXPECT_THROW(find_judges({run + "/none"}, false, true), Error);
  EXPECT_THROW(find_judges({}, false, false), Error);
  fs::create_directories(directory_ / "empty");
  EXPECT_THROW(find_judges({run + "/empty"}, true, true), Error);
}

TEST_F(Evaluate, ExportsAreJudgesBesideTheAdapter) {
  write("judge.gguf", "weights");
  const std::string gguf = (directory_ / "judge.gguf").string();
  auto judges = find_judges({}, false, false, true);
  EXPECT_TRUE(judges.empty());
  add_exported(judges, {gguf, directory_.string() + "/", gguf});
  ASSERT_EQ(judges.size(), 3u);
  EXPECT_EQ(judges[0].name, "judge.gguf");
  EXPECT_EQ(judges[1].name, directory_.filename().string());
  EXPECT_EQ(judges[2].name, "judge.gguf (2)");
  EXPECT_THROW(add_exported(judges, {gguf + ".none"}), Error);
  // Other files are other weights.
  const std::string before = weights_fingerprint(judges[1]);
  EXPECT_EQ(before, weights_fingerprint(judges[1]));
  write("more.safetensors", "x");
  EXPECT_NE(before, weights_fingerprint(judges[1]));

  // Three of four verdicts are the same, and P(A) moves by 0.1 in the two where it is known.
  const auto result = [&](const EvalJudge& judge, std::initializer_list<Verdict> verdicts,
                          double p) {
    EvalResult r{judge, {}, {}, {}, {}, {}, {}};
    for (const Verdict v : verdicts)
      r.set.judgements.push_back({.label = Verdict::a, .verdict = v});
    r.set.judgements[0].probabilities = Probabilities{p, 1 - p, 0};
    r.set.judgements[1].probabilities = Probabilities{p, 1 - p, 0};
    return r;
  };
  using enum Verdict;
  const std::vector<EvalResult> results = {result({"base", {}, {}}, {b, b, b, b}, 0.2),
                                           result({"tuned", "x", {}}, {a, a, b, a}, 0.8),
                                           result(judges[0], {a, a, b, b}, 0.7)};
  const auto table = exported_table(results, {.resamples = 100});
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[1][1], "tuned");
  EXPECT_EQ(table.rows[1][3].substr(0, 4), "75.0");
  EXPECT_EQ(table.rows[1][4], "10.00");
  EXPECT_EQ(table.rows[1][5].substr(0, 4), "50.0");
  EXPECT_EQ(table.rows[1][6].substr(0, 4), "75.0");
}

TEST_F(Evaluate, CalibrationIsKeptWithTheAdapter) {
  EXPECT_FALSE(load_calibration(directory_, JudgeMode::verdict, false));
  save_calibration(directory_, JudgeMode::verdict, false, {{.temperature = 1.5}, 10, 0.7, 0.6});
  save_calibration(directory_, JudgeMode::reason, true, {{.temperature = 2.5}, 10, 0.7, 0.6});
  save_calibration(directory_ / "0000500_adapters.safetensors", JudgeMode::verdict, false,
                   {{.temperature = 3}, 1, 0, 0});
  save_calibration(directory_, JudgeMode::verdict, false, {{.temperature = 1.75}, 20, 0.7, 0.5});
  EXPECT_EQ(load_calibration(directory_, JudgeMode::verdict, false)->map.temperature, 1.75);
  EXPECT_EQ(load_calibration(directory_, JudgeMode::verdict, false)->examples, 20);
  EXPECT_EQ(load_calibration(directory_, JudgeMode::reason, true)->map.temperature, 2.5);
  EXPECT_FALSE(load_calibration(directory_, JudgeMode::reason, false));
  EXPECT_EQ(load_calibration(directory_ / "0000500_adapters.safetensors", JudgeMode::verdict, false)
                ->map.temperature,
            3);
  write("calibration.json", "{}");
  EXPECT_THROW(load_calibration(directory_, JudgeMode::verdict, false), Error);
  write(
      "calibration.json",
      R"({"entries":[{"weights":"adapters.safetensors","mode":"reason","both_orders":false,"temperature":-1}]})");
  EXPECT_THROW(load_calibration(directory_, JudgeMode::reason, false), Error);
}

TEST_F(Evaluate, MapsOfConfidenceAreKeptWithTheAdapter) {
  ProbabilityMap platt, isotonic;
  platt.method = CalibrationMethod::platt;
  platt.slope = 0.1 + 0.2;
  platt.intercept = -1.0 / 3;
  isotonic.method = CalibrationMethod::isotonic;
  isotonic.confidence = {0.4, 0.7, 1};
  isotonic.right = {0.2, 0.2, 0.9};
  save_calibration(directory_, JudgeMode::verdict, false, {platt, 10, 0.7, 0.6});
  save_calibration(directory_, JudgeMode::reason, false, {isotonic, 10, 0.7, 0.6});
  const auto first = load_calibration(directory_, JudgeMode::verdict, false)->map;
  EXPECT_EQ(first.method, CalibrationMethod::platt);
  EXPECT_EQ(first.slope, platt.slope);
  EXPECT_EQ(first.intercept, platt.intercept);
  const auto second = load_calibration(directory_, JudgeMode::reason, false)->map;
  EXPECT_EQ(second.method, CalibrationMethod::isotonic);
  EXPECT_EQ(second.confidence, isotonic.confidence);
  EXPECT_EQ(second.right, isotonic.right);
  const std::string entry =
      R"({"entries":[{"weights":"adapters.safetensors","mode":"reason","both_orders":false,)"
      R"("temperature":1,)";
  for (const char* damaged : {R"("method":"beta"}]})", R"("method":"platt","slope":1}]})",
                              R"("method":"isotonic","confidence":[0.5],"right":[]}]})",
                              R"("method":"isotonic","confidence":[0.5,0.6],"right":[0.5]}]})",
                              R"("method":"isotonic","confidence":[0.5,0.4],"right":[0.5,0.6]}]})",
                              R"("method":"isotonic","confidence":[0.5],"right":[1.5]}]})"}) {
    write("calibration.json", entry + damaged);
    EXPECT_THROW(load_calibration(directory_, JudgeMode::reason, false), Error) << damaged;
  }
}

TEST_F(Evaluate, PairsAreReadWithTheirLines) {
  const auto file =
      write("pairs.jsonl",
            "{\"question\":\"q\",\"answer_a\":\"x\",\"answer_b\":\"y\",\"label\":\"tie\","
            "\"reference\":\"r\",\"id\":7,\"messages\":[]}\n\n"
            "{\"question\":\"q2\",\"answer_a\":\"\",\"answer_b\":\"y\",\"label\":\"B\"}\n");
  const auto pairs = read_pairs(file, true);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].label, Verdict::tie);
  EXPECT_EQ(pairs[0].reference, "r");
  EXPECT_EQ(pairs[0].id, "7");
  EXPECT_EQ(pairs[1].source_line, 3);
  const auto error_of = [&](const std::string& line, bool needs_label) -> std::string {
    try {
      const auto path = write("f.jsonl", "\n\n" + line);
      read_pairs(path, needs_label);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(error_of("{", true).find("f.jsonl:3"), std::string::npos);
  EXPECT_NE(error_of("3", true).find("JSON object"), std::string::npos);
  EXPECT_NE(error_of(R"({"question":"q"})", true).find("answer_a"), std::string::npos);
  const std::string pair = R"({"question":"q","answer_a":"x","answer_b":"y")";
  EXPECT_NE(error_of(pair + "}", true).find("label"), std::string::npos);
  EXPECT_EQ(error_of(pair + "}", false), "");
  EXPECT_NE(error_of(pair + R"(,"label":"C"})", false).find("\"C\""), std::string::npos);
  EXPECT_NE(error_of(pair + R"(,"reference":[1]})", false).find("reference"), std::string::npos);
  EXPECT_THROW(read_pairs(write("empty.jsonl", "\n"), true), Error);
  EXPECT_NE(pairs_fingerprint(pairs), pairs_fingerprint({pairs[0]}));
  // A label that is spelled otherwise, numbers, a list, a spreadsheet: one pair.
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
           {"p.jsonl", R"({"question":"q","answer_a":"1","answer_b":"y","label":"B"})"},
           {"p.json", R"([{"question":"q","answer_a":1,"answer_b":"y","label":"model_b"}])"},
           {"p.csv", "Question;Answer A;Answer B;Label\nq;1;y;[[B]]\n"}}) {
    const auto read = read_pairs(write(name, text), true);
    ASSERT_EQ(read.size(), 1u) << name;
    EXPECT_EQ(read[0].label, Verdict::b);
    EXPECT_EQ(pairs_fingerprint(read), pairs_fingerprint(read_pairs(write("p.jsonl", R"({"question":
      "q","answer_a":"1","answer_b":"y","label":"B"})"),
                                                                    true)));
  }
}

}  // namespace
}  // namespace gavel
