#include "doctor/doctor.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace gavel {
namespace {

const Finding* find(const std::vector<Finding>& all, const std::string& name) {
  for (const auto& f : all)
    if (f.name == name) return &f;
  return nullptr;
}

TEST(Doctor, EveryProblemHasARemedy) {
  ::setenv("GAVEL_SIMD", "mmx", 1);
  const auto all = examine("1.2 (abc)", "/proc/nothing/hub");
  ::unsetenv("GAVEL_SIMD");
  for (const auto& f : all) EXPECT_EQ(f.problem.empty(), f.remedy.empty()) << f.name;
  EXPECT_EQ(find(all, "gavel")->value, "1.2 (abc)");
  EXPECT_EQ(find(all, "MLX")->problem, "");
  EXPECT_EQ(find(all, "kernels")->problem, "GAVEL_SIMD=mmx is not what is used");
  ASSERT_NE(find(all, "memory"), nullptr);
  EXPECT_GE(count_wrong(all), 1u);
  const auto json = nlohmann::json::parse(findings_json(all));
  EXPECT_EQ(json["wrong"], count_wrong(all));
  EXPECT_EQ(json["findings"].size(), all.size());
  EXPECT_NE(findings_text(all).find("! kernels"), std::string::npos);
}

}  // namespace
}  // namespace gavel
