#include <nlohmann/json.hpp>

#include "base/random.h"
#include "data/jsonl.h"
#include "data/prepare_passes.h"

namespace gavel {

using Json = nlohmann::ordered_json;

void SampleChoice::consider(const JudgePair& raw, const RowPlan& plan, int64_t index,
                            const std::filesystem::path& path) {
  const uint64_t rank = Random(p_.options.seed, static_cast<uint64_t>(index) + 1000).next();
  const auto limit = static_cast<size_t>(std::max<int64_t>(0, p_.options.samples));
  if (limit == 0 || (candidates_.size() == limit && rank >= candidates_.front().rank)) return;
  const auto lower = [](const Candidate& a, const Candidate& b) { return a.rank < b.rank; };
  if (candidates_.size() == limit) {
    std::pop_heap(candidates_.begin(), candidates_.end(), lower);
    candidates_.pop_back();
  }
  candidates_.push_back({rank, planned_pair(p_, raw, plan, index, false),
                         file_line(path, raw.source_line), static_cast<uint8_t>(plan.split)});
  std::push_heap(candidates_.begin(), candidates_.end(), lower);
}

std::vector<Sample> SampleChoice::samples() {
  std::vector<Sample> out;
  std::sort(candidates_.begin(), candidates_.end(),
            [](const Candidate& a, const Candidate& b) { return a.rank < b.rank; });
  for (const Candidate& c : candidates_) {
    Sample sample;
    sample.source = c.source;
    sample.split = kSplitNames[c.split];
    sample.label = label_name(c.pair, p_.report.form);
    const Json row = training_row(c.pair, p_.prompt);
    if (p_.report.tokenized) {
      for (const Example& example : encode_judge_record(*p_.encoder, row)) {
        if (!sample.pieces.empty()) sample.pieces.push_back({"\n\n", false, false});
        sample.tokens += static_cast<int64_t>(example.tokens.size());
        for (SampleToken& piece : token_pieces(example)) sample.pieces.push_back(std::move(piece));
      }
    } else {
      for (const char* name : {"messages", "messages_a", "messages_b"})
        if (row.contains(name))
          for (const Json& m : row.at(name)) {
            if (!sample.pieces.empty()) sample.pieces.push_back({"\n\n", false, false});
            sample.pieces.push_back(
                {m.at("content").get<std::string>(), m.at("role") == "assistant", false});
          }
    }
    out.push_back(std::move(sample));
  }
  return out;
}

// Neighbouring tokens of the same kind are one piece, so that characters of several tokens stay
// whole.
std::vector<SampleToken> SampleChoice::token_pieces(const Example& example) const {
  std::vector<SampleToken> pieces;
  std::vector<int> ids;
  const auto flush = [&] {
    if (!ids.empty()) pieces.back().text = p_.encoder->tokenizer.decode(ids);
    ids.clear();
  };
  for (size_t t = 0; t < example.tokens.size(); ++t) {
    const bool loss = static_cast<int64_t>(t) >= std::max(example.prompt_length, 1);
    const bool cut = static_cast<int64_t>(t) >= p_.options.max_seq_length;
    if (pieces.empty() || pieces.back().carries_loss != loss || pieces.back().cut != cut) {
      flush();
      pieces.push_back({"", loss, cut});
    }
    ids.push_back(example.tokens[t]);
  }
  flush();
  return pieces;
}

}  // namespace gavel
