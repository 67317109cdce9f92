#include "judge/pairs.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/random.h"
#include "data/jsonl.h"
#include "data/prepare.h"

namespace gavel {
namespace {

RawOptions options_for(bool needs_label, const JudgeForm& form, bool equal_answers = false) {
  RawOptions options;
  options.equal_answers = equal_answers;
  set_answers(options, form);
  options.max_record_bytes = options.max_text_bytes = size_t{64} << 20;
  // Of an answer that is to be judged, people's scores may be on another scale.
  options.labels = needs_label       ? RawOptions::Labels::needed
                   : form.of_pairs() ? RawOptions::Labels::optional
                                     : RawOptions::Labels::ignored;
  return options;
}

bool may_be_left_out(const std::string& kind) {
  return kind == "no label" || kind == "no majority" || kind == "equal answers" ||
         kind == "not text alone";
}

}  // namespace

PairFile::PairFile(const std::filesystem::path& path, bool needs_label, const JudgeForm& form,
                   bool equal_answers)
    : reader_(path, options_for(needs_label, form, equal_answers)) {}

PairFile::PairFile(TextSource source, bool needs_label, const JudgeForm& form)
    : reader_(std::move(source), "standard input", options_for(needs_label, form)) {}

std::vector<PairOrProblem> PairFile::next(size_t count) {
  std::vector<PairOrProblem> out;
  for (RawRow& row : reader_.next(count)) {
    PairOrProblem& item = out.emplace_back();
    item.pair = std::move(row.pair);
    item.kind = row.fault;
    if (!item.pair)
      item.problem =
          fmt::format("{}: {}: {}", file_line(reader_.path(), row.line), row.fault, row.detail);
  }
  return out;
}

std::vector<JudgePair> read_pairs(const std::filesystem::path& path, bool needs_label,
                                  const JudgeForm& form, bool equal_answers) {
  std::vector<JudgePair> pairs;
  std::map<std::string, std::pair<int64_t, std::string>> left_out;  // by kind: how many, the first
  PairFile file(path, needs_label, form, equal_answers);
  for (auto items = file.next(1024); !items.empty(); items = file.next(1024))
    for (PairOrProblem& item : items) {
      if (item.pair) {
        pairs.push_back(std::move(*item.pair));
        continue;
      }
      if (file.is_plain() || !may_be_left_out(item.kind)) fail("{}", item.problem);
      auto& [count, first] = left_out[item.kind];
      if (count++ == 0) first = item.problem;
    }
  for (const auto& [kind, rows] : left_out)
    spdlog::warn("{} rows are left out ({}); the first: {}", rows.first, kind, rows.second);
  if (pairs.empty())
    fail("{} has no {} to judge", path.string(), form.of_pairs() ? "pairs" : "answers");
  return pairs;
}

std::string unread_fields(const JudgeTemplate& prompt, std::span<const JudgePair> rows) {
  std::string out;
  const auto add = [&](const char* name, auto has) {
    const auto n = std::count_if(rows.begin(), rows.end(), has);
    if (n > 0 && !prompt.takes(name))
      out += fmt::format("{}{} of {} rows have a {}, which the template does not use ({{{}}})",
                         out.empty() ? "" : "; ", n, rows.size(), name, name);
  };
  add("reference", [](const JudgePair& row) { return !row.reference.empty(); });
  add("rubric", [](const JudgePair& row) { return !row.rubric.empty(); });
  return out;
}

uint64_t pairs_fingerprint(const std::vector<JudgePair>& pairs) {
  uint64_t hash = pairs.size();
  for (const JudgePair& p : pairs) {
    for (const std::string* text : {&p.question, &p.answer_a, &p.answer_b, &p.reference})
      hash = stable_hash(*text, hash);
    hash = Random::mix(hash + (p.label ? 1 + static_cast<uint64_t>(*p.label) : 0));
    if (!p.rubric.empty()) hash = stable_hash(p.rubric, hash);
    if (p.pass) hash = Random::mix(hash + (*p.pass ? 1 : 2));
    for (const auto& [name, score] : p.scores)
      hash = stable_hash(fmt::format("{} {}", name, score), hash);
  }
  return hash;
}

}  // namespace gavel
