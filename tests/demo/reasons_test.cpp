#include "demo/reasons.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/demo_set.h"
#include "folder_test.h"

namespace gavel {
namespace {

class DemoReasonsMeasured : public FolderTest {
 protected:
  // What a judge writes that gives each pair's own reason; of pair `odd` another one, as A is
  // shown first.
  std::filesystem::path log_of(const std::vector<JudgePair>& pairs, size_t odd,
                               const std::string& said) {
    std::string lines = "{\"settings\": {}}\n";
    for (size_t i = 0; i < pairs.size(); ++i)
      for (const char* judge : {"base", "tuned"}) {
        const bool own = judge == std::string("tuned");
        const nlohmann::json line = {{"judge", judge},
                                     {"index", i},
                                     {"text", !own       ? "I like both."
                                              : i == odd ? said
                                                         : pairs[i].reason},
                                     {"text_ba", own ? swapped(pairs[i]).reason : "I like both."}};
        lines += line.dump() + "\n";
      }
    return file("judgements.jsonl", lines);
  }
};

TEST_F(DemoReasonsMeasured, TheShareOfBothOrdersOfTheJudgeAskedFor) {
  const auto pairs = make_demo_pairs(4, 40);
  const std::string not_true = pairs[3].label == Verdict::a
                                   ? "Answer B is better: answer A is rude."
                                   : "Answer A is better: answer B is rude.";
  const auto path = log_of(pairs, 3, not_true);
  const ReasonCheck tuned = check_reasons(path, "tuned", pairs);
  EXPECT_EQ(tuned.reasons, 80);
  EXPECT_EQ(tuned.hold, 79);
  EXPECT_EQ(tuned.none, 0);
  EXPECT_DOUBLE_EQ(tuned.share.value, 79.0 / 80);
  EXPECT_LT(tuned.share.low, tuned.share.value);
  EXPECT_DOUBLE_EQ(tuned.share.high, 1);
  const auto& form = tuned.forms.at(pairs[3].category);
  EXPECT_EQ(form.of - form.hold, 1);
  EXPECT_EQ(to_text(tuned),
            "reasons that are true: 98.8% [96.2, 100.0] (79 of 80, both orders)\n"
            "not true: " +
                pairs[3].category + " 1 of " + std::to_string(form.of) + "\n");
  const ReasonCheck base = check_reasons(path, "base", pairs);
  EXPECT_EQ(base.hold, 0);
  EXPECT_EQ(base.none, 80);
}

TEST_F(DemoReasonsMeasured, AnotherNumberOfJudgementsIsRefused) {
  auto pairs = make_demo_pairs(4, 40);
  const auto path = log_of(pairs, 0, "");
  EXPECT_THROW(check_reasons(path, "other", pairs), Error);
  pairs.pop_back();
  EXPECT_THROW(check_reasons(path, "tuned", pairs), Error);
}

}  // namespace
}  // namespace gavel
