#include "data/dataset.h"

#include <algorithm>
#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/cache.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/jsonl.h"
#include "data/judge_prompt.h"
#include "data/raw_records.h"
#include "data/record_forms.h"
#include "data/token_cache.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxRecord = size_t{64} << 20;
constexpr size_t kBatch = 4096;  // records that are read and encoded at a time

const Json& tools_of(const Json& record) {
  static const Json none;
  const auto it = record.find("tools");
  return it == record.end() ? none : *it;
}

bool is_assistant(const Json& message) { return message.at("role") == "assistant"; }

struct Encoded {
  Example example;
  bool rebuilt = false;           // the chat template renders the whole conversation otherwise
  std::optional<Example> second;  // of a ranked pair
};

std::vector<int32_t> joined(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int32_t> out(a.begin(), a.end());
  out.insert(out.end(), b.begin(), b.end());
  return out;
}

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
  if (!is_assistant(messages.back()) || (!masked && messages.size() == 1)) {
    // Nothing is asked: as the template has it.
    out.example.tokens = joined(encode_chat(encoder, messages, tools, false, marked), {});
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
  out.example.tokens = joined(turn->prompt, turn->answer);
  if (masked) out.example.prompt_length = static_cast<int32_t>(turn->prompt.size());
  return out;
}

Encoded encode_text(const std::string& text, const TextEncoder& encoder) {
  std::vector<int> ids = encoder.tokenizer.encode(text, true);
  if (!encoder.eos_token_id)
    fail("the model names no end-of-text token, which text records end with");
  if (ids.empty() || ids.back() != *encoder.eos_token_id) ids.push_back(*encoder.eos_token_id);
  Encoded out;
  out.example.tokens = joined(ids, {});
  return out;
}

// One answer of a ranked pair: its prompt, and the first token by which it would be called the
// better answer rather than the worse one.
Example encode_ranked(const Json& record, const char* messages, const TextEncoder& encoder,
                      const std::array<std::string, 2>& texts, float wins) {
  bool marked = false;
  const Json list = checked_chat(encoder, field(record, messages), record, marked);
  const EncodedChoice choice = encode_choice(encoder, list, texts, marked);
  Example example;
  example.tokens = joined(choice.tokens, {choice.choice[0]});
  example.prompt_length = static_cast<int32_t>(choice.tokens.size());
  example.other_token = choice.choice[1];
  example.wins = wins;
  return example;
}

Encoded encode_rank(const Json& record, const TextEncoder& encoder) {
  const Json& texts = field(record, "scored");
  if (!texts.is_array() || texts.size() != 2 || !texts[0].is_string() || !texts[1].is_string())
    fail("the field \"scored\" must be a list of two texts");
  const std::string& label = string_field(record, "label");
  const auto verdict = parse_label(label);
  if (!verdict) fail("the label {} is none of A, B and tie", label);
  const std::array<std::string, 2> scored = {texts[0], texts[1]};
  const float wins = *verdict == Verdict::a ? 1.0f : *verdict == Verdict::b ? 0.0f : 0.5f;
  return {encode_ranked(record, "messages_a", encoder, scored, wins), false,
          encode_ranked(record, "messages_b", encoder, scored, 1.0f - wins)};
}

void truncate(Example& example, int64_t max_seq_length) {
  example.full_length = static_cast<int64_t>(example.tokens.size());
  if (example.full_length <= max_seq_length) return;
  const auto kept =
      std::span<const int32_t>(example.tokens).first(static_cast<size_t>(max_seq_length));
  example.tokens = std::vector<int32_t>(kept.begin(), kept.end());
  example.truncated = true;
}

Encoded encode_record(const Json& record, RecordKind kind, bool masked, const TextEncoder& encoder,
                      const DatasetOptions& options) {
  Encoded out =
      kind == RecordKind::text ? encode_text(string_field(record, options.text_feature), encoder)
      : kind == RecordKind::rank
          ? encode_rank(record, encoder)
          : encode_messages(messages_of(record, kind, masked, options), record, encoder, masked);
  truncate(out.example, options.max_seq_length);
  if (!out.second) return out;
  truncate(*out.second, options.max_seq_length);
  // What is scored stands at the end, and one answer without the other says nothing.
  if (out.example.truncated || out.second->truncated)
    for (Example* e : {&out.example, &*out.second})
      e->prompt_length = static_cast<int32_t>(e->tokens.size());
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
    if (options.mask_prompt == MaskPrompt::no && dataset.kind == RecordKind::rank)
      fail("of ranked pairs only the scored word carries loss: leave out --no-mask-prompt");
  });
  dataset.masked = options.mask_prompt == MaskPrompt::yes ||
                   (options.mask_prompt == MaskPrompt::automatic && dataset.judge_data);
}

// The records' examples, in their order; the first that is at fault is the Error. `groups`: their
// "group" fields, as JSON; "" where there is none.
std::vector<Encoded> encode_records(const Dataset& dataset, const std::vector<RawRecord>& records,
                                    const RecordReader& reader, const TextEncoder& encoder,
                                    const DatasetOptions& options,
                                    std::vector<std::string>& groups) {
  std::vector<Encoded> encoded(records.size());
  groups.assign(records.size(), "");
  std::vector<std::string> errors(records.size());
  parallel_for_dynamic(static_cast<int64_t>(records.size()), 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto k = static_cast<size_t>(i);
      try {
        at_record(dataset.path, records[k], [&] {
          const Json record = reader.object(records[k]);
          encoded[k] = encode_record(record, dataset.kind, dataset.masked, encoder, options);
          const auto group = record.find("group");
          if (group != record.end() && !group->is_null()) groups[k] = group->dump();
        });
      } catch (const Error& e) {
        errors[k] = e.what();
      }
      encoded[k].example.source_line = records[k].line;
      if (encoded[k].second) encoded[k].second->source_line = records[k].line;
    }
  });
  for (const std::string& error : errors)
    if (!error.empty()) fail("{}", error);
  return encoded;
}

// Gives consecutive examples their groups: equal, non-null "group" fields belong together.
class GroupNumbers {
 public:
  int64_t next(std::string name) {
    if (name.empty() || name != last_) ++group_;
    last_ = std::move(name);
    return group_;
  }

 private:
  int64_t group_ = -1;
  std::string last_;
};

// Reads the file and gives each example to `add`, in order.
void encode_file(Dataset& dataset, const TextEncoder& encoder, const DatasetOptions& options,
                 const std::function<void(Example)>& add) {
  RecordReader reader(dataset.path, kMaxRecord);
  reader.match_header({options.prompt_feature, options.completion_feature, options.text_feature});
  std::vector<std::string> names;
  GroupNumbers groups;
  bool any = false;
  for (auto records = reader.next(kBatch); !records.empty(); records = reader.next(kBatch)) {
    if (!any) decide_kind(dataset, records[0], reader, options);
    any = true;
    auto encoded = encode_records(dataset, records, reader, encoder, options, names);
    for (size_t i = 0; i < encoded.size(); ++i) {
      Example& example = encoded[i].example;
      example.group = groups.next(std::move(names[i]));
      dataset.summary.longest = std::max(dataset.summary.longest, example.full_length);
      dataset.summary.rebuilt += encoded[i].rebuilt ? 1 : 0;
      const int64_t group = example.group;
      add(std::move(example));
      if (!encoded[i].second) continue;
      Example& second = *encoded[i].second;
      second.group = group;
      dataset.summary.longest = std::max(dataset.summary.longest, second.full_length);
      add(std::move(second));
    }
  }
  if (!any) fail("{} has no records", dataset.path.string());
}

// By the cache: read from there, or made there first. False where there is none for this file.
bool load_by_cache(Dataset& dataset, const TextEncoder& encoder, const DatasetOptions& options) {
  std::error_code ec;
  const auto size = std::filesystem::is_regular_file(dataset.path, ec)
                        ? std::filesystem::file_size(dataset.path, ec)
                        : 0;
  if (ec || options.token_cache.empty() || size < options.least_cached_bytes) return false;
  constexpr uint64_t kLimit = uint64_t{8} << 30;
  const std::string key = token_key(dataset.path, encoder, options);
  const auto path = token_path(options.token_cache, key, dataset.path);
  if (path.empty()) return false;
  if (read_token_file(path, key, dataset)) return true;
  write_file_atomic(path, [&](std::ostream& out) {
    TokenFileWriter writer(out);
    encode_file(dataset, encoder, options, [&](const Example& example) { writer.add(example); });
    writer.finish(dataset, key);
  });
  trim_token_cache(options.token_cache, path, kLimit);
  if (!read_token_file(path, key, dataset))
    fail("{} was written and cannot be read again: is the disk in order?", path.string());
  return true;
}

}  // namespace

std::vector<Example> encode_judge_record(const TextEncoder& encoder, const Json& record) {
  if (!record.contains("scored"))
    return {encode_messages(field(record, "messages"), record, encoder, true).example};
  Encoded ranked = encode_rank(record, encoder);
  return {std::move(ranked.example), std::move(*ranked.second)};
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
    s.ranked += e.ranked() ? 1 : 0;
    s.longest = std::max(s.longest, length);
  }
  return s;
}

std::filesystem::path default_token_cache() {
  const auto folder = cache_directory();
  return folder.empty() ? folder : folder / "tokens";
}

Dataset load_dataset(const std::filesystem::path& path, const TextEncoder& encoder,
                     const DatasetOptions& options) {
  if (options.max_seq_length < 1) fail("the maximum sequence length must be at least 1");
  Dataset dataset{.path = path};
  if (load_by_cache(dataset, encoder, options)) return dataset;
  encode_file(dataset, encoder, options,
              [&](Example example) { dataset.examples.push_back(std::move(example)); });
  const DatasetSummary counted = dataset.summary;
  dataset.summary = summarize(dataset.examples);
  dataset.summary.longest = counted.longest;
  dataset.summary.rebuilt = counted.rebuilt;
  return dataset;
}

std::optional<std::filesystem::path> find_split(const std::filesystem::path& directory,
                                                const std::string& split) {
  std::vector<std::string> endings = {".parquet", ".arrow"};
  for (const char* layout : {".jsonl", ".json", ".csv", ".tsv"})
    for (const char* packed : {"", ".gz", ".xz", ".zst", ".zip"})
      endings.push_back(std::string(layout) + packed);
  std::optional<std::filesystem::path> found;
  std::error_code ec;
  for (const std::string& ending : endings) {
    const auto path = directory / (split + ending);
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
  std::string there;
  for (const char* name : {"train", "valid", "test"})
    if (const auto path = find_split(directory, name))
      there += fmt::format("{}{}", there.empty() ? "" : ", ", path->filename().string());
  fail("{} does not exist; the folder has {}", (directory / (split + ".jsonl")).string(),
       there.empty() ? "none of train.jsonl, valid.jsonl and test.jsonl" : there);
}

std::string describe(const Dataset& dataset, const DatasetOptions& options) {
  const DatasetSummary& s = dataset.summary;
  std::string out =
      s.ranked > 0 ? fmt::format("{}: {} ranked pairs, {} tokens", dataset.path.filename().string(),
                                 grouped_digits(s.ranked / 2), grouped_digits(s.tokens))
                   : fmt::format("{}: {} examples, {} tokens ({} carry loss)",
                                 dataset.path.filename().string(), grouped_digits(s.examples),
                                 grouped_digits(s.tokens), grouped_digits(s.loss_tokens));
  if (s.truncated > 0)
    out += fmt::format(", {} truncated at {} (longest {})", grouped_digits(s.truncated),
                       options.max_seq_length, grouped_digits(s.longest));
  if (s.without_targets > 0 && s.ranked > 0)
    out += fmt::format(", of which {} pairs are left out", grouped_digits(s.without_targets / 2));
  else if (s.without_targets > 0)
    out += fmt::format(", {} with no token that carries loss", grouped_digits(s.without_targets));
  if (s.rebuilt > 0)
    out += fmt::format(
        ", {} with the answer put after the prompt that inference has (the chat template renders "
        "whole conversations otherwise)",
        grouped_digits(s.rebuilt));
  return out;
}

}  // namespace gavel
