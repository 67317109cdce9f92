#include "base/spelling.h"

#include <gtest/gtest.h>

namespace gavel {
namespace {

TEST(Spelling, DistancesAreThoseOfOptimalStringAlignment) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("--dtaa", "--data"), 1);  // neighbours exchanged
  EXPECT_EQ(edit_distance("ca", "abc"), 3);         // not 2: nothing is edited twice
  EXPECT_EQ(edit_distance("", "abc"), 3);
}

TEST(Spelling, NearestIsNoGuessInTheDark) {
  EXPECT_EQ(nearest("trian", {"train", "prepare"}), "train");
  EXPECT_EQ(nearest("--lr", {"--lora-rank", "--learning-rate"}), "");
  EXPECT_EQ(nearest("--modle", {"--mode", "--model"}), "--model");
}

}  // namespace
}  // namespace gavel
