#include "what_to_do.h"

#include <gtest/gtest.h>

namespace gavel::testing {
namespace {

TEST(WhatToDo, NamesTheTestAndWhoMadeItsGoldens) {
  const std::string table =
      "| golden | made by | from |\n|---|---|---|\n"
      "| `score_metrics.json` | `golden_score_metrics.py` | krippendorff |\n"
      "| `metrics.json` | `golden_metrics.py` | scikit-learn, scipy |\n"
      "| `rows/`: as Parquet | `golden_rows.py` | pyarrow |\n| `x` | none | |\n";
  const auto said = [&](const std::string& source) {
    return what_to_do("build/tests/a_tests", "A.B", source, table);
  };
  EXPECT_EQ(said("TEST(A, B)"),
            "What to do: build/tests/a_tests --gtest_filter='A.B' runs this test alone.");
  EXPECT_NE(said(R"(read("/metrics.json"))")
                .find("tests/golden/metrics.json, are by scikit-learn, scipy "
                      "(scripts/golden_metrics.py writes them)"),
            std::string::npos)
      << said(R"(read("/metrics.json"))");
  EXPECT_EQ(said(R"(read("/score_metrics.json"))").find("golden_metrics.py"), std::string::npos);
  EXPECT_EQ(said(R"(dir / "metrics.jsonl")").find("golden_metrics.py"), std::string::npos);
  EXPECT_NE(said(R"(path / "rows")").find("golden_rows.py"), std::string::npos);
}

}  // namespace
}  // namespace gavel::testing
