#include "base/progress.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace gavel {
namespace {

TEST(Progress, WritesNumbersAndTimesForReaders) {
  EXPECT_EQ(grouped_digits(0), "0");
  EXPECT_EQ(grouped_digits(999), "999");
  EXPECT_EQ(grouped_digits(1000), "1,000");
  EXPECT_EQ(grouped_digits(-1234567), "-1,234,567");
  EXPECT_EQ(duration_text(0.2), "0 s");
  EXPECT_EQ(duration_text(59.6), "1 min 0 s");
  EXPECT_EQ(duration_text(7500), "2 h 5 min");
  EXPECT_EQ(rate_text(0.416), "0.42");
  EXPECT_EQ(rate_text(7.46), "7.5");
  EXPECT_EQ(rate_text(41.7), "42");
  EXPECT_EQ(rate_text(1234.4), "1,234");
}

TEST(Progress, WritesOneLineWhereItEndsAndIsNoTerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("Reading", 10, "rows");
    for (int i = 0; i <= 10; ++i) progress.update(i);
    progress.finish();
    progress.finish();
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("Reading: 10 rows, "), 0u) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Progress, WritesNothingWhereThatIsAskedAndIsNoTerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("Training", 10, "iterations", 0, PlainLines::none);
    progress.update(3, 12.0);
    progress.clear();
    progress.finish();
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Progress, WhatAnEarlierRunDidSaysNothingOfTheSpeed) {
  testing::internal::CaptureStderr();
  Progress("Judging", 1000000, "pairs", 1000000).finish();
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("Judging: 1,000,000 pairs, 0.00/s, "), 0u) << text;
}

}  // namespace
}  // namespace gavel
