// How good a judge of one answer is, from its ratings. An unreadable rating is wrong everywhere: it
// counts as the value that is farthest from the label.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "judge/metrics.h"
#include "judge/score_metrics.h"

namespace gavel {

// Names of the measures of a form of one answer, in order; the first is the one that judges are
// compared by:
//   score     agreement (the same integer), weighted_kappa (quadratic), spearman, kendall_tau, mae
//             (of the value said), spearman_expected, kendall_tau_expected, mae_expected (of the
//             mean over the probabilities), unparsable, ece, nll, tokens
//   pass      accuracy, tpr, tnr, precision, recall, f1 (of pass), kappa, pass_rate (of the
//             verdicts), unparsable, ece, nll, tokens
//   criteria  agreement (of all criteria), weighted_kappa (the criteria's mean by their weights),
//             total.spearman, total.kendall_tau, total.mae, total.mae_expected (of the mean score
//             by the weights), unparsable, ece, nll, tokens, and NAME.agreement,
//             NAME.weighted_kappa, NAME.spearman, NAME.kendall_tau, NAME.mae, NAME.mae_expected of
//             each
std::vector<std::string> answer_metric_names(const JudgeForm& form);
// Whether any form of one answer may have a measure of this name.
bool is_answer_metric(std::string_view name);
// Whether it is a share from 0 to 1, shown as percent; a criterion's or the total's too.
bool is_answer_share(std::string_view name);

// Their values over the judgements named by `sample`; NaN where not defined.
std::vector<double> measure_answers(const JudgeForm& form, std::span<const Judgement> judgements,
                                    std::span<const uint32_t> sample);
std::vector<Interval> bootstrap_answers(const JudgeForm& form,
                                        std::span<const Judgement> judgements,
                                        const BootstrapOptions& options);

// How honest the probabilities are, where they are known, of all parts together: expected
// calibration error of the values' (10 bins), the label's mean negative log, and the squared
// distance from the label (0 to 2). NaN where none are known.
struct RatingHonesty {
  double ece, nll, brier;
};
RatingHonesty rating_honesty(std::span<const Judgement> judgements,
                             std::span<const uint32_t> sample);

// Whether every part is what people say.
bool is_right(const std::vector<Rating>& ratings);
// The same of a pair's verdict, or of one answer.
bool is_right(const Judgement& judgement);
// The share of such judgements.
double share_right(std::span<const Judgement> judgements);

// Counts by label and by what was said of one part (low..high, then unreadable).
std::vector<std::vector<int64_t>> rating_confusion(std::span<const Judgement> judgements,
                                                   size_t part);

// Two judges on the same answers: as PairedTest, with a difference (second less first) a name.
struct AnswerTest {
  int64_t only_first = 0, only_second = 0;  // answers that one of them has wholly right
  double mcnemar_p = 1;
  std::vector<Interval> difference;
};
AnswerTest compare_answers(const JudgeForm& form, std::span<const Judgement> first,
                           std::span<const Judgement> second, const BootstrapOptions& options);

}  // namespace gavel
