// Whether verdicts stay the same where the judging template says the same in other words.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "data/judge_prompt.h"
#include "judge/eval_tables.h"
#include "judge/metrics.h"

namespace gavel {

struct Paraphrase {
  std::string name;    // "reworded 1", "reworded 2", or the file's
  std::string in_log;  // the name and a hash of the template: another text is another judge
  JudgeTemplate prompt = JudgeTemplate::standard();
};

// `asked`: "" for the two that are built in, or template files with commas between. Throws Error
// where a file is no template, or of another form than `prompt`, whose form it must judge by;
// UsageError where the built-in ones are asked for and `prompt` is not of the form pair.
std::vector<Paraphrase> find_paraphrases(const std::string& asked, const JudgeTemplate& prompt);

// Verdicts on the same pairs, or what is said of the same answers in all their parts, by another
// template. An unreadable verdict is the same as none.
struct ParaphraseResult {
  std::string name;
  int64_t pairs = 0;
  Interval same;       // share of pairs with the same readable verdict
  Interval agreement;  // with the label, by the paraphrase
};
ParaphraseResult measure_paraphrase(const std::string& name, std::span<const Judgement> before,
                                    std::span<const Judgement> after,
                                    const BootstrapOptions& options);
// Share of pairs whose verdict is the same by all templates.
Interval same_by_all(std::span<const Judgement> before,
                     std::span<const std::vector<Judgement>> after,
                     const BootstrapOptions& options);

// What is known of one judge.
struct ParaphraseReport {
  std::vector<ParaphraseResult> results;
  Interval by_all;
};
// `paraphrases` of a judge in eval.json, and the table of all judges.
nlohmann::ordered_json paraphrases_json(const ParaphraseReport& report);
EvalTable paraphrases_table(const nlohmann::ordered_json& evaluation);

}  // namespace gavel
