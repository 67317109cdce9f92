#include "judge/pairs.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "data/jsonl.h"
#include "data/labels.h"
#include "data/raw_pairs.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxRecord = size_t{64} << 20;

std::string text_field(const Json& record, const char* name, bool needed,
                       const std::string& where) {
  const auto it = record.find(name);
  if (it == record.end() || it->is_null()) {
    if (needed)
      fail("{}: there is no \"{}\": a pair has question, answer_a and answer_b", where, name);
    return "";
  }
  auto text = text_of(*it);
  if (!text) fail("{}: \"{}\" is not text", where, name);
  return std::move(*text);
}

std::optional<Verdict> label_field(const Json& record, bool needed, const std::string& where) {
  const auto it = record.find("label");
  if (it == record.end() || is_unlabelled(*it)) {
    if (needed) fail("{}: there is no \"label\" (A, B or tie) to measure against", where);
    return std::nullopt;
  }
  const auto label = read_label(*it);
  if (!label) fail("{}: the label {}", where, label_advice(*it));
  return label;
}

}  // namespace

JudgePair to_pair(const Json& record, const std::string& where, bool needs_label) {
  JudgePair pair;
  pair.question = text_field(record, "question", true, where);
  pair.answer_a = text_field(record, "answer_a", true, where);
  pair.answer_b = text_field(record, "answer_b", true, where);
  pair.reference = text_field(record, "reference", false, where);
  pair.reason = text_field(record, "reason", false, where);
  pair.category = text_field(record, "category", false, where);
  pair.id = text_field(record, "id", false, where);
  pair.label = label_field(record, needs_label, where);
  return pair;
}

PairFile::PairFile(const std::filesystem::path& path, bool needs_label)
    : reader_(path, kMaxRecord), name_(path.string()), needs_label_(needs_label) {
  reader_.match_header(known_fields());
}

PairFile::PairFile(TextSource source, bool needs_label)
    : reader_(std::move(source), kMaxRecord), name_("standard input"), needs_label_(needs_label) {}

std::vector<PairOrProblem> PairFile::next(size_t count) {
  std::vector<PairOrProblem> out;
  for (const RawRecord& record : reader_.next(count)) {
    const std::string where = file_line(name_, record.line);
    PairOrProblem& item = out.emplace_back();
    try {
      item.pair = to_pair(reader_.object(record), where, needs_label_);
      item.pair->source_line = record.line;
    } catch (const RecordFault& fault) {
      item.problem = fmt::format("{}: {}: {}", where, fault.kind, fault.detail);
    } catch (const Error& e) {
      item.problem = e.what();
    }
  }
  return out;
}

std::vector<JudgePair> read_pairs(const std::filesystem::path& path, bool needs_label) {
  std::vector<JudgePair> pairs;
  PairFile file(path, needs_label);
  for (auto items = file.next(1024); !items.empty(); items = file.next(1024))
    for (PairOrProblem& item : items) {
      if (!item.pair) fail("{}", item.problem);
      pairs.push_back(std::move(*item.pair));
    }
  if (pairs.empty()) fail("{} has no pairs to judge", path.string());
  return pairs;
}

uint64_t pairs_fingerprint(const std::vector<JudgePair>& pairs) {
  uint64_t hash = pairs.size();
  for (const JudgePair& p : pairs) {
    for (const std::string* text : {&p.question, &p.answer_a, &p.answer_b, &p.reference})
      hash = stable_hash(*text, hash);
    hash = Random::mix(hash + (p.label ? 1 + static_cast<uint64_t>(*p.label) : 0));
  }
  return hash;
}

}  // namespace gavel
