// Training data: mlx_lm's {train,valid,test}.jsonl as tokens, with the tokens that carry loss.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/chat.h"
#include "data/token_list.h"

namespace gavel {

struct Example {
  TokenList tokens;
  // Token t is a target that carries loss where t >= max(prompt_length, 1): token 0 has no
  // predecessor. May exceed tokens.size() after truncation.
  int32_t prompt_length = 0;
  bool truncated = false;
  int64_t source_line = 0;  // from 1
  int64_t group = 0;        // consecutive records with equal "group" fields (the two orders of a
                            // judged pair, say) share one; all others have their own
  int64_t full_length = 0;  // tokens before truncation
  // Of a ranked pair, whose two answers are two examples, one after the other: the last token is
  // scored against this one, and `wins` is how far the answer beats the other (1, 0.5 or 0).
  int32_t other_token = -1;
  float wins = 0;
  bool ranked() const { return other_token >= 0; }

  int64_t loss_tokens() const {
    const int64_t first = prompt_length > 1 ? prompt_length : 1;
    const auto length = static_cast<int64_t>(tokens.size());
    return length > first ? length - first : 0;
  }
};

// The example of a record of judge data, whose prompt (all but the last message, the assistant's)
// carries no loss; of a ranked pair the two of its answers. Not truncated. Throws Error as
// load_dataset does.
std::vector<Example> encode_judge_record(const TextEncoder& encoder,
                                         const nlohmann::ordered_json& record);

// By precedence, as in mlx_lm. rank: gavel prepare's pairs whose answers are scored one by one.
enum class RecordKind : uint8_t { completion, chat, text, rank };

// Which records are masked: `automatic` masks the prompt of judge data (records that carry
// answer_a and answer_b beside their messages) and of nothing else.
enum class MaskPrompt : uint8_t { no, yes, automatic };

// "tokens" in the cache's folder; "" where there is none.
std::filesystem::path default_token_cache();

struct DatasetOptions {
  int64_t max_seq_length = 2048;
  MaskPrompt mask_prompt = MaskPrompt::automatic;
  // Names of the fields, as mlx_lm's --prompt-feature and so on.
  std::string prompt_feature = "prompt", completion_feature = "completion";
  std::string chat_feature = "messages", text_feature = "text";
  // Where files of tokens are kept, for data files of this size and more; "": nowhere.
  std::filesystem::path token_cache = default_token_cache();
  uint64_t least_cached_bytes = uint64_t{4} << 20;
};

struct DatasetSummary {
  int64_t examples = 0;
  int64_t tokens = 0;           // after truncation
  int64_t loss_tokens = 0;      // targets that carry loss
  int64_t truncated = 0;        // examples cut to max_seq_length
  int64_t without_targets = 0;  // examples no token of which carries loss
  int64_t ranked = 0;           // of a ranked pair
  int64_t longest = 0;          // tokens of the longest example before truncation
  int64_t rebuilt = 0;          // whose answer was put after inference's prompt, since the chat
                                // template renders the whole conversation otherwise
};

struct Dataset {
  std::filesystem::path path;
  RecordKind kind = RecordKind::text;
  bool masked = false;      // the prompt carries no loss
  bool judge_data = false;  // the first record has answer_a and answer_b
  std::vector<Example> examples;
  DatasetSummary summary;
  std::shared_ptr<const MappedFile> tokens;  // that the examples' tokens lie in; null: their own

  // For who reads the tokens of many examples once: they need not stay in memory, and are read from
  // the file again where they are needed.
  void let_go() const {
    if (tokens) tokens->release(0, tokens->bytes().size());
  }
};
inline constexpr size_t kExamplesAtOnce = 8192;  // after so many, let_go

// Reads one file (see data/raw_records.h for the layouts, data/record_forms.h for the forms of
// records) and tokenizes its records in parallel, in the file's order. The first record decides the
// kind, as in mlx_lm. Throws Error naming file and line: bad JSON, invalid UTF-8, a missing or
// mistyped field, no assistant message, a masked chat that does not end with the assistant, an
// answer that cannot be put after inference's prompt; and for an empty file. Tokens of a file that
// was read before, with the same model and settings, come from the cache (data/token_cache.h).
Dataset load_dataset(const std::filesystem::path& path, const TextEncoder& encoder,
                     const DatasetOptions& options);

// DIR/train.jsonl, or with .json, .csv or .tsv for it, packed (.gz, .xz, .zst, .zip), or .parquet
// or .arrow; nothing where there is none of them. `split` is "train", "valid" or "test". Throws
// Error where there are two.
std::optional<std::filesystem::path> find_split(const std::filesystem::path& directory,
                                                const std::string& split);

// The file of a split. Throws Error naming the file that is missing and those that are there.
Dataset load_split(const std::filesystem::path& directory, const std::string& split,
                   const TextEncoder& encoder, const DatasetOptions& options);

// "1,000 examples, 123,456 tokens (23,456 carry loss), 3 truncated at 2048, ..."
std::string describe(const Dataset& dataset, const DatasetOptions& options);

DatasetSummary summarize(std::span<const Example> examples);

}  // namespace gavel
