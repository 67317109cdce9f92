#include "judge/gate.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

std::string refused(const std::string& text) {
  try {
    parse_requirements(text);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

TEST(Gate, RequirementsAreReadOrRefused) {
  const auto two = parse_requirements(" kappa >= 0.6, ece<=1e-1");
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].metric, "kappa");
  EXPECT_TRUE(two[0].at_least);
  EXPECT_EQ(two[0].bound, 0.6);
  EXPECT_EQ(two[1].metric, "ece");
  EXPECT_FALSE(two[1].at_least);
  EXPECT_EQ(two[1].bound, 0.1);
  for (const char* bad : {"", "kappa", "kappa>0.6", "kappa=0.6", "kappa>=", "kappa>=x",
                          "kappa>=nan", "kappa>=0.6,", "kappa>=0.6 0.7"})
    EXPECT_NE(refused(bad), "") << bad;
  EXPECT_NE(refused("kapa>=0.6").find("agreement_balanced"), std::string::npos);
}

Json metric(double value, double low, double high) {
  return {{"value", value}, {"low", low}, {"high", high}};
}

TEST(Gate, TheWorseEndOfTheIntervalCounts) {
  const Json base = {{"name", "base"}, {"adapter", ""}, {"metrics", {{"kappa", metric(0, 0, 0)}}}};
  const Json tuned = {
      {"name", "a<b"},
      {"adapter", "judge"},
      {"metrics",
       {{"kappa", metric(0.7, 0.6, 0.8)},
        {"ece", metric(0.05, 0.02, 0.11)},
        {"tie_recall", {{"value", nullptr}, {"low", nullptr}, {"high", nullptr}}}}}};
  const Json evaluation = {{"judges", {base, tuned}}};
  const auto passed = [&](const std::string& text) {
    const auto results = check_requirements(evaluation, parse_requirements(text));
    EXPECT_EQ(results.size(), 1u);
    return results[0].passed;
  };
  EXPECT_TRUE(passed("kappa>=0.6"));
  EXPECT_FALSE(passed("kappa>=0.61"));
  EXPECT_TRUE(passed("kappa<=0.8"));
  EXPECT_FALSE(passed("ece<=0.1"));
  EXPECT_FALSE(passed("tie_recall>=0"));  // not defined
  EXPECT_FALSE(passed("brier<=2"));
  const std::string xml =
      junit_xml(check_requirements(evaluation, parse_requirements("kappa>=0.6,ece<=0.1")));
  EXPECT_NE(xml.find("tests=\"2\" failures=\"1\""), std::string::npos) << xml;
  EXPECT_NE(xml.find("classname=\"a&lt;b\" name=\"ece&lt;=0.1\""), std::string::npos) << xml;
  // Alone, the base model is what is asked about.
  EXPECT_EQ(check_requirements({{"judges", {base}}}, parse_requirements("kappa>=0")).size(), 1u);
}

}  // namespace
}  // namespace gavel
