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
