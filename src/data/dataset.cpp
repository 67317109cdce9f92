#include "data/dataset.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/jsonl.h"
#include "data/raw_records.h"
#include "data/record_forms.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxRecord = size_t{64} << 20;
constexpr size_t kBatch = 4096;  // records that are read and encoded at a time

const Json& field(const Json& record, const std::string& name) {
  const auto it = record.find(name);
  if (it == record.end()) fail("the field \"{}\" is missing", name);
  return *it;
}

const std::string& string_field(const Json& record, const std::string& name) {
  const Json& value = field(record, name);
  if (!value.is_string())
    fail("the field \"{}\" must be a string and is {}", name, value.type_name());
  return value.get_ref<const std::string&>();
}

const Json& tools_of(const Json& record) {
  static const Json none;
  const auto it = record.find("tools");
  return it == record.end() ? none : *it;
}

bool is_assistant(const Json& message) { return message.at("role") == "assistant"; }

struct Encoded {
  Example example;
  int64_t full_length = 0;
  bool rebuilt = false;  // the chat template renders the whole conversation otherwise
};

// `record`: what the messages belong to.
Encoded encode_messages(const Json& raw, const Json& record, const TextEncoder& encoder,
                        bool masked) {
  bool marked = false;
  const Json messages = checked_chat(encoder, raw, record, marked);
  const Json& tools = tools_of(record);
  if (std::none_of(messages.begin(), messages.end(), is_assistant))
    fail("no message has the role \"assistant\", so there is nothing to learn");
  if (masked && !is_assistant(messages.back()))
    fail(
        "the last message has the role {}, and with a masked prompt it must be the assistant's, "
        "since it alone carries loss",
        messages.back().at("role").dump());
  Encoded out;
  auto& tokens = out.example.tokens;
  if (!is_assistant(messages.back()) || (!masked && messages.size() == 1)) {
    // Nothing is asked: as the template has it.
    const std::vector<int> ids = encode_chat(encoder, messages, tools, false, marked);
    tokens.assign(ids.begin(), ids.end());
    return out;
  }
  // The tokens that inference has as a prompt, and then the answer's.
  const auto turn = encode_turn(encoder, messages, tools, marked);
  if (!turn)
    fail(
        "the chat template renders the messages before the last answer in one way as a prompt and "
        "in another within the whole conversation, so training on it would teach what generate, "
        "judge and serve never ask: give a template that renders both alike with --chat-template, "
        "or write the record as {{\"text\": ...}}");
  out.rebuilt = !turn->follows;
  tokens.assign(turn->prompt.begin(), turn->prompt.end());
  tokens.insert(tokens.end(), turn->answer.begin(), turn->answer.end());
  if (masked) out.example.prompt_length = static_cast<int32_t>(turn->prompt.size());
  return out;
}

Encoded encode_record(const Json& record, RecordKind kind, bool masked, const TextEncoder& encoder,
                      const DatasetOptions& options) {
  Encoded out;
  if (kind == RecordKind::text) {
    const std::vector<int> ids =
        encoder.tokenizer.encode(string_field(record, options.text_feature), true);
    out.example.tokens.assign(ids.begin(), ids.end());
    if (!encoder.eos_token_id)
      fail("the model names no end-of-text token, which text records end with");
    if (ids.empty() || ids.back() != *encoder.eos_token_id)
      out.example.tokens.push_back(*encoder.eos_token_id);
  } else {
    out = encode_messages(messages_of(record, kind, masked, options), record, encoder, masked);
  }
  Example& example = out.example;
  out.full_length = static_cast<int64_t>(example.tokens.size());
  if (out.full_length > options.max_seq_length) {
    example.tokens.resize(static_cast<size_t>(options.max_seq_length));
    example.truncated = true;
  }
  return out;
}

// An Error of the record's file and line for whatever `body` throws.
template <typename Body>
void at_record(const std::filesystem::path& path, const RawRecord& record, const Body& body) {
  std::string problem;
  try {
    return body();
  } catch (const RecordFault& fault) {
    problem = fmt::format("{}: {}", fault.kind, fault.detail);
  } catch (const std::exception& e) {
    problem = e.what();
  }
  fail("{}: {}", file_line(path, record.line), problem);
}

void decide_kind(Dataset& dataset, const RawRecord& record, const RecordReader& reader,
                 const DatasetOptions& options) {
  at_record(dataset.path, record, [&] {
    const Json first = reader.object(record);
    dataset.kind = kind_of(first, options);
    dataset.judge_data = dataset.kind != RecordKind::text && is_judge_record(first);
    if (options.mask_prompt == MaskPrompt::yes && dataset.kind == RecordKind::text)
      fail("the prompt of \"{}\" records cannot be masked: they have none", options.text_feature);
  });
  dataset.masked = options.mask_prompt == MaskPrompt::yes ||
                   (options.mask_prompt == MaskPrompt::automatic && dataset.judge_data);
}

// Adds the records' examples and groups, in their order; the first that is at fault is the Error.
void encode_records(const Dataset& dataset, const std::vector<RawRecord>& records,
                    const RecordReader& reader, const TextEncoder& encoder,
                    const DatasetOptions& options, std::vector<Encoded>& encoded,
                    std::vector<std::string>& groups) {
  const size_t had = encoded.size();
  encoded.resize(had + records.size());
  groups.resize(encoded.size());
  std::vector<std::string> errors(records.size());
  parallel_for_dynamic(static_cast<int64_t>(records.size()), 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const size_t k = had + static_cast<size_t>(i);
      try {
        at_record(dataset.path, records[i], [&] {
          const Json record = reader.object(records[i]);
          encoded[k] = encode_record(record, dataset.kind, dataset.masked, encoder, options);
          const auto group = record.find("group");
          if (group != record.end() && !group->is_null()) groups[k] = group->dump();
        });
      } catch (const Error& e) {
        errors[i] = e.what();
      }
      encoded[k].example.source_line = records[i].line;
    }
  });
  for (const std::string& error : errors)
    if (!error.empty()) fail("{}", error);
}

// Gives each example its group: consecutive equal, non-null "group" fields belong together.
void assign_groups(std::vector<Example>& examples, const std::vector<std::string>& names) {
  int64_t group = -1;
  for (size_t i = 0; i < examples.size(); ++i) {
    if (i == 0 || names[i].empty() || names[i] != names[i - 1]) ++group;
    examples[i].group = group;
  }
}

}  // namespace

Example encode_judge_record(const TextEncoder& encoder, const Json& record) {
  return encode_messages(field(record, "messages"), record, encoder, true).example;
}

DatasetSummary summarize(std::span<const Example> examples) {
  DatasetSummary s;
  for (const Example& e : examples) {
    const auto length = static_cast<int64_t>(e.tokens.size());
    ++s.examples;
    s.tokens += length;
    s.loss_tokens += e.loss_tokens();
    s.truncated += e.truncated ? 1 : 0;
    s.without_targets += e.loss_tokens() == 0 ? 1 : 0;
    s.longest = std::max(s.longest, length);
  }
  return s;
}

Dataset load_dataset(const std::filesystem::path& path, const TextEncoder& encoder,
                     const DatasetOptions& options) {
  if (options.max_seq_length < 1) fail("the maximum sequence length must be at least 1");
  RecordReader reader(path, kMaxRecord);
  reader.match_header({options.prompt_feature, options.completion_feature, options.text_feature});
  Dataset dataset{.path = path};
  std::vector<Encoded> encoded;
  std::vector<std::string> groups;
  for (auto records = reader.next(kBatch); !records.empty(); records = reader.next(kBatch)) {
    if (encoded.empty()) decide_kind(dataset, records[0], reader, options);
    encode_records(dataset, records, reader, encoder, options, encoded, groups);
  }
  if (encoded.empty()) fail("{} has no records", path.string());

  int64_t longest = 0, rebuilt = 0;
  dataset.examples.reserve(encoded.size());
  for (Encoded& e : encoded) {
    longest = std::max(longest, e.full_length);
    rebuilt += e.rebuilt ? 1 : 0;
    dataset.examples.push_back(std::move(e.example));
  }
  assign_groups(dataset.examples, groups);
  dataset.summary = summarize(dataset.examples);
  dataset.summary.longest = longest;
  dataset.summary.rebuilt = rebuilt;
  return dataset;
}

std::optional<std::filesystem::path> find_split(const std::filesystem::path& directory,
                                                const std::string& split) {
  std::optional<std::filesystem::path> found;
  std::error_code ec;
  for (const char* layout : {".jsonl", ".json", ".csv", ".tsv"})
    for (const char* packed : {"", ".gz", ".xz", ".zst"}) {
      const auto path = directory / (split + layout + packed);
      if (!std::filesystem::exists(path, ec)) continue;
      if (found)
        fail("both {} and {} are there: keep the one to be used", found->string(), path.string());
      found = path;
    }
  return found;
}

Dataset load_split(const std::filesystem::path& directory, const std::string& split,
                   const TextEncoder& encoder, const DatasetOptions& options) {
  std::error_code ec;
  if (!std::filesystem::exists(directory, ec))
    fail("the data folder {} does not exist", directory.string());
  if (const auto path = find_split(directory, split)) return load_dataset(*path, encoder, options);
  const auto parquet = directory / (split + ".parquet");
  if (std::filesystem::exists(parquet, ec)) return load_dataset(parquet, encoder, options);
  std::string there;
  for (const char* name : {"train", "valid", "test"})
    if (const auto path = find_split(directory, name))
      there += fmt::format("{}{}", there.empty() ? "" : ", ", path->filename().string());
  fail("{} does not exist; the folder has {}", (directory / (split + ".jsonl")).string(),
       there.empty() ? "none of train.jsonl, valid.jsonl and test.jsonl" : there);
}

std::string describe(const Dataset& dataset, const DatasetOptions& options) {
  const DatasetSummary& s = dataset.summary;
  std::string out = fmt::format("{}: {} examples, {} tokens ({} carry loss)",
                                dataset.path.filename().string(), grouped_digits(s.examples),
                                grouped_digits(s.tokens), grouped_digits(s.loss_tokens));
  if (s.truncated > 0)
    out += fmt::format(", {} truncated at {} (longest {})", grouped_digits(s.truncated),
                       options.max_seq_length, grouped_digits(s.longest));
  if (s.without_targets > 0)
    out += fmt::format(", {} with no token that carries loss", grouped_digits(s.without_targets));
  if (s.rebuilt > 0)
    out += fmt::format(
        ", {} with the answer put after the prompt that inference has (the chat template renders "
        "whole conversations otherwise)",
        grouped_digits(s.rebuilt));
  return out;
}

}  // namespace gavel
