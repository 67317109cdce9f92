#include "judge/reason.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "judge/score_metrics.h"
#include "judge/verdict_reader.h"
#include "text/thought.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;
using verdict::Finding;
using verdict::Reader;

// [begin, end) of the sentence that holds `at`: from the sentence's or line's start to the line's
// end, since what follows a verdict on its line is about it.
std::pair<size_t, size_t> sentence_around(std::string_view text, size_t at) {
  size_t begin = at;
  while (begin > 0 && text[begin - 1] != '\n') {
    const bool blank = text[begin - 1] == ' ' && begin > 1;
    if (blank && std::string_view(".!?;").find(text[begin - 2]) != std::string_view::npos) break;
    --begin;
  }
  return {begin, std::min(text.find('\n', at), text.size())};
}

// The line of the first or the last character that is not blank.
std::pair<size_t, size_t> outer_line(std::string_view text, bool last) {
  const char* blanks = " \t\r\n";
  const size_t at = last ? text.find_last_not_of(blanks) : text.find_first_not_of(blanks);
  if (at == std::string_view::npos) return {0, 0};
  const size_t before = text.rfind('\n', at);
  return {before == std::string_view::npos ? 0 : before + 1,
          std::min(text.find('\n', at), text.size())};
}

// Where the verdict stands that is not merely a sentence of the reason; nothing where it is.
std::optional<std::pair<size_t, size_t>> stated_at(std::string_view text, const Reader& reader) {
  const auto around = [&](const Finding& found, bool last) {
    return found.label == verdict::kNowhere
               ? outer_line(text, last)
               : sentence_around(text, std::min(reader.at(found.label).begin, text.size()));
  };
  if (const Finding found = reader.statement()) return around(found, true);
  if (parse_scores(text)) return outer_line(text, false);
  if (reader.scores_of_answers(false)) return std::pair<size_t, size_t>{0, 0};
  if (const Finding found = reader.last_line()) return around(found, true);
  if (const Finding found = reader.first_line()) return around(found, false);
  return std::nullopt;
}

}  // namespace

Verdict reason_verdict(std::string_view text, std::string_view prompt) {
  constexpr size_t kTagBytes = 64;  // more than a tag and the white space after it
  const bool thinking =
      !open_thought(prompt.substr(prompt.size() - std::min(prompt.size(), kTagBytes))).empty();
  const auto begin = after_thought(text, thinking);
  if (!begin) return Verdict::none;
  const std::string_view answer = text.substr(*begin);
  const auto stated = stated_at(answer, Reader(verdict::tokenize(answer, 0)));
  if (!stated) return Verdict::none;
  std::string reason(answer.substr(0, stated->first));
  reason += "\n";
  reason += answer.substr(stated->second);
  return Reader(verdict::tokenize(reason, 0)).sentence().verdict;
}

ReasonAgreement reason_agreement(std::span<const Judgement> judgements,
                                 const BootstrapOptions& options) {
  struct Count {
    int64_t written = 0, preferring = 0, against = 0;
    void add(Verdict verdict, Verdict reason) {
      if (verdict != Verdict::a && verdict != Verdict::b) return;
      ++written;
      if (reason != Verdict::a && reason != Verdict::b) return;
      ++preferring;
      against += reason != verdict;
    }
    void add(const Judgement& j) {
      add(j.first_order, j.reasons[0]);
      if (j.second_order) add(*j.second_order, j.reasons[1]);
    }
  };
  Count all;
  for (const Judgement& j : judgements) all.add(j);
  const Interval against =
      bootstrap_interval(judgements.size(), options, [&](std::span<const uint32_t> sample) {
        Count count;
        for (const uint32_t i : sample) count.add(judgements[i]);
        return count.preferring > 0
                   ? static_cast<double>(count.against) / static_cast<double>(count.preferring)
                   : std::nan("");
      });
  return {all.written, all.preferring, against};
}

Json reasons_json(std::span<const Judgement> judgements, const BootstrapOptions& options) {
  const ReasonAgreement r = reason_agreement(judgements, options);
  if (r.preferring == 0) return nullptr;
  return {
      {"written", r.written}, {"preferring", r.preferring}, {"against", interval_json(r.against)}};
}

EvalTable reasons_table(const Json& evaluation) {
  TableRows rows = {
      {"judge", "verdicts A or B", "reason prefers an answer", "of these the other one %"}};
  for (const Json& judge : evaluation["judges"])
    if (judge.contains("reasons"))
      rows.push_back({judge["name"], judge["reasons"]["written"].dump(),
                      judge["reasons"]["preferring"].dump(),
                      percent_with_interval(judge["reasons"]["against"])});
  return {"Reasons that speak for the other answer than their verdict",
          "By the last sentence of the reason that prefers an answer; both orders count.",
          std::move(rows)};
}

}  // namespace gavel
