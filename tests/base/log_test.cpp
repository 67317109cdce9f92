#include "base/log.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

namespace gavel {
namespace {

TEST(Log, GoesToStderr) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  log_to_stderr();
  spdlog::warn("the file {} is old", "x");
  spdlog::default_logger()->flush();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "gavel: warning: the file x is old\n");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

}  // namespace
}  // namespace gavel
