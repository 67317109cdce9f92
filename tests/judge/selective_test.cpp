#include "judge/selective.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace gavel {
namespace {

Judgement judgement(double confidence, bool right) {
  Judgement j;
  j.label = Verdict::a;
  j.verdict = right ? Verdict::a : Verdict::b;
  Probabilities p{};
  p[right ? 0 : 1] = confidence;
  p[right ? 1 : 0] = 1 - confidence;
  j.probabilities = p;
  return j;
}

// scipy.stats.binom.cdf
TEST(Selective, TheTailIsTheBinomials) {
  EXPECT_NEAR(binomial_tail(0, 28, 0.1), 0.05233476330273605, 1e-13);
  EXPECT_NEAR(binomial_tail(3, 60, 0.1), 0.13739856941965792, 1e-13);
  EXPECT_NEAR(binomial_tail(40, 1000, 0.05), 0.080636573256691, 1e-12);
  EXPECT_NEAR(binomial_tail(5, 5, 0.3), 1, 1e-14);
}

TEST(Selective, TheCurveTakesTheSurestFirstAndEqualsTogether) {
  std::vector<Judgement> judged;
  for (int i = 0; i < 10; ++i) judged.push_back(judgement(0.9, i != 0));
  for (int i = 0; i < 10; ++i) judged.push_back(judgement(0.6, i < 5));
  judged[19].verdict = Verdict::none;  // not sure at all
  const auto curve = coverage_curve(judged);
  ASSERT_EQ(curve.size(), 3u);
  EXPECT_EQ(curve[0].threshold, 0.9);
  EXPECT_EQ(curve[0].coverage, 0.5);
  EXPECT_EQ(curve[0].accuracy, 0.9);
  EXPECT_EQ(curve[1].coverage, 0.95);
  EXPECT_EQ(curve[2].threshold, 0);
  EXPECT_EQ(curve[2].coverage, 1);
  EXPECT_EQ(curve[2].accuracy, 14.0 / 20);
  EXPECT_TRUE(coverage_curve({}).empty());
}

TEST(Selective, AThresholdNeedsEnoughPairs) {
  std::vector<Judgement> judged;
  for (int i = 0; i < 28; ++i) judged.push_back(judgement(0.99 - i * 1e-3, true));
  EXPECT_FALSE(threshold_for(judged, 0.1, 0.95));  // 0.9^28 > 0.05
  judged.push_back(judgement(0.9, true));
  const auto passed = threshold_for(judged, 0.1, 0.95);
  ASSERT_TRUE(passed);
  EXPECT_EQ(passed->threshold, 0.9);
  EXPECT_EQ(passed->coverage, 1);
  for (int i = 0; i < 30; ++i) judged.push_back(judgement(0.6, false));
  EXPECT_EQ(threshold_for(judged, 0.1, 0.95)->threshold, 0.9);
}

// Where an answer of confidence c is right with probability c, the share of draws whose threshold
// lets more errors through than asked for is at most 1 - level.
TEST(Selective, TheGuaranteeHolds) {
  Random random(3);
  constexpr int kDraws = 400;
  int broken = 0, found = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::vector<Judgement> judged;
    for (int i = 0; i < 300; ++i) {
      const double c = 0.5 + 0.5 * random.uniform();
      judged.push_back(judgement(c, random.uniform() < c));
    }
    const auto passed = threshold_for(judged, 0.15, 0.9);
    if (!passed) continue;
    ++found;
    broken += 1 - (1 + passed->threshold) / 2 > 0.15;  // the mean error above it
  }
  EXPECT_GT(found, kDraws / 2);
  EXPECT_LE(broken, kDraws * 0.1 + 2 * 6);  // two standard deviations
  EXPECT_GT(broken, 0);
}

}  // namespace
}  // namespace gavel
