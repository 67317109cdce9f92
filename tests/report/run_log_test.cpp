// A run log that is read while it is written: whole lines only, and anew where it was replaced.
#include "report/run_log.h"

#include <gtest/gtest.h>

#include <fstream>

#include "folder_test.h"
#include "report/report.h"

namespace gavel {
namespace {

class RunLogFollowing : public FolderTest {
 protected:
  std::filesystem::path log() const { return dir_ / "metrics.jsonl"; }
  void add(const std::string& text) {
    std::ofstream(log(), std::ios::app | std::ios::binary) << text;
  }
};

const std::string kConfig = R"({"event":"config","step":0,"iters":40,"seed":1})"
                            "\n";
std::string train(int step, double loss) {
  return R"({"event":"train","step":)" + std::to_string(step) + R"(,"loss":)" +
         std::to_string(loss) +
         R"(,"seconds_left":12.5})"
         "\n";
}

TEST_F(RunLogFollowing, TakesWhatIsAddedLineByLine) {
  RunLogFollower follower(log());
  EXPECT_FALSE(follower.poll());
  EXPECT_FALSE(follower.is_there());
  add(kConfig + train(10, 2));
  EXPECT_TRUE(follower.poll());
  EXPECT_TRUE(follower.is_there());
  EXPECT_EQ(follower.history().iters, 40);
  EXPECT_FALSE(follower.poll());
  // A line that is not there in whole yet is no damaged one.
  const std::string line = train(20, 1.5);
  add(line.substr(0, 12));
  follower.poll();
  EXPECT_EQ(follower.history().train.size(), 1u);
  EXPECT_EQ(follower.history().skipped_lines, 0);
  add(line.substr(12));
  EXPECT_TRUE(follower.poll());
  ASSERT_EQ(follower.history().train.size(), 2u);
  EXPECT_DOUBLE_EQ(follower.history().train[1].seconds_left, 12.5);
}

TEST_F(RunLogFollowing, ARunThatGoesOnReplacesItsLog) {
  add(kConfig + train(10, 2) + train(20, 1.5) +
      R"({"event":"end","step":20,"reason":"interrupted"})"
      "\n");
  RunLogFollower follower(log());
  follower.poll();
  EXPECT_TRUE(follower.history().end);
  // As RunLog does it: what came after the checkpoint is gone.
  file("metrics.jsonl", kConfig + train(10, 2));
  EXPECT_TRUE(follower.poll());
  EXPECT_FALSE(follower.history().end);
  ASSERT_EQ(follower.history().train.size(), 1u);
  add(R"({"event":"resume","step":10,"iters":60})"
      "\n" +
      train(20, 1.25));
  follower.poll();
  EXPECT_EQ(follower.history().iters, 60);
  ASSERT_EQ(follower.history().train.size(), 2u);
  EXPECT_DOUBLE_EQ(follower.history().train[1].loss, 1.25);
  // A log that was cut in place is read anew, too.
  std::filesystem::resize_file(log(), kConfig.size());
  EXPECT_TRUE(follower.poll());
  EXPECT_TRUE(follower.history().train.empty());
}

TEST_F(RunLogFollowing, AnOlderRunsLogCanBeLeftAlone) {
  add(kConfig + train(10, 2));
  RunLogFollower follower(log(), true);
  EXPECT_FALSE(follower.poll());
  EXPECT_FALSE(follower.is_there());
  file("metrics.jsonl", kConfig);
  EXPECT_TRUE(follower.poll());
  EXPECT_TRUE(follower.is_there());
}

TEST_F(RunLogFollowing, ReadsWhatTheJudgeDid) {
  add(kConfig +
      R"({"event":"judged","step":20,"pairs":8,"figures":{"agreement":0.75,"consistency":0.5,"x":null},)"
      R"("judgements":[{"question":"<Why>?","answer_a":"a","answer_b":"b","label":"A","verdict":"B",)"
      R"("text":"Since b.","verdict_ba":"A","text_ba":"Since a.","confidence":0.9,"right":false},7]})"
      "\n"
      R"({"event":"judged","step":"x"})"
      "\n"
      R"({"event":"judged","step":40,"figures":[],"judgements":{}})"
      "\n");
  const RunHistory run = read_run_history(dir_);
  ASSERT_EQ(run.judged.size(), 2u);
  EXPECT_EQ(run.skipped_lines, 1);
  const TrialPoint& point = run.judged[0];
  EXPECT_EQ(point.pairs, 8);
  EXPECT_EQ(point.figures.size(), 2u);
  ASSERT_EQ(point.judgements.size(), 1u);
  EXPECT_EQ(point.judgements[0].opinion.exchanged, "A");
  const std::string html = render_html(std::vector{read_report_run(dir_)}, "t");
  for (const char* text : {"Judgements at validations", "Agreement: <b>75.0%</b>", "of 8 pairs",
                           "&lt;Why&gt;?", "Since b.", "exchanged A", "Since a."})
    EXPECT_NE(html.find(text), std::string::npos) << text;
  const std::string markdown = render_markdown(std::vector{read_report_run(dir_)}, "t");
  EXPECT_NE(markdown.find("| 20 | 8 | Agreement 75.0%, Consistency under swap 50.0% |"),
            std::string::npos)
      << markdown;
}

TEST_F(RunLogFollowing, ALineWithoutAnEndDoesNotFillTheMemory) {
  add(std::string(size_t{6} << 20, 'x') + "\n" + train(10, 2));
  const RunHistory run = read_run_history(dir_);
  EXPECT_EQ(run.skipped_lines, 1);
  EXPECT_EQ(run.train.size(), 1u);
}

}  // namespace
}  // namespace gavel
