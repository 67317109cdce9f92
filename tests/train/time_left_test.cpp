#include "train/time_left.h"

#include <gtest/gtest.h>

namespace gavel {
namespace {

TEST(TimeLeft, CountsIterationsAndTheValidationsThatAreStillToCome) {
  TimeLeft left(100, 20);
  EXPECT_FALSE(left.after(0));
  left.iterations(10, 5.0);
  EXPECT_DOUBLE_EQ(*left.after(10), 90 * 0.5);
  left.validation(3.0);
  // Validated after 20, 40, 60, 80 and at the end.
  EXPECT_DOUBLE_EQ(*left.after(10), 90 * 0.5 + 5 * 3.0);
  EXPECT_DOUBLE_EQ(*left.after(20), 80 * 0.5 + 5 * 3.0);
  EXPECT_DOUBLE_EQ(*left.after(21), 79 * 0.5 + 4 * 3.0);
  EXPECT_DOUBLE_EQ(*left.after(100), 3.0);
}

TEST(TimeLeft, FollowsAChangeOfSpeed) {
  TimeLeft left(1000, 0);
  left.iterations(10, 1.0);
  for (int i = 0; i < 20; ++i) left.iterations(10, 2.0);
  EXPECT_NEAR(*left.after(0), 200.0, 2.0);
}

}  // namespace
}  // namespace gavel
