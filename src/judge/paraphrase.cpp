#include "judge/paraphrase.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/random.h"
#include "judge/answer_metrics.h"
#include "judge/score_metrics.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

// What the standard template says, twice in other words; the verdict is written as there.
constexpr std::string_view kFirst = R"([system]
You compare answers impartially.
[user]
Here is a question and two answers to it.

[Question]
{question}

[Answer A]
{answer_a}

[Answer B]
{answer_b}

{?reference}
[Reference answer]
{reference}

{/reference}
Decide which of the two is of higher quality. Give your reasons first; the last line must be **Verdict:** followed by A, B or tie.
[assistant]
{?reason}
{reason}

{/reason}
**Verdict:** {label}
)";

constexpr std::string_view kSecond = R"([user]
Two assistants were asked the following.

{question}

The reply of assistant A:
{answer_a}

The reply of assistant B:
{answer_b}

{?reference}
A reply that is known to be good:
{reference}

{/reference}
As a strict and neutral examiner, say which assistant served the user better, and on what grounds. Close with **Verdict:** and one of A, B, tie.
[assistant]
{?reason}
{reason}

{/reason}
**Verdict:** {label}
)";

Paraphrase with_name(const std::string& name, JudgeTemplate prompt) {
  std::string in_log = fmt::format("{}, {:016x}", name, stable_hash(prompt.source()));
  return {name, std::move(in_log), std::move(prompt)};
}

bool same(const Judgement& x, const Judgement& y) {
  const auto values = values_of(x.ratings);
  if (!values.empty())
    return values == values_of(y.ratings) &&
           std::all_of(values.begin(), values.end(), [](const auto& v) { return v.has_value(); });
  return x.verdict != Verdict::none && x.verdict == y.verdict;
}

Interval share_of(size_t pairs, const BootstrapOptions& options,
                  const std::function<bool(size_t i)>& holds) {
  return bootstrap_interval(pairs, options, [&](std::span<const uint32_t> sample) {
    double count = 0;
    for (const uint32_t i : sample) count += holds(i) ? 1 : 0;
    return count / static_cast<double>(sample.size());
  });
}

}  // namespace

std::vector<Paraphrase> find_paraphrases(const std::string& asked, const JudgeTemplate& prompt) {
  std::vector<Paraphrase> out;
  if (asked.empty()) {
    if (prompt.form().kind != FormKind::pair)
      throw UsageError(
          "--paraphrase without a file rewords templates of pairs, which this judge's is not: name "
          "template files");
    out.push_back(with_name("reworded 1", JudgeTemplate::parse(kFirst, "the first rewording")));
    out.push_back(with_name("reworded 2", JudgeTemplate::parse(kSecond, "the second rewording")));
    return out;
  }
  std::istringstream list(asked);
  for (std::string file; std::getline(list, file, ',');) {
    if (file.empty()) continue;
    Paraphrase p =
        with_name(std::filesystem::path(file).filename().string(), JudgeTemplate::from_file(file));
    if (!(p.prompt.form() == prompt.form()))
      fail("--paraphrase {}: the template is of another form than the judge's", file);
    for (const Paraphrase& other : out)
      if (other.in_log == p.in_log) fail("--paraphrase {}: the same template comes twice", file);
    out.push_back(std::move(p));
  }
  if (out.empty()) throw UsageError("--paraphrase names no file");
  return out;
}

ParaphraseResult measure_paraphrase(const std::string& name, std::span<const Judgement> before,
                                    std::span<const Judgement> after,
                                    const BootstrapOptions& options) {
  if (before.size() != after.size())
    fail("{} judgements are not those of the {} pairs before", after.size(), before.size());
  ParaphraseResult result{name, static_cast<int64_t>(before.size()), {}, {}};
  result.same =
      share_of(before.size(), options, [&](size_t i) { return same(before[i], after[i]); });
  result.agreement = share_of(before.size(), options, [&](size_t i) { return is_right(after[i]); });
  return result;
}

Interval same_by_all(std::span<const Judgement> before,
                     std::span<const std::vector<Judgement>> after,
                     const BootstrapOptions& options) {
  return share_of(before.size(), options, [&](size_t i) {
    bool all = true;
    for (const auto& judgements : after) all = all && same(before[i], judgements[i]);
    return all;
  });
}

Json paraphrases_json(const ParaphraseReport& report) {
  Json templates = Json::array();
  for (const ParaphraseResult& r : report.results)
    templates.push_back({{"template", r.name},
                         {"pairs", r.pairs},
                         {"same", interval_json(r.same)},
                         {"agreement", interval_json(r.agreement)}});
  return {{"templates", std::move(templates)}, {"same_by_all", interval_json(report.by_all)}};
}

EvalTable paraphrases_table(const Json& evaluation) {
  TableRows rows = {{"judge", "template", evaluation.contains("parts") ? "answers" : "pairs",
                     "same verdict %", "agreement %"}};
  for (const Json& judge : evaluation["judges"]) {
    if (!judge.contains("paraphrases")) continue;
    const Json& p = judge["paraphrases"];
    const Json& metrics = judge["metrics"];
    rows.push_back(
        {judge["name"], "its own", evaluation["examples"].dump(), "",
         percent_with_interval(metrics[metrics.contains("agreement") ? "agreement" : "accuracy"])});
    for (const Json& t : p["templates"])
      rows.push_back({judge["name"], t["template"], t["pairs"].dump(),
                      percent_with_interval(t["same"]), percent_with_interval(t["agreement"])});
    rows.push_back({judge["name"], "all of them", evaluation["examples"].dump(),
                    percent_with_interval(p["same_by_all"]), ""});
  }
  return {"Verdicts under other words of the template", "", std::move(rows)};
}

}  // namespace gavel
