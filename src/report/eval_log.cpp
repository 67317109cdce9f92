#include "report/eval_log.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "report/run_log.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const Json& child(const Json& object, const char* key) {
  static const Json kNothing;
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it == object.end() ? kNothing : *it;
}

int64_t count_of(const Json& value) {
  const double d = value.is_number() ? value.get<double>() : 0;
  return d >= 0 && d < 1e15 ? static_cast<int64_t>(d) : 0;
}

MetricInterval interval_of(const Json& value) {
  if (value.is_number()) return {value.get<double>(), std::nan(""), std::nan("")};
  if (!value.is_object()) return {};
  return {number_or_nan(value, "value"), number_or_nan(value, "low"), number_or_nan(value, "high")};
}

std::vector<std::pair<std::string, MetricInterval>> intervals_of(const Json& object) {
  std::vector<std::pair<std::string, MetricInterval>> result;
  if (object.is_object())
    for (const auto& [name, value] : object.items()) result.emplace_back(name, interval_of(value));
  return result;
}

std::vector<ReliabilityPoint> bins_of(const Json& list) {
  std::vector<ReliabilityPoint> bins;
  if (!list.is_array()) return bins;
  for (const Json& bin : list)
    if (bin.is_object() && bins.size() < 100)
      bins.push_back({number_or_nan(bin, "low"), number_or_nan(bin, "high"),
                      number_or_nan(bin, "confidence"), number_or_nan(bin, "accuracy"),
                      count_of(child(bin, "count"))});
  return bins;
}

std::vector<std::string> names_of(const Json& list, std::vector<std::string> otherwise) {
  constexpr size_t kMost = 102;
  if (!list.is_array() || list.empty() || list.size() > kMost) return otherwise;
  std::vector<std::string> names;
  for (const Json& name : list)
    names.push_back(name.is_string() ? name.get<std::string>() : name.dump());
  return names;
}

ConfusionTable confusion_of(const Json& entry) {
  ConfusionTable table{text_or_empty(entry, "part"),
                       names_of(child(entry, "labels"), {"A", "B", "tie"}),
                       names_of(child(entry, "verdicts"), {"A", "B", "tie", "none"}),
                       {}};
  const Json& counts = child(entry, "counts");
  if (counts.is_array())
    for (const Json& row : counts) {
      table.counts.emplace_back();
      if (row.is_array())
        for (const Json& n : row) table.counts.back().push_back(count_of(n));
      table.counts.back().resize(table.verdicts.size());
    }
  table.counts.resize(table.labels.size(), std::vector<int64_t>(table.verdicts.size()));
  return table;
}

JudgeSummary judge_of(const Json& entry) {
  JudgeSummary judge;
  judge.name = text_or_empty(entry, "name");
  judge.metrics = intervals_of(child(entry, "metrics"));
  if (const Json& one = child(entry, "confusion"); one.is_object())
    judge.confusions.push_back(confusion_of(one));
  if (const Json& all = child(entry, "confusions"); all.is_array())
    for (const Json& one : all) judge.confusions.push_back(confusion_of(one));
  judge.reliability = bins_of(child(entry, "reliability"));
  judge.reliability_scaled = bins_of(child(entry, "reliability_scaled"));
  if (const Json& points = child(entry, "coverage"); points.is_array())
    for (const Json& point : points)
      judge.coverage.emplace_back(number_or_nan(point, "coverage"),
                                  number_or_nan(point, "accuracy"));
  judge.temperature = number_or_nan(entry, "temperature");
  judge.calibration = text_or_empty(entry, "calibration");
  judge.speed = intervals_of(child(entry, "speed"));
  return judge;
}

GroupedBy grouped_of(const Json& entry) {
  GroupedBy grouped{text_or_empty(entry, "field"), {}};
  const Json& groups = child(entry, "groups");
  if (!groups.is_array()) return grouped;
  for (const Json& group : groups) {
    GroupSummary& out = grouped.groups.emplace_back();
    out.value = text_or_empty(group, "value");
    out.pairs = count_of(child(group, "pairs"));
    const Json& judges = child(group, "judges");
    if (judges.is_array())
      for (const Json& judge : judges) out.judges.push_back(judge_of(judge));
    const auto add = [&](const std::string& name, const char* baseline) {
      for (const auto& [measure, value] : intervals_of(child(group, "baselines")))
        if (measure == baseline) {
          JudgeSummary& without = out.judges.emplace_back();
          without.name = name;
          without.metrics = {{"agreement", value}, {"accuracy", value}};  // by the form
        }
    };
    add("always " + text_or_empty(child(group, "baselines"), "label"), "majority");
    add("the longer, without ties", "always_longer");
  }
  return grouped;
}

ShownTable table_of(const Json& entry) {
  ShownTable table{text_or_empty(entry, "title"), text_or_empty(entry, "note"), {}};
  const Json& rows = child(entry, "rows");
  if (!rows.is_array()) return table;
  for (const Json& row : rows) {
    auto& cells = table.rows.emplace_back();
    if (row.is_array())
      for (const Json& cell : row) cells.push_back(cell.is_string() ? cell.get<std::string>() : "");
  }
  return table;
}

// Calls visit with every line that is a JSON object; returns how many others there were.
int64_t each_object(const fs::path& path, const std::function<void(const Json&)>& visit) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("cannot open {}", path.string());
  int64_t skipped = 0;
  std::string line;
  while (std::getline(in, line)) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Json object = Json::parse(line, nullptr, false);
    if (object.is_object())
      visit(object);
    else
      ++skipped;
  }
  return skipped;
}

constexpr size_t kShownBytes = 4000;  // of one text in a disputed pair

// Cut at a character's start.
std::string shortened(std::string text) {
  if (text.size() <= kShownBytes) return text;
  size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + " [...]";
}

int64_t characters(const Json& object, const char* key) {
  const Json& value = child(object, key);
  if (!value.is_string()) return 0;
  const auto& text = value.get_ref<const std::string&>();
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

struct LengthFact {
  double difference;
  bool verdict_a, label_a;
};

// Bins of equal counts, so that each share rests on as many pairs.
std::vector<LengthBin> length_bins(std::vector<LengthFact> facts) {
  std::sort(facts.begin(), facts.end(),
            [](const LengthFact& x, const LengthFact& y) { return x.difference < y.difference; });
  const size_t bins = std::clamp<size_t>(facts.size() / 8, 1, 10);
  std::vector<LengthBin> result;
  for (size_t b = 0; b < bins && !facts.empty(); ++b) {
    const size_t begin = facts.size() * b / bins, end = facts.size() * (b + 1) / bins;
    LengthBin bin;
    bin.count = static_cast<int64_t>(end - begin);
    for (size_t i = begin; i < end; ++i) {
      bin.difference += facts[i].difference;
      bin.verdict_a += facts[i].verdict_a;
      bin.label_a += facts[i].label_a;
    }
    const auto n = static_cast<double>(bin.count);
    bin.difference /= n;
    bin.verdict_a /= n;
    bin.label_a /= n;
    result.push_back(bin);
  }
  return result;
}

bool is_unreadable(const Json& line) {
  for (const char* key : {"verdict", "verdict_ab", "verdict_ba"})
    if (text_or_empty(line, key) == "none") return true;
  return false;
}

Opinion opinion_of(const Json& line) {
  Opinion opinion;
  opinion.verdict = text_or_empty(line, "verdict");
  opinion.text = shortened(text_or_empty(line, "text"));
  opinion.confidence = number_or_nan(line, "confidence");
  opinion.right = opinion.verdict == text_or_empty(line, "label");
  opinion.unreadable = is_unreadable(line);
  const std::string first = text_or_empty(line, "verdict_ab"),
                    second = text_or_empty(line, "verdict_ba");
  if (!second.empty() && second != first) {
    opinion.exchanged = second;
    opinion.exchanged_text = shortened(text_or_empty(line, "text_ba"));
  }
  return opinion;
}

}  // namespace

EvalLog read_eval(const fs::path& path) {
  const Json file = Json::parse(read_file(path, size_t{256} << 20), nullptr, false);
  if (!file.is_object() || !child(file, "judges").is_array())
    fail("{} is not an evaluation (a JSON object with \"judges\"): run gavel eval again",
         path.string());
  EvalLog eval;
  eval.data = text_or_empty(file, "data");
  eval.mode = text_or_empty(file, "mode");
  eval.form = text_or_empty(file, "form");
  eval.of_answers = eval.form == "score" || eval.form == "pass" || eval.form == "criteria";
  eval.examples = count_of(child(file, "examples"));
  for (const Json& entry : child(file, "judges"))
    if (entry.is_object()) eval.judges.push_back(judge_of(entry));
  const Json& comparisons = child(file, "comparisons");
  if (comparisons.is_array())
    for (const Json& entry : comparisons)
      if (entry.is_object())
        eval.comparisons.push_back(
            {text_or_empty(entry, "first"), text_or_empty(entry, "second"),
             count_of(child(entry, "only_first")), count_of(child(entry, "only_second")),
             number_or_nan(entry, "mcnemar_p"), intervals_of(child(entry, "differences"))});
  const Json& groups = child(file, "groups");
  if (groups.is_array())
    for (const Json& entry : groups) eval.groups.push_back(grouped_of(entry));
  const Json& tables = child(file, "tables");
  if (tables.is_array())
    for (const Json& entry : tables) eval.tables.push_back(table_of(entry));
  return eval;
}

JudgementsView read_judgements(const fs::path& path, const std::string& first,
                               const std::string& second) {
  JudgementsView view;
  view.first = first;
  view.second = second;
  std::map<std::string, std::vector<LengthFact>> facts;
  std::map<int64_t, std::string> by_first, by_second, labels;
  std::set<int64_t> listed;
  // Each judge's pair counts once, where a resumed evaluation wrote it twice.
  std::set<std::pair<std::string, int64_t>> seen;
  view.skipped_lines = each_object(path, [&](const Json& line) {
    const std::string judge = text_or_empty(line, "judge");
    if (judge.empty()) return;  // the settings
    const int64_t index = count_of(child(line, "index"));
    if (!seen.insert({judge, index}).second) return;
    const std::string verdict = text_or_empty(line, "verdict"),
                      label = text_or_empty(line, "label");
    if (line.contains("answer_a"))
      facts[judge].push_back(
          {static_cast<double>(characters(line, "answer_a") - characters(line, "answer_b")),
           verdict == "A", label == "A"});
    labels[index] = label;
    if (judge == first) by_first[index] = verdict;
    if (judge == second) by_second[index] = verdict;
    if ((judge == first || judge == second) && is_unreadable(line)) listed.insert(index);
  });
  const auto& expected = first == second ? labels : by_first;
  for (const auto& [index, verdict] : by_second)
    if (const auto it = expected.find(index); it != expected.end() && it->second != verdict)
      listed.insert(index);
  view.pairs_total = static_cast<int64_t>(labels.size());
  view.disputed_total = static_cast<int64_t>(listed.size());
  for (auto& [judge, list] : facts) view.length[judge] = length_bins(std::move(list));

  std::map<int64_t, DisputedPair> shown;
  for (int64_t index : listed)
    if (shown.size() < kDisputedShown) shown[index] = {};
  each_object(path, [&](const Json& line) {
    const auto it = shown.find(count_of(child(line, "index")));
    const std::string judge = text_or_empty(line, "judge");
    if (it == shown.end() || (judge != first && judge != second)) return;
    DisputedPair& pair = it->second;
    pair.question = shortened(text_or_empty(line, "question"));
    pair.single = line.contains("answer");
    pair.answer_a = shortened(text_or_empty(line, pair.single ? "answer" : "answer_a"));
    pair.rubric = shortened(text_or_empty(line, "rubric"));
    pair.answer_b = shortened(text_or_empty(line, "answer_b"));
    pair.reference = shortened(text_or_empty(line, "reference"));
    pair.label = text_or_empty(line, "label");
    if (judge == first) pair.first = opinion_of(line);
    if (judge == second) pair.second = opinion_of(line);
  });
  for (auto& [index, pair] : shown) view.disputed.push_back(std::move(pair));
  return view;
}

}  // namespace gavel
