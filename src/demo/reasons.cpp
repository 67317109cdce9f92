#include "demo/reasons.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "data/demo_reasons.h"
#include "data/jsonl.h"
#include "judge/score_metrics.h"

namespace gavel {
namespace {

constexpr size_t kLargestLog = size_t{1} << 30;

}  // namespace

ReasonCheck check_reasons(const std::filesystem::path& judgements, const std::string& judge,
                          std::span<const JudgePair> pairs, const BootstrapOptions& options) {
  ReasonCheck check;
  std::vector<double> held;  // of each pair, the share of its reasons
  for_each_line(read_file(judgements, kLargestLog), [&](int64_t line, std::string_view text) {
    const auto j = parse_json(text);
    if (!j.is_object() || j.value("judge", nlohmann::ordered_json()) != judge) return;
    const auto index = j.value("index", int64_t{-1});
    if (index < 0 || static_cast<size_t>(index) >= pairs.size())
      fail("{}: no test pair has the index {}", file_line(judgements, line), index);
    const JudgePair& pair = pairs[static_cast<size_t>(index)];
    auto& form = check.forms[pair.category];
    int64_t hold = 0;
    for (const bool exchanged : {false, true}) {
      const StatedFact fact = check_reason(exchanged ? swapped(pair) : pair,
                                           j.value(exchanged ? "text_ba" : "text", std::string()));
      hold += fact == StatedFact::holds ? 1 : 0;
      check.none += fact == StatedFact::none ? 1 : 0;
    }
    check.reasons += 2;
    check.hold += hold;
    form.hold += hold;
    form.of += 2;
    held.push_back(static_cast<double>(hold) / 2);
  });
  if (held.size() != pairs.size())
    fail("{} has {} judgements of {}, not one for each of {} pairs", judgements.string(),
         held.size(), judge, pairs.size());
  check.share = bootstrap_mean(held, options);
  return check;
}

std::string to_text(const ReasonCheck& check) {
  std::string out =
      fmt::format("reasons that are true: {:.1f}% [{:.1f}, {:.1f}] ({} of {}, both orders",
                  100 * check.share.value, 100 * check.share.low, 100 * check.share.high,
                  check.hold, check.reasons);
  out += check.none > 0 ? fmt::format("; {} state nothing that can be looked up)\n", check.none)
                        : ")\n";
  std::string wrong;
  for (const auto& [form, count] : check.forms)
    if (count.hold < count.of)
      wrong += fmt::format("{}{} {} of {}", wrong.empty() ? "" : ", ", form, count.of - count.hold,
                           count.of);
  return wrong.empty() ? out : out + "not true: " + wrong + "\n";
}

}  // namespace gavel
