// What an evaluation leaves behind, read for the report: eval.json (the numbers, written by
// `gavel eval`, see docs/judge.md) and judgements.jsonl (every judged pair).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gavel {

struct MetricInterval {
  // NaN where not known.
  double value = std::numeric_limits<double>::quiet_NaN(), low = value, high = value;
};

struct ReliabilityPoint {
  double low = 0, high = 0, confidence = 0, accuracy = 0;
  int64_t count = 0;
};

// Counts by label and verdict, of which there is one more: none.
struct ConfusionTable {
  std::string part;  // a criterion's name; "" of pairs
  std::vector<std::string> labels, verdicts;
  std::vector<std::vector<int64_t>> counts;
};

struct JudgeSummary {
  std::string name;
  std::vector<std::pair<std::string, MetricInterval>> metrics;  // in the file's order
  std::vector<ConfusionTable> confusions;                       // one; of criteria one each
  std::vector<ReliabilityPoint> reliability, reliability_scaled;
  std::vector<std::pair<double, double>> coverage;  // share of the surest, and how many are right
  double temperature = 0;                           // NaN where none was fitted
  std::string calibration;                          // "" or "temperature": of that kind
  // Latency percentiles, answers/s, cost, ...
  std::vector<std::pair<std::string, MetricInterval>> speed;
};

struct JudgeComparison {
  std::string first, second;
  int64_t only_first = 0, only_second = 0;
  double mcnemar_p = 0;
  std::vector<std::pair<std::string, MetricInterval>> differences;
};

// The measures of each judge, and of what needs none, on the pairs that have one value of a field.
struct GroupSummary {
  std::string value;
  int64_t pairs = 0;
  std::vector<JudgeSummary> judges;  // names and metrics alone
};
struct GroupedBy {
  std::string field;
  std::vector<GroupSummary> groups;
};

// A table as `gavel eval` printed it; the first row holds the heads.
struct ShownTable {
  std::string title, note;
  std::vector<std::vector<std::string>> rows;
};

struct EvalLog {
  std::string data, mode, form;
  bool of_answers = false;  // single answers, not pairs
  int64_t examples = 0;
  std::vector<JudgeSummary> judges;
  std::vector<JudgeComparison> comparisons;
  std::vector<GroupedBy> groups;
  std::vector<ShownTable> tables;
};

// Throws Error naming the path where it is not a readable evaluation.
EvalLog read_eval(const std::filesystem::path& path);

// --- judgements.jsonl ---------------------------------------------------------------------------

// One bin of pairs by how much longer answer A is; shares of verdicts and of labels for A.
struct LengthBin {
  double difference = 0;  // mean of length(A) - length(B), in characters
  double verdict_a = 0, label_a = 0;
  int64_t count = 0;
};

struct Opinion {
  std::string verdict, text;
  std::string exchanged, exchanged_text;   // with the answers exchanged, where the verdict is
                                           // another then
  double confidence = 0;                   // NaN where not known
  bool right = false, unreadable = false;  // of any order
};

struct DisputedPair {
  std::string question, answer_a, answer_b, reference, rubric, label;
  bool single = false;  // one answer: answer_a
  Opinion first, second;
};

struct JudgementsView {
  std::map<std::string, std::vector<LengthBin>> length;  // by judge
  std::string first, second;                             // the judges that are set side by side
  // Where their verdicts differ or one cannot be read, at most kDisputedShown, texts cut.
  std::vector<DisputedPair> disputed;
  int64_t disputed_total = 0, pairs_total = 0;
  int64_t skipped_lines = 0;
};
inline constexpr size_t kDisputedShown = 200;

// Reads the file twice, holding only short facts of each line. `first` and `second`: names of the
// judges to set side by side; with the same name twice, that judge's wrong verdicts are listed.
JudgementsView read_judgements(const std::filesystem::path& path, const std::string& first,
                               const std::string& second);

}  // namespace gavel
