// The templates that are built in.
#include <string>

#include "base/error.h"
#include "data/judge_prompt.h"

namespace gavel {
namespace {

constexpr std::string_view kStandard =
    R"(Placeholders: question, answer_a, answer_b, reference; in [assistant]: reason, label.
[system]
You are a fair judge of answers.
[user]
Question: {question}

Answer A: {answer_a}

Answer B: {answer_b}

{?reference}
Reference answer: {reference}

{/reference}
Which answer is better? Explain why, then conclude with **Verdict:** A, B or tie.
[assistant]
{?reason}
{reason}

{/reason}
**Verdict:** {label}
)";

constexpr std::string_view kRank =
    R"(Each answer is read alone; of a pair, the one of the greater log-odds of yes over no is the better.
[form]
rank yes no
[system]
You are a fair judge of answers.
[user]
Question: {question}

{?reference}
Reference answer: {reference}

{/reference}
Answer: {answer}

Is this a good answer?
[assistant]
**Verdict:** {label}
)";

constexpr std::string_view kScore = R"(One answer, and how good it is.
[form]
score 1..5
1: very bad
3: middling
5: very good
[system]
You are a fair judge of answers.
[user]
Question: {question}

{?reference}
Reference answer: {reference}

{/reference}
Answer: {answer}

{?rubric}
Criterion: {rubric}

{/rubric}
How good is the answer? Explain why, then conclude with **Score:** and an integer.
The scale is {scale}
[assistant]
{?reason}
{reason}

{/reason}
**Score:** {label}
)";

constexpr std::string_view kPass = R"(One answer, and whether it will do.
[form]
pass pass fail
[system]
You are a fair judge of answers.
[user]
Question: {question}

{?reference}
Reference answer: {reference}

{/reference}
Answer: {answer}

{?rubric}
Criterion: {rubric}

{/rubric}
Does the answer pass? Explain why, then conclude with **Verdict:** pass or fail.
[assistant]
{?reason}
{reason}

{/reason}
**Verdict:** {label}
)";

}  // namespace

JudgeTemplate JudgeTemplate::standard_of_scale(std::string_view scale) {
  std::string source(kScore);
  const size_t begin = source.find("score 1..5\n"), end = source.find("[system]");
  source.replace(begin, end - begin, fmt::format("score {}\n", scale));
  return parse(source, "--scale");
}

const JudgeTemplate& JudgeTemplate::standard() {
  static const JudgeTemplate standard = parse(kStandard, "the standard judging template");
  return standard;
}

const JudgeTemplate& JudgeTemplate::standard(FormKind kind) {
  static const JudgeTemplate rank = parse(kRank, "the built-in template of the form rank");
  static const JudgeTemplate score = parse(kScore, "the built-in template of the form score");
  static const JudgeTemplate pass = parse(kPass, "the built-in template of the form pass");
  switch (kind) {
    case FormKind::rank:
      return rank;
    case FormKind::score:
      return score;
    case FormKind::pass:
      return pass;
    case FormKind::pair:
      return standard();
    case FormKind::criteria:
      break;
  }
  fail("the form criteria has no built-in template: its criteria stand in a template of your own");
}

}  // namespace gavel
