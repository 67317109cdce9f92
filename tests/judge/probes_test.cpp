#include "judge/probes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace gavel {
namespace {

JudgePair pair(Verdict label) {
  JudgePair p;
  p.question = "What is 2 + 2?";
  p.answer_a = "It is 4.";
  p.answer_b = "Five, I think.\n\nOr six.";
  p.label = label;
  return p;
}

TEST(Probes, ChangeTheWorseAnswerAndNothingElse) {
  for (const Verdict label : {Verdict::a, Verdict::b}) {
    const JudgePair before = pair(label);
    for (const Probe& probe : probes()) {
      const JudgePair after = probed(before, probe);
      const bool a_wins = label == Verdict::a;
      EXPECT_EQ(a_wins ? after.answer_a : after.answer_b,
                a_wins ? before.answer_a : before.answer_b);
      EXPECT_NE(a_wins ? after.answer_b : after.answer_a,
                a_wins ? before.answer_b : before.answer_a)
          << probe.name;
      EXPECT_EQ(after.question, before.question);
      EXPECT_EQ(after.label, label);
    }
  }
  const auto changed = [](const char* name) {
    return probed(pair(Verdict::a), *find_probes(name)[0]).answer_b;
  };
  EXPECT_EQ(changed("markup"), "## Answer\n\n- **Five, I think.**\n- **Or six.**\n\n---\n");
  EXPECT_EQ(changed("empty"), "");
  EXPECT_EQ(changed("echo"), "What is 2 + 2?");
}

Judgement rated(int label, std::optional<int> value, std::vector<double> probabilities = {}) {
  Judgement j;
  j.ratings = {{1, 3, label, value, std::move(probabilities)}};
  return j;
}

TEST(Probes, OfOneAnswerDressItUpWhereItsScoreCanRise) {
  JudgePair answer;
  answer.single = true;
  answer.question = "What is 2 + 2?";
  answer.answer_a = "Five.";
  EXPECT_EQ(probed(answer, *find_probes("echo")[0]).answer_a, "What is 2 + 2?");
  EXPECT_EQ(probed(answer, *find_probes("echo")[0]).answer_b, "");
  const std::vector<JudgePair> answers(5, answer);
  // Not the one that people, nor the one that the judge gives the best, nor an unreadable one.
  const std::vector<Judgement> before = {rated(1, 2, {0.2, 0.6, 0.2}), rated(3, 2), rated(2, 3),
                                         rated(1, std::nullopt), rated(2, 1, {0.7, 0.2, 0.1})};
  EXPECT_EQ(probed_pairs(answers, before), (std::vector<size_t>{0, 4}));
}

TEST(Probes, OfOneAnswerCountWhatRises) {
  const auto parts = rated_parts(parse_form("score 1..3", "t", 1));
  const std::vector<Judgement> before = {rated(1, 2, {0.2, 0.6, 0.2}), rated(2, 1, {0.7, 0.2, 0.1}),
                                         rated(1, 1), rated(1, 1, {1, 0, 0})};
  const std::vector<Judgement> after = {rated(1, 3, {0, 0.2, 0.8}), rated(2, 1, {0.8, 0.1, 0.1}),
                                        rated(1, 2), rated(1, std::nullopt)};
  BootstrapOptions options;
  options.resamples = 100;
  const ProbeResult r = measure_answer_probe(probes()[0], parts, before, after, options);
  EXPECT_EQ(r.pairs, 4);
  EXPECT_EQ(r.flipped, 2);
  EXPECT_DOUBLE_EQ(r.rate.value, 0.5);
  // Where no probabilities are known the value stands for the mean; the unreadable one is left out.
  EXPECT_NEAR(r.change.value, ((2.8 - 2.0) + (1.3 - 1.4) + 1) / 3, 1e-12);
  EXPECT_THROW(measure_answer_probe(probes()[0], parts, before, {}, options), Error);
}

TEST(Probes, OfPassOrFailAskAboutWhatIsRightlyFailed) {
  const auto form = parse_form("pass pass fail", "t", 1);
  const auto judged = [&](int label, int value, double p) {
    Judgement j;
    j.ratings = {{0, 1, label, value, {1 - p, p}}};
    return j;
  };
  JudgePair answer;
  answer.single = true;
  const std::vector<JudgePair> answers(3, answer);
  const std::vector<Judgement> before = {judged(0, 0, 0.1), judged(1, 0, 0.4), judged(0, 1, 0.8)};
  EXPECT_EQ(probed_pairs(answers, before), (std::vector<size_t>{0}));
  const std::vector<Judgement> one = {before[0]}, after = {judged(0, 1, 0.7)};
  BootstrapOptions options;
  options.resamples = 10;
  const auto r = measure_answer_probe(probes()[0], rated_parts(form), one, after, options);
  EXPECT_EQ(r.flipped, 1);
  EXPECT_NEAR(r.change.value, 0.6, 1e-12);
}

TEST(Probes, AreNamedOrAll) {
  EXPECT_EQ(find_probes("all").size(), probes().size());
  EXPECT_EQ(find_probes("markup, empty").size(), 2u);
  for (const char* bad : {"", "padding,", "shouting"}) EXPECT_THROW(find_probes(bad), UsageError);
}

TEST(Probes, CountWhatFlipsAmongWhatWasRight) {
  const std::vector<JudgePair> pairs = {pair(Verdict::a), pair(Verdict::b), pair(Verdict::tie),
                                        pair(Verdict::a), pair(Verdict::a)};
  std::vector<Judgement> judged(pairs.size());
  const Verdict verdicts[] = {Verdict::a, Verdict::a, Verdict::tie, Verdict::a, Verdict::a};
  for (size_t i = 0; i < pairs.size(); ++i) {
    judged[i].label = *pairs[i].label;
    judged[i].verdict = verdicts[i];
  }
  EXPECT_EQ(probed_pairs(pairs, judged), (std::vector<size_t>{0, 3, 4}));
  std::vector<Judgement> after(3);
  for (Judgement& j : after) j.label = Verdict::a;
  after[0].verdict = Verdict::a;
  after[1].verdict = Verdict::b;
  after[2].verdict = Verdict::tie;
  const ProbeResult result = measure_probe(probes()[0], after, 0.95);
  EXPECT_EQ(result.pairs, 3);
  EXPECT_EQ(result.flipped, 2);
  EXPECT_EQ(result.to_worse, 1);
}

// scipy.stats.binomtest(k, n).proportion_ci(level, method="wilson")
TEST(Probes, IntervalsAreWilsons) {
  const Interval half = wilson_interval(7, 20, 0.95);
  EXPECT_NEAR(half.low, 0.1811918241010821, 1e-12);
  EXPECT_NEAR(half.high, 0.5671457233147637, 1e-12);
  const Interval none = wilson_interval(0, 9, 0.9);
  EXPECT_NEAR(none.low, 0.0, 1e-12);
  EXPECT_NEAR(none.high, 0.23113351931975662, 1e-12);
  EXPECT_TRUE(std::isnan(wilson_interval(0, 0, 0.9).value));
}

}  // namespace
}  // namespace gavel
