#include "data/raw_pairs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/threads.h"
#include "data/jsonl.h"
#include "data/pair_row.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

std::string form_names() {
  std::string names;
  for (const PairForm& form : pair_forms())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", form.name);
  return names;
}

FormFields fields_of(const PairForm& form, const RawOptions& options, const std::string& file) {
  FormFields out;
  out.form = &form;
  FieldNames names = field_names(form, options.answers);
  for (const std::string& mapping : options.field_mappings) map_field(names, mapping);
  for (const auto& [name, field] : names) out.paths[name] = pieces_of(field, "|");
  for (const std::string& piece : pieces_of(form.meta, ", ")) {
    const size_t equals = piece.find('=');
    out.meta.emplace_back(piece.substr(0, equals), pieces_of(piece.substr(equals + 1), "|"));
  }
  for (const std::string& meaning : options.label_meanings) add_meaning(out.meanings, meaning);
  if (!names.at("label").empty()) return out;
  if (*form.choose != '\0' && options.labels == RawOptions::Labels::needed) {
    const auto labels = pieces_of(form.choose, ", ");
    throw UsageError(
        fmt::format("{} ({}) has labels of different meaning: name one with gavel prepare "
                    "--field label={} or --field label={}",
                    file, form.name, labels.at(0), labels.at(1)));
  }
  if (!out.meanings.empty())
    throw UsageError(fmt::format(
        "--label-map: data of the form {} ({}) have no label that could be read otherwise; --field "
        "label=FIELD names one",
        form.name, file));
  return out;
}

// By the first of the records that can be read at all; null, and why in `problem`, where it is of
// no known form.
const PairForm* detected_form(const std::vector<RawRecord>& records, const RecordReader& reader,
                              const RawOptions& options, const std::string& name,
                              std::string& problem) {
  const bool own_answers = std::any_of(
      options.field_mappings.begin(), options.field_mappings.end(), [](const std::string& m) {
        return m.starts_with("answer_a=") || m.starts_with("answer_b=");
      });
  std::string seen;
  problem = "no record could be read";
  for (const RawRecord& record : records) {
    try {
      const Json fields = reader.object(record);
      // Where the user names two answers, a form that has no two answers is not meant.
      if (const PairForm* form = form_of(fields);
          form != nullptr && (!own_answers || !field_names(*form).at("answer_a").empty()))
        return form;
      if (!seen.empty()) continue;
      for (const auto& [field, value] : fields.items())
        seen += (seen.empty() ? "" : ", ") + field.substr(0, 40);
      problem = "the record has " + seen;
    } catch (const RecordFault& fault) {
      if (seen.empty() && problem.size() < 30)
        problem +=
            fmt::format(" ({}: {}: {})", file_line(name, record.line), fault.kind, fault.detail);
    }
  }
  if (options.field_mappings.empty()) return nullptr;
  return options.answers ? &plain_answers() : &plain_pairs();
}

}  // namespace

std::set<std::string> columns_of(const RawOptions& options) {
  FieldNames mapped = field_names(plain_answers(), options.answers);
  for (const std::string& mapping : options.field_mappings) map_field(mapped, mapping);
  std::set<std::string> columns = known_fields();
  for (const auto& [name, field] : mapped)
    for (const std::string& one : pieces_of(field, "|")) columns.insert(one);
  return columns;
}

FormFields form_of_records(const std::vector<RawRecord>& records, const RecordReader& reader,
                           const RawOptions& options, const std::string& name) {
  std::string problem;
  const PairForm* form = options.form != nullptr
                             ? options.form
                             : detected_form(records, reader, options, name, problem);
  if (form == nullptr)
    fail("{}: the fields are of no known form ({}); {}. Name them with --field question=..., {}",
         name, form_names(), problem,
         options.answers ? "--field answer=... and what its label is called"
                         : "--field answer_a=..., --field answer_b=..., --field label=...");
  return fields_of(*form, options, name);
}

std::string shown_name(const std::filesystem::path& path, const RawOptions& options) {
  return !path.empty() && path == options.standard_input ? "standard input" : path.string();
}

FormFields form_of_file(const std::filesystem::path& path, const RawOptions& options) {
  RecordReader reader(path, options.max_record_bytes);
  reader.match_header(columns_of(options));
  const std::vector<RawRecord> records = reader.next(100);
  return form_of_records(records, reader, options, shown_name(path, options));
}

PairReader::PairReader(const std::filesystem::path& path, const RawOptions& options)
    : path_(shown_name(path, options)), options_(options), reader_(path, options.max_record_bytes) {
  reader_.match_header(columns_of(options));
  set_form(form_of_file(path, options));
}

PairReader::PairReader(TextSource source, const std::string& name, const RawOptions& options)
    : path_(name), options_(options), reader_(std::move(source), options.max_record_bytes) {}

void PairReader::set_form(FormFields form) {
  if (options_.answers)
    check_answers_form(form, *options_.answers, path_.string());
  else if (is_joined(*form.form))
    fail(
        "{} holds {} ({}): gavel prepare makes pairs of the answers to one question, of one file "
        "or of several",
        path_.string(), form.form->data, form.form->name);
  form_ = std::move(form);
  form_found_ = true;
}

std::vector<RawRecord> PairReader::next_records(size_t count) {
  std::vector<RawRecord> records = reader_.next(count);
  if (form_found_) return records;
  // Of a stream, records before the first one of a known form are at fault as plain pairs.
  std::string problem;
  const PairForm* found = options_.form != nullptr
                              ? options_.form
                              : detected_form(records, reader_, options_, path_.string(), problem);
  const PairForm& plain = options_.answers ? plain_answers() : plain_pairs();
  FormFields form = fields_of(found != nullptr ? *found : plain, options_, path_.string());
  if (found != nullptr)
    set_form(std::move(form));
  else
    form_ = std::move(form);
  return records;
}

std::vector<RawRow> PairReader::rows_of(const RawRecord& record) const {
  std::vector<RawRow> rows;
  try {
    rows = pairs_of(reader_.object(record), form_, options_);
  } catch (const RecordFault& fault) {
    rows.push_back({.pair = std::nullopt, .fault = fault.kind, .detail = fault.detail});
  }
  for (RawRow& row : rows) {
    row.line = record.line;
    if (row.pair) row.pair->source_line = row.line;
  }
  return rows;
}

std::vector<RawRow> PairReader::next(size_t count) {
  const std::vector<RawRecord> records = next_records(count);
  std::vector<std::vector<RawRow>> rows(records.size());
  parallel_for_dynamic(static_cast<int64_t>(records.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) rows[i] = rows_of(records[i]);
  });
  std::vector<RawRow> out;
  out.reserve(rows.size());
  for (auto& of_record : rows)
    std::move(of_record.begin(), of_record.end(), std::back_inserter(out));
  return out;
}

namespace {

// As form_of_file; what is of no known form may be questions alone.
FormFields form_of_questions(const std::filesystem::path& path, const RawOptions& options) {
  RecordReader reader(path, options.max_record_bytes);
  reader.match_header(columns_of(options));
  const std::vector<RawRecord> records = reader.next(100);
  std::string problem;
  const auto is_question = [&](const RawRecord& record) {
    try {
      return has_fields(reader.object(record), plain_questions().found_by);
    } catch (const RecordFault&) {
      return false;
    }
  };
  if (options.form == nullptr &&
      detected_form(records, reader, options, path.string(), problem) == nullptr &&
      std::any_of(records.begin(), records.end(), is_question))
    return fields_of(plain_questions(), options, path.string());
  return form_of_records(records, reader, options, path.string());
}

}  // namespace

void for_each_question(const std::filesystem::path& path, const RawOptions& options,
                       const std::function<void(const std::string&)>& visit) {
  const auto unreadable = [&](int64_t line, const std::string& kind, const std::string& detail) {
    fail("{}: {}: {}; the questions of an excluded file must all be readable",
         file_line(path, line), kind, detail);
  };
  const FormFields form = form_of_questions(path, options);
  if (!is_joined(*form.form)) {
    PairReader reader(path, options);
    for (auto rows = reader.next(1024); !rows.empty(); rows = reader.next(1024))
      for (const RawRow& row : rows) {
        if (!row.pair) unreadable(row.line, row.fault, row.detail);
        visit(row.pair->question);
      }
    return;
  }
  if (form.form->outcome == Outcome::conversation)
    fail("{} ({}): give the questions alone, as \"question\"", path.string(), form.form->name);
  if (form.paths.at("question").empty())
    fail("{} ({}) has no questions to be excluded: give the file of questions", path.string(),
         form.form->name);
  RecordReader reader(path, options.max_record_bytes);
  reader.match_header(columns_of(options));
  for (auto records = reader.next(1024); !records.empty(); records = reader.next(1024))
    for (const RawRecord& record : records) try {
        const Json fields = reader.object(record);
        const Conversation turns = question_of(PairRow(fields, form, options), true);
        visit(as_text(turns));
        if (turns.size() > 1) visit(turns[0].text);
      } catch (const RecordFault& fault) {
        unreadable(record.line, fault.kind, fault.detail);
      }
}

}  // namespace gavel
