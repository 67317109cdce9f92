#include "report/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "report/svg.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A folder of a test's own, gone with the test.
class Report : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("gavel_report_" + std::to_string(::getpid())) /
                 testing::UnitTest::GetInstance()->current_test_info()->name() / "run-a";
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_.parent_path().parent_path()); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }

  // A run that overfits from step 300 on, where `overfit`.
  void write_run(bool overfit) {
    std::string log =
        json{{"event", "config"}, {"learning_rate", 1e-4}, {"note", "<b>&"}}.dump() + "\n";
    double train = 2;
    for (int step = 10; step <= 600; step += 10) {
      train -= 0.02;
      log += json{{"event", "train"},       {"step", step},
                  {"loss", train},          {"lr", 1e-4},
                  {"grad_norm", 1.5},       {"tokens_per_second", 100 + step},
                  {"peak_memory_gb", 1.25}, {"trained_tokens", step * 512}}
                 .dump() +
             "\n";
      if (step % 100 == 0) {
        const double loss = overfit && step > 300 ? 1.4 + 0.001 * (step - 300) : 2.0 - 0.002 * step;
        log +=
            json{{"event", "valid"}, {"step", step}, {"loss", loss}, {"gap", loss - train}}.dump() +
            "\n";
      }
    }
    write("metrics.jsonl", log + R"({"event":"end","step":600,"reason":"done"})" + "\n");
  }

  static json judge(const std::string& name, double agreement) {
    const auto interval = [](double v) {
      return json{{"value", v}, {"low", v - 0.1}, {"high", v + 0.1}};
    };
    return {
        {"name", name},
        {"metrics",
         {{"agreement", interval(agreement)},
          {"consistency", interval(0.5)},
          {"nll", interval(0.7)},
          {"tie_recall", {{"value", nullptr}}}}},
        {"confusion", {{"counts", {{11, 2, 3, 4}, {5, 16, 7, 8}, {9, 10, 21, 12}}}}},
        {"reliability",
         {{{"low", 0.6}, {"high", 0.7}, {"count", 9}, {"confidence", 0.65}, {"accuracy", 0.5}}}},
        {"reliability_scaled",
         {{{"low", 0.5}, {"high", 0.6}, {"count", 9}, {"confidence", 0.55}, {"accuracy", 0.5}}}},
        {"coverage",
         {{{"threshold", 0.9}, {"coverage", 0.5}, {"accuracy", 0.75}},
          {{"threshold", 0.6}, {"coverage", 1.0}, {"accuracy", agreement}}}},
        {"temperature", 1.5},
        {"speed", {{"latency_p95", interval(1.5)}, {"answers_per_second", 2.0}}}};
  }

  void write_eval() {
    write(
        "eval.json",
        json{{"data", "test.jsonl"},
             {"mode", "reason"},
             {"examples", 30},
             {"judges", {judge("base", 0.5), judge("step <500>", 0.7), judge("step 900", 0.9)}},
             {"groups",
              {{{"field", "model"},
                {"groups",
                 {{{"value", "<gpt>|1"},
                   {"pairs", 12},
                   {"baselines",
                    {{"label", "B"}, {"majority", {{"value", 0.6}, {"low", 0.5}, {"high", 0.7}}}}},
                   {"judges", {judge("base", 0.25)}}}}}}}},
             {"tables",
              {{{"title", "Win <rates>"},
                {"note", "By & large."},
                {"rows", {{"model", "share"}, {"x|y", "5 %"}, {7}}}},
               {{"title", "empty"}, {"rows", 3}},
               7}},
             {"comparisons",
              {{{"first", "base"},
                {"second", "step 900"},
                {"only_first", 3},
                {"only_second", 17},
                {"mcnemar_p", 0.0026},
                {"differences", {{"agreement", {{"value", 0.4}, {"low", 0.2}, {"high", 0.6}}}}}}}}}
            .dump());
    std::string lines;
    for (const char* name : {"base", "step 900"})
      for (int i = 0; i < 30; ++i)
        lines += json{{"judge", name},
                      {"index", i},
                      {"label", "A"},
                      {"question", "Is <script>alert(1)</script> " + std::to_string(i) + " safe?"},
                      {"answer_a", std::string(static_cast<size_t>(i), 'x')},
                      {"answer_b", "yyyy"},
                      {"verdict", name[0] == 'b' && i % 3 == 0 ? "B" : "A"},
                      {"text", "Because \"so\".\n**Verdict:** A"},
                      {"confidence", 0.75}}
                     .dump() +
                 "\n";
    write("judgements.jsonl", lines + lines.substr(0, 200));  // the end repeats a line and is cut
  }

  fs::path directory_;
};

// Every element that is opened is closed, in order; attributes hold no stray quotes.
void expect_well_formed(const std::string& html) {
  std::vector<std::string> open;
  size_t at = html.find("<html");
  while ((at = html.find('<', at)) != std::string::npos) {
    if (html.compare(at, 7, "<script") == 0) at = html.find("</script>", at);
    if (html.compare(at, 6, "<style") == 0) at = html.find("</style>", at);
    const size_t end = html.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = html.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" />", 1));
    EXPECT_EQ(std::count(tag.begin(), tag.end(), '"') % 2, 0) << tag;
    at = end;
    if (tag.back() == '/' || name == "meta" || name == "input" || name == "/script" ||
        name == "/style")
      continue;
    if (name[0] != '/') {
      open.push_back(name);
    } else {
      ASSERT_FALSE(open.empty()) << tag;
      EXPECT_EQ("/" + open.back(), name);
      open.pop_back();
    }
  }
  EXPECT_TRUE(open.empty());
}

TEST_F(Report, ShowsARunAndItsEvaluation) {
  write_run(true);
  write_eval();
  const std::vector runs = {read_report_run(directory_)};
  const std::string html = render_html(runs, "A <title>");
  expect_well_formed(html);
  for (const char* text : {"A &lt;title&gt;",
                           "run-a",
                           "best: 1.4 at 300",
                           "overfitting from here",
                           "Learning rate",
                           "Gradient norm",
                           "Peak memory",
                           "step &lt;500&gt;",
                           "40.0 to 60.0%",
                           "Reliability of base",
                           "at temperature",
                           "Right among the surest",
                           "<td>always B</td><td>12</td><td><b>60.0%</b>",
                           "+40.0 points",
                           "0.0026",
                           "Where base and step 900 disagree",
                           "10 of 30 pairs",
                           "Length against verdict",
                           "&lt;script&gt;alert(1)",
                           "<h3>By model</h3>",
                           "<th>&lt;gpt&gt;|1</th>",
                           "<b>25.0%</b><small>15.0 to 35.0%</small>",
                           "<h3>Win &lt;rates&gt;</h3>",
                           "<tr><th>x|y</th><td>5 %</td></tr>",
                           "<td>1.5 s<small>1.4 s to 1.6 s</small></td>",
                           "<td>2<small></small></td>"})
    EXPECT_NE(html.find(text), std::string::npos) << text;
  for (const char* text : {"<script>alert", "http://", "https://", "<link", "src=", "nan", "inf,"})
    EXPECT_EQ(html.find(text), std::string::npos) << text;
  const std::string markdown = render_markdown(runs, "Runs");
  for (const char* text :
       {"### Win \\<rates>\n\n| model | share |", "| x\\|y | 5 % |",
        "| Best validation loss | 1.4 at step 300 |", "| 300 | 1.4 | ",
        "| Agreement | 50.0% (40.0 to 60.0%) |", "step \\<500>", "| B | 5 | 16 | 7 | 8 |",
        "| \\<gpt>\\|1 | base | 12 | 25.0% (15.0 to 35.0%) | – | 50.0% (40.0 to 60.0%) | – |",
        "| \\<gpt>\\|1 | always B | 12 | 60.0% (50.0 to 70.0%) | – | – | – |"})
    EXPECT_NE(markdown.find(text), std::string::npos) << text << "\n" << markdown;
}

TEST_F(Report, ListsAnswersWithoutAReadableVerdict) {
  write_eval();
  std::string lines;
  for (const char* name : {"base", "step 900"})
    for (int i = 0; i < 3; ++i) {
      const bool base = name[0] == 'b';
      lines += json{{"judge", name},
                    {"index", i},
                    {"label", "A"},
                    {"question", "q" + std::to_string(i)},
                    {"verdict", base && i == 0 ? "none" : "A"},
                    {"verdict_ab", base && i == 0 ? "none" : "A"},
                    {"verdict_ba", base && i == 1 ? "none" : "A"},
                    {"text", "I like both."},
                    {"text_ba", "Hm " + std::to_string(i)}}
                   .dump() +
               "\n";
    }
  write("judgements.jsonl", lines);
  const std::vector runs = {read_report_run(directory_)};
  ASSERT_TRUE(runs[0].judgements);
  ASSERT_EQ(runs[0].judgements->disputed.size(), 2u);
  EXPECT_TRUE(runs[0].judgements->disputed[0].first.unreadable);
  EXPECT_EQ(runs[0].judgements->disputed[1].first.exchanged, "none");
  const std::string html = render_html(runs, "t");
  expect_well_formed(html);
  for (const char* text :
       {"No readable verdict", "data-kind=\"second unreadable\"", "data-kind=\"both unreadable\"",
        "exchanged none", "base wrote with the answers exchanged", "Hm 1"})
    EXPECT_NE(html.find(text), std::string::npos) << text;
  EXPECT_EQ(html.find("Hm 2"), std::string::npos);
}

TEST_F(Report, ShowsJudgesOfOneAnswer) {
  const auto judge = [](const char* name) {
    const json metric = {{"value", 0.5}, {"low", 0.25}, {"high", 0.75}};
    return json{{"name", name},
                {"metrics", {{"agreement", metric}, {"tone.weighted_kappa", metric}}},
                {"reliability",
                 {{{"low", 0.6},
                   {"high", 0.7},
                   {"count", name == std::string("base") ? 0 : 9},
                   {"confidence", 0.65},
                   {"accuracy", 0.5}}}},
                {"confusions",
                 {{{"part", "<tone>"},
                   {"labels", {"1", "2"}},
                   {"verdicts", {"1", "2", "none"}},
                   {"counts", {{31, 32, 33}, {34, 35, 36}}}}}}};
  };
  write("eval.json",
        json{{"form", "criteria"}, {"examples", 7}, {"judges", {judge("base"), judge("tuned")}}}
            .dump());
  std::string lines;
  for (const char* name : {"base", "tuned"})
    lines += json{{"judge", name},
                  {"index", 0},
                  {"question", "Why?"},
                  {"answer", "Alone."},
                  {"rubric", "Is it kind?"},
                  {"label", "tone 2"},
                  {"verdict", name == std::string("base") ? "tone 1" : "tone 2"}}
                 .dump() +
             "\n";
  write("judgements.jsonl", lines);
  const std::vector<ReportRun> runs = {read_report_run(directory_)};
  const std::string html = render_html(runs, "t"), text = render_markdown(runs, "t");
  for (const char* wanted :
       {"7 answers", "tone: Weighted kappa", "&lt;tone&gt;", "Alone.", "Is it kind?", ">33<"})
    EXPECT_NE(html.find(wanted), std::string::npos) << wanted;
  EXPECT_NE(html.find("Reliability of tuned"), std::string::npos);
  EXPECT_EQ(html.find("Reliability of base"), std::string::npos);  // has no probabilities
  EXPECT_EQ(html.find("Answer B"), std::string::npos);
  EXPECT_EQ(html.find("<h3>Length"), std::string::npos);
  EXPECT_NE(text.find("| 2 | 34 | 35 | 36 |"), std::string::npos);
  EXPECT_NE(text.find("differ on 1 of 1 answers"), std::string::npos);
}

TEST_F(Report, ComparesSeveralRuns) {
  write_run(true);
  ReportRun first = read_report_run(directory_);
  write_run(false);
  ReportRun second = read_report_run(directory_ / "metrics.jsonl");
  second.log->name = second.name = "other & run";
  const std::string html = render_html(std::vector{first, second}, "Two");
  expect_well_formed(html);
  EXPECT_NE(html.find("other &amp; run validation"), std::string::npos);
  EXPECT_NE(html.find("Overfitting from step"), std::string::npos);
  EXPECT_NE(html.find("other &amp; run, best: 0.8 at 600"), std::string::npos);
}

TEST_F(Report, FindsWhereOverfittingSetsIn) {
  write_run(true);
  const RunHistory overfit = read_run_history(directory_);
  EXPECT_EQ(best_point(overfit)->step, 300);
  EXPECT_EQ(overfitting_onset(overfit), 300);
  write_run(false);
  const RunHistory good = read_run_history(directory_);
  EXPECT_EQ(best_point(good)->step, 600);
  EXPECT_FALSE(overfitting_onset(good));
  RunHistory diverging = overfit;  // train loss grows too: that is not overfitting
  for (TrainPoint& p : diverging.train) p.loss = static_cast<double>(p.step);
  EXPECT_FALSE(overfitting_onset(diverging));
  EXPECT_FALSE(best_point(RunHistory{}));
  RunHistory noisy = overfit;  // 1.8, 1.6, 1.4, 1.65, 1.45, 1.7: what rose may fall again
  noisy.valid.at(3).loss = 1.65;
  noisy.valid.at(4).loss = 1.45;
  EXPECT_FALSE(overfitting_onset(noisy));
  RunHistory early = overfit;  // two validations behind the best: their noise is not known
  early.valid.pop_back();
  EXPECT_FALSE(overfitting_onset(early));
  RunHistory measured = overfit;  // training took another step for the best, by its own measure
  measured.best_step = 500;
  EXPECT_EQ(best_point(measured)->step, 500);
  EXPECT_EQ(overfitting_onset(measured), 300);
}

TEST_F(Report, ReadsBrokenLogs) {
  write("metrics.jsonl",
        "not json\n[1,2]\n\n{\"event\":\"train\",\"step\":\"x\",\"loss\":1}\n"
        "{\"event\":\"train\",\"step\":1e300,\"loss\":1}\n\xff\xfe\n"
        "{\"event\":\"valid\",\"step\":1,\"loss\":null}\n"
        "{\"event\":\"train\",\"step\":5,\"loss\":3,\"lr\":\"high\"}\n"
        "{\"event\":\"train\",\"step\":5,\"loss\":2}\n{\"event\":\"future\",\"step\":5}\n"
        "{\"event\":\"train\",\"step\":6,\"lo");
  const RunHistory run = read_run_history(directory_);
  ASSERT_EQ(run.train.size(), 1u);
  EXPECT_EQ(run.train[0].loss, 2);  // what was written last holds
  EXPECT_TRUE(std::isnan(run.train[0].lr));
  EXPECT_EQ(run.skipped_lines, 6);
  expect_well_formed(render_html(std::vector{read_report_run(directory_)}, "t"));
}

TEST_F(Report, ShowsASweep) {
  std::string lines;
  for (const auto& [rank, loss] :
       std::vector<std::pair<int, double>>{{16, 1.2}, {4, 1.5}, {8, 1.1}})
    for (int seed : {1, 2})
      lines +=
          json{{"run", "rank=" + std::to_string(rank) + ",seed=" + std::to_string(seed)},
               {"settings",
                {{"rank", rank}, {"alpha", 20 * rank}, {"seed", seed}, {"targets", {"q_proj"}}}},
               {"valid_loss", loss + 0.1 * seed},
               {"agreement", seed == 1 ? json(0.75) : json()},
               {"best_step", 100},
               {"parameters", 1000},
               {"seconds", 2.5}}
              .dump() +
          "\n";
  write("sweep.jsonl", lines + lines.substr(0, 40));
  const ReportRun run = read_report_run(directory_);
  ASSERT_EQ(run.sweep.size(), 6u);
  EXPECT_EQ(run.sweep[0].run, "rank=8,seed=1");
  const auto means = sweep_means(run.sweep);
  ASSERT_EQ(means.size(), 2u);                   // targets do not differ
  EXPECT_EQ(means[0].first, "alpha, rank");      // one follows the other
  EXPECT_EQ(means[0].second[0].value, "80, 4");  // by size, not by letters
  EXPECT_EQ(means[1].first, "seed");
  EXPECT_NEAR(means[0].second[1].valid_loss, 1.25, 1e-12);
  EXPECT_NEAR(means[0].second[1].agreement, 0.75, 1e-12);
  const std::string html = render_html(std::vector{run}, "Sweep");
  expect_well_formed(html);
  EXPECT_NE(html.find("By alpha, rank"), std::string::npos);
  EXPECT_NE(render_markdown(std::vector{run}, "S").find("| rank=8,seed=1 | 1.2 |"),
            std::string::npos);
}

TEST_F(Report, RefusesWhatIsNotARun) {
  EXPECT_THROW(read_report_run(directory_), Error);
  EXPECT_THROW(read_report_run(directory_ / "nothing"), Error);
  write("eval.json", "{}");
  EXPECT_THROW(read_report_run(directory_), Error);
}

TEST_F(Report, SurvivesRandomDamage) {
  write_run(true);
  write_eval();
  const std::string names[] = {"metrics.jsonl", "eval.json", "judgements.jsonl"};
  std::mt19937 random(5);
  for (const std::string& name : names) {
    const std::string whole = read_file(directory_ / name);
    for (int i = 0; i < 20; ++i) {
      std::string text = whole.substr(0, random() % whole.size() + 1);
      for (int k = 0; k < 5; ++k) text[random() % text.size()] = static_cast<char>(random());
      write(name, text);
      try {
        const std::vector runs = {read_report_run(directory_)};
        expect_well_formed(render_html(runs, "t"));
        render_markdown(runs, "t");
      } catch (const Error&) {
        EXPECT_EQ(name, "eval.json");  // the logs never stop a report
      }
    }
    write(name, whole);
  }
}

TEST(Svg, EscapesMarkupAndBadBytes) {
  EXPECT_EQ(svg::escape("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
  EXPECT_EQ(svg::escape("é\n\t漢"), "é\n\t漢");
  EXPECT_EQ(svg::escape(std::string("\0\x1b", 2)), "\uFFFD\uFFFD");
  EXPECT_EQ(svg::escape("\xff\xc0\x80\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(svg::escape("\xe6\xbc"), "\uFFFD\uFFFD");
}

TEST(Svg, DrawsOnlyWhatIsThere) {
  svg::Chart chart{"t", "x", "y"};
  EXPECT_EQ(svg::render(chart), "");
  chart.series.push_back({"s", 0, {{1, std::nan("")}, {2, INFINITY}}});
  EXPECT_EQ(svg::render(chart), "");
  chart.series.push_back({"one", 0, {{1, 5}}, false, true});
  EXPECT_NE(svg::render(chart).find("<circle"), std::string::npos);
  // An axis whose ticks lie closer together than its numbers can tell apart.
  svg::Chart narrow{"t", "x", "y"};
  narrow.series.push_back({"s", 0, {{1e15, 1e300}, {1e15 + 0.125, 1.0000001e300}}});
  EXPECT_LT(svg::render(narrow).size(), 10000u);
  // Long series are thinned, and a spike stays: it is the only point at the top of the drawing.
  svg::Series dense{"dense", 0, {}};
  for (int i = 0; i < 100000; ++i) dense.points.emplace_back(i, i == 54321 ? 100 : 0);
  svg::Chart spiky{"t", "x", "y"};
  spiky.series.push_back(dense);
  spiky.y_high = 100;
  const std::string drawn = svg::render(spiky);
  EXPECT_LT(drawn.size(), 20000u);
  EXPECT_NE(drawn.find(",22.0 "), std::string::npos);
}

TEST(Svg, NumbersAreShort) {
  EXPECT_EQ(svg::number(0), "0");
  EXPECT_EQ(svg::number(1.23456), "1.235");
  EXPECT_EQ(svg::number(5e-6), "5e-06");
  EXPECT_EQ(svg::number(1218000), "1.218M");
  EXPECT_EQ(svg::number(std::nan("")), "–");
}

TEST(Svg, SmoothingHasNoBiasToItsStart) {
  const auto smooth = svg::smoothed({{0, 4}, {1, 4}, {2, std::nan("")}, {3, 4}});
  ASSERT_EQ(smooth.size(), 3u);
  for (const auto& [x, y] : smooth) EXPECT_NEAR(y, 4, 1e-12);
}

}  // namespace
}  // namespace gavel
