#include <nlohmann/json.hpp>

#include "base/random.h"
#include "data/jsonl.h"
#include "data/prepare_passes.h"

namespace gavel {

using Json = nlohmann::ordered_json;

SampleChoice::SampleChoice(const Preparation& p) : p_(p) {
  const auto limit = static_cast<size_t>(std::max<int64_t>(0, p.options.samples));
  std::vector<std::pair<uint64_t, size_t>> lowest;  // a heap: the highest in front
  for (size_t i = 0; i < p.plans.size() && limit > 0; ++i) {
    if (!p.plans[i].keep) continue;
    const uint64_t rank = Random(p.options.seed, i + 1000).next();
    if (lowest.size() == limit) {
      if (rank >= lowest.front().first) continue;
      std::pop_heap(lowest.begin(), lowest.end());
      lowest.pop_back();
    }
    lowest.emplace_back(rank, i);
    std::push_heap(lowest.begin(), lowest.end());
  }
  for (const auto& [rank, index] : lowest) pairs_[index].rank = rank;
}

void SampleChoice::set(size_t index, JudgePair pair, std::string source) {
  Chosen& chosen = pairs_.at(index);
  chosen.pair = std::move(pair);
  chosen.source = std::move(source);
}

std::vector<Sample> SampleChoice::samples() const {
  std::vector<std::pair<uint64_t, size_t>> order;
  for (const auto& [index, chosen] : pairs_) order.emplace_back(chosen.rank, index);
  std::sort(order.begin(), order.end());
  std::vector<Sample> out;
  for (const auto& [rank, index] : order) {
    const Chosen& c = pairs_.at(index);
    Sample sample;
    sample.source = c.source;
    sample.split = kSplitNames[p_.plans[index].split];
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
