#include "judge/paraphrase.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "fake_judge.h"

namespace gavel {
namespace {

BootstrapOptions few() {
  BootstrapOptions options;
  options.resamples = 200;
  return options;
}

TEST(Paraphrase, RewordingsSayTheSameInOtherWords) {
  const JudgeTemplate& standard = JudgeTemplate::standard();
  const auto found = find_paraphrases("", standard);
  ASSERT_EQ(found.size(), 2u);
  JudgePair pair = testing::pair_of("QQ", "AA", "BB", Verdict::a);
  pair.reference = "RR";
  for (const Paraphrase& p : found) {
    EXPECT_EQ(p.prompt.verdict_lead(), standard.verdict_lead());
    EXPECT_EQ(p.prompt.target_text(pair), standard.target_text(pair));
    const std::string user = p.prompt.to_messages(pair).back().content;
    EXPECT_NE(user, standard.to_messages(pair).back().content);
    for (const char* text : {"QQ", "AA", "BB", "RR", "tie"})
      EXPECT_NE(user.find(text), std::string::npos) << user;
    EXPECT_LT(user.find("AA"), user.find("BB"));
  }
  EXPECT_NE(found[0].in_log, found[1].in_log);
  EXPECT_THROW(find_paraphrases("", JudgeTemplate::standard(FormKind::rank)), UsageError);
}

TEST(Paraphrase, FilesMustBeOfTheJudgesForm) {
  const auto dir =
      std::filesystem::temp_directory_path() / ("gavel_paraphrase_" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  const std::string own = dir / "own.txt", rank = dir / "rank.txt";
  std::ofstream(own) << JudgeTemplate::standard().source();
  std::ofstream(rank) << JudgeTemplate::standard(FormKind::rank).source();
  const auto found = find_paraphrases(own, JudgeTemplate::standard());
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].name, "own.txt");
  EXPECT_EQ(find_paraphrases(rank, JudgeTemplate::standard(FormKind::rank)).size(), 1u);
  EXPECT_THROW(find_paraphrases(rank, JudgeTemplate::standard()), Error);
  EXPECT_THROW(find_paraphrases(own + "," + own, JudgeTemplate::standard()), Error);
  EXPECT_THROW(find_paraphrases(dir / "none.txt", JudgeTemplate::standard()), Error);
  EXPECT_THROW(find_paraphrases(",", JudgeTemplate::standard()), UsageError);
  std::filesystem::remove_all(dir);
}

TEST(Paraphrase, OfOneAnswerAllPartsMustStay) {
  const auto rated = [](std::optional<int> first, std::optional<int> second) {
    Judgement j;
    j.ratings = {{1, 5, 2, first, {}}, {1, 5, 3, second, {}}};
    return j;
  };
  const std::vector<Judgement> before = {rated(2, 3), rated(2, 3), rated(2, std::nullopt),
                                         rated(4, 4)};
  const std::vector<Judgement> after = {rated(2, 3), rated(2, 4), rated(2, std::nullopt),
                                        rated(4, 4)};
  BootstrapOptions options;
  options.resamples = 20;
  const auto result = measure_paraphrase("t", before, after, options);
  EXPECT_DOUBLE_EQ(result.same.value, 0.5);  // what cannot be read is the same as none
  EXPECT_DOUBLE_EQ(result.agreement.value, 0.25);
  EXPECT_DOUBLE_EQ(same_by_all(before, std::vector{after, before}, options).value, 0.5);
}

TEST(Paraphrase, CountsTheVerdictsThatStay) {
  std::vector<Judgement> before(20), first(20), second(20);
  for (size_t i = 0; i < before.size(); ++i) {
    for (auto* set : {&before, &first, &second}) (*set)[i].label = Verdict::a;
    before[i].verdict = i < 10 ? Verdict::a : Verdict::b;
    first[i].verdict = i < 15 ? before[i].verdict : Verdict::tie;  // 15 of 20 stay, 10 are right
    second[i].verdict = i < 5 ? Verdict::b : before[i].verdict;
  }
  before[19].verdict = second[19].verdict = Verdict::none;  // unreadable is not the same
  const ParaphraseResult a = measure_paraphrase("a", before, first, few());
  const ParaphraseResult b = measure_paraphrase("b", before, second, few());
  EXPECT_DOUBLE_EQ(a.same.value, 0.75);
  EXPECT_DOUBLE_EQ(a.agreement.value, 0.5);
  EXPECT_DOUBLE_EQ(b.same.value, 0.7);
  EXPECT_LT(a.same.low, 0.75);
  EXPECT_GT(a.same.high, 0.75);
  const std::vector<std::vector<Judgement>> both = {first, second};
  const Interval all = same_by_all(before, both, few());
  EXPECT_DOUBLE_EQ(all.value, 0.5);
  const nlohmann::ordered_json evaluation = {
      {"examples", 20},
      {"judges",
       {{{"name", "tuned"},
         {"metrics", {{"agreement", interval_json({0.5, 0.25, 0.75})}}},
         {"paraphrases", paraphrases_json({{a, b}, all})}}}}};
  const EvalTable table = paraphrases_table(evaluation);
  ASSERT_EQ(table.rows.size(), 5u);
  EXPECT_EQ(table.rows[1][1], "its own");
  EXPECT_EQ(table.rows[2][3].substr(0, 6), "75.0 [");
  EXPECT_EQ(table.rows[4][3].substr(0, 6), "50.0 [");
}

}  // namespace
}  // namespace gavel
