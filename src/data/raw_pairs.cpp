#include "data/raw_pairs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/threads.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

std::string form_names() {
  std::string names;
  for (const PairForm& form : pair_forms())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", form.name);
  return names;
}

}  // namespace

PairReader::PairReader(const std::filesystem::path& path, const RawOptions& options)
    : path_(path), options_(options), reader_(path, options.max_record_bytes) {
  FieldNames mapped = field_names(plain_pairs());
  for (const std::string& mapping : options.field_mappings) map_field(mapped, mapping);
  columns_ = known_fields();
  for (const auto& [name, field] : mapped) columns_.insert(field);
  reader_.match_header(columns_);
  form_.form = options.form != nullptr ? options.form : &detect_form();
  set_fields();
}

void PairReader::set_fields() {
  const PairForm& form = *form_.form;
  FieldNames names = field_names(form);
  for (const std::string& mapping : options_.field_mappings) map_field(names, mapping);
  for (const auto& [name, field] : names) form_.paths[name] = pieces_of(field, "|");
  for (const std::string& piece : pieces_of(form.meta, ", ")) {
    const size_t equals = piece.find('=');
    form_.meta.emplace_back(piece.substr(0, equals), pieces_of(piece.substr(equals + 1), "|"));
  }
  for (const std::string& meaning : options_.label_meanings) add_meaning(form_.meanings, meaning);
  if (!names.at("label").empty()) return;
  if (*form.choose != '\0' && options_.needs_label) {
    const auto labels = pieces_of(form.choose, ", ");
    throw UsageError(
        fmt::format("{} ({}) has labels of different meaning: name one with --field label={} or "
                    "--field label={}",
                    path_.string(), form.name, labels.at(0), labels.at(1)));
  }
  if (!form_.meanings.empty())
    throw UsageError(fmt::format(
        "--label-map: data of the form {} ({}) have no label that could be read otherwise; --field "
        "label=FIELD names one",
        form.name, path_.string()));
}

// By the first records that can be read at all.
const PairForm& PairReader::detect_form() const {
  RecordReader peek(path_, options_.max_record_bytes);
  peek.match_header(columns_);
  const bool own_answers = std::any_of(
      options_.field_mappings.begin(), options_.field_mappings.end(), [](const std::string& m) {
        return m.starts_with("answer_a=") || m.starts_with("answer_b=");
      });
  std::string seen, problem = "no record could be read";
  for (const RawRecord& record : peek.next(100)) {
    try {
      const Json fields = peek.object(record);
      // Where the user names two answers, a form that has no two answers is not meant.
      if (const PairForm* form = form_of(fields);
          form != nullptr && (!own_answers || !field_names(*form).at("answer_a").empty()))
        return *form;
      if (!seen.empty()) continue;
      for (const auto& [name, value] : fields.items())
        seen += (seen.empty() ? "" : ", ") + name.substr(0, 40);
      problem = "the record has " + seen;
      if (const char* what = unread_form(fields); what != nullptr && !own_answers)
        fail("{}: it holds {}; only pairs of answers are read so far", path_.string(), what);
    } catch (const RecordFault& fault) {
      if (seen.empty() && problem.size() < 30)
        problem += fmt::format(" (line {}: {}: {})", record.line, fault.kind, fault.detail);
    }
  }
  if (!options_.field_mappings.empty()) return plain_pairs();
  fail(
      "{}: the fields are of no known form ({}); {}. Name them with --field question=..., --field "
      "answer_a=..., --field answer_b=..., --field label=...",
      path_.string(), form_names(), problem);
}

std::vector<RawRow> PairReader::next(size_t count) {
  const std::vector<RawRecord> records = reader_.next(count);
  std::vector<std::vector<RawRow>> rows(records.size());
  parallel_for_dynamic(static_cast<int64_t>(records.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      try {
        rows[i] = pairs_of(reader_.object(records[i]), form_, options_);
      } catch (const RecordFault& fault) {
        rows[i] = {RawRow{.pair = std::nullopt, .fault = fault.kind, .detail = fault.detail}};
      }
      for (RawRow& row : rows[i]) {
        row.line = records[i].line;
        if (row.pair) row.pair->source_line = row.line;
      }
    }
  });
  std::vector<RawRow> out;
  out.reserve(rows.size());
  for (auto& of_record : rows)
    std::move(of_record.begin(), of_record.end(), std::back_inserter(out));
  return out;
}

}  // namespace gavel
