#include "data/dataset.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/jsonl.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

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
  bool prompt_not_prefix = false;
};

// `record`: what the messages belong to.
Encoded encode_messages(const Json& raw, const Json& record, const TextEncoder& encoder,
                        bool masked) {
  bool marked = false;
  const Json messages = checked_chat(encoder, raw, record, marked);
  const Json& tools = tools_of(record);
  if (std::none_of(messages.begin(), messages.end(), is_assistant))
    fail("no message has the role \"assistant\", so there is nothing to learn");
  Encoded out;
  const std::vector<int> ids = encode_chat(encoder, messages, tools, false, marked);
  out.example.tokens.assign(ids.begin(), ids.end());
  if (masked) {
    if (!is_assistant(messages.back()))
      fail(
          "the last message has the role {}, and with a masked prompt it must be the assistant's, "
          "since it alone carries loss",
          messages.back().at("role").dump());
    const Json prompt(messages.begin(), messages.end() - 1);
    const std::vector<int> prompt_ids = encode_chat(encoder, prompt, tools, true, marked);
    out.example.prompt_length = static_cast<int32_t>(prompt_ids.size());
    out.prompt_not_prefix = prompt_ids.size() > ids.size() ||
                            !std::equal(prompt_ids.begin(), prompt_ids.end(), ids.begin());
  }
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
  } else if (kind == RecordKind::completion) {
    Json messages = Json::array();
    messages.push_back(
        {{"role", "user"}, {"content", string_field(record, options.prompt_feature)}});
    messages.push_back(
        {{"role", "assistant"}, {"content", string_field(record, options.completion_feature)}});
    out = encode_messages(messages, record, encoder, masked);
  } else {
    out = encode_messages(field(record, options.chat_feature), record, encoder, masked);
  }
  Example& example = out.example;
  out.full_length = static_cast<int64_t>(example.tokens.size());
  if (out.full_length > options.max_seq_length) {
    example.tokens.resize(static_cast<size_t>(options.max_seq_length));
    example.truncated = true;
  }
  return out;
}

struct Line {
  int64_t number;
  std::string_view text;
};

Json parse_record(const Line& line) {
  Json record = parse_json(line.text);
  if (!record.is_object()) fail("a record must be a JSON object and is {}", record.type_name());
  return record;
}

// The kind of a file, by its first record.
RecordKind kind_of(const Json& record, const DatasetOptions& options) {
  if (record.contains(options.prompt_feature) && record.contains(options.completion_feature))
    return RecordKind::completion;
  if (record.contains(options.chat_feature)) return RecordKind::chat;
  if (record.contains(options.text_feature)) return RecordKind::text;
  fail("the record has none of \"{}\", \"{}\" with \"{}\", or \"{}\"", options.chat_feature,
       options.prompt_feature, options.completion_feature, options.text_feature);
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
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  std::vector<Line> lines;
  for_each_line(text, [&](int64_t number, std::string_view line) {
    lines.push_back({number, line});
  });
  if (lines.empty()) fail("{} has no records", path.string());

  Dataset dataset{.path = path};
  const auto at_line = [&](const Line& line, const auto& body) {
    try {
      body();
    } catch (const std::exception& e) {
      fail("{}: {}", file_line(path, line.number), e.what());
    }
  };
  at_line(lines[0], [&] {
    const Json first = parse_record(lines[0]);
    dataset.kind = kind_of(first, options);
    dataset.judge_data = dataset.kind != RecordKind::text && is_judge_record(first);
    if (options.mask_prompt == MaskPrompt::yes && dataset.kind == RecordKind::text)
      fail("the prompt of \"{}\" records cannot be masked: they have none", options.text_feature);
  });
  dataset.masked = options.mask_prompt == MaskPrompt::yes ||
                   (options.mask_prompt == MaskPrompt::automatic && dataset.judge_data);

  std::vector<Encoded> encoded(lines.size());
  std::vector<std::string> groups(lines.size()), errors(lines.size());
  parallel_for_dynamic(static_cast<int64_t>(lines.size()), 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      try {
        const Json record = parse_record(lines[i]);
        encoded[i] = encode_record(record, dataset.kind, dataset.masked, encoder, options);
        const auto group = record.find("group");
        if (group != record.end() && !group->is_null()) groups[i] = group->dump();
      } catch (const std::exception& e) {
        errors[i] = e.what();
      }
      encoded[i].example.source_line = lines[i].number;
    }
  });
  for (size_t i = 0; i < lines.size(); ++i)
    if (!errors[i].empty()) fail("{}: {}", file_line(path, lines[i].number), errors[i]);

  int64_t longest = 0, not_prefix = 0;
  dataset.examples.reserve(lines.size());
  for (Encoded& e : encoded) {
    longest = std::max(longest, e.full_length);
    not_prefix += e.prompt_not_prefix ? 1 : 0;
    dataset.examples.push_back(std::move(e.example));
  }
  assign_groups(dataset.examples, groups);
  dataset.summary = summarize(dataset.examples);
  dataset.summary.longest = longest;
  dataset.summary.prompt_not_prefix = not_prefix;
  return dataset;
}

Dataset load_split(const std::filesystem::path& directory, const std::string& split,
                   const TextEncoder& encoder, const DatasetOptions& options) {
  const auto path = directory / (split + ".jsonl");
  std::error_code ec;
  if (!std::filesystem::exists(directory, ec))
    fail("the data folder {} does not exist", directory.string());
  if (!std::filesystem::exists(path, ec)) {
    std::string there;
    for (const char* name : {"train", "valid", "test"})
      if (std::filesystem::exists(directory / (std::string(name) + ".jsonl"), ec))
        there += fmt::format("{}{}.jsonl", there.empty() ? "" : ", ", name);
    fail("{} does not exist; the folder has {}", path.string(),
         there.empty() ? "none of train.jsonl, valid.jsonl and test.jsonl" : there);
  }
  return load_dataset(path, encoder, options);
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
  if (s.prompt_not_prefix > 0)
    out += fmt::format(", {} whose prompt is no prefix under this chat template",
                       grouped_digits(s.prompt_not_prefix));
  return out;
}

}  // namespace gavel
