#include "data/raw_pairs.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/threads.h"
#include "data/jsonl.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

using Fault = RecordFault;

constexpr const char* kMissing = "missing field";
constexpr const char* kType = "wrong type";
constexpr const char* kLabel = "bad label";

// One row's fields, found by our names; empty mapped names are fields that the format has not.
class Row {
 public:
  Row(const Json& fields, const FieldNames& names, const RawOptions& options,
      const LabelMeanings& meanings)
      : meanings(meanings), fields_(fields), names_(names), options_(options) {}

  const LabelMeanings& meanings;

  const Json* find(const std::string& name) const {
    const auto named = names_.find(name);
    if (named == names_.end()) return nullptr;
    const auto it = fields_.find(named->second);
    if (it == fields_.end() || it->is_null()) return nullptr;
    // A CSV cell that is empty is a value that is absent, except where it may be an answer.
    const bool empty = it->is_string() && it->get_ref<const std::string&>().empty();
    return empty && name != "answer_a" && name != "answer_b" ? nullptr : &*it;
  }

  const std::string& called(const std::string& name) const { return names_.at(name); }

  std::string text(const std::string& name, bool needed) const {
    const Json* value = find(name);
    if (value == nullptr) {
      if (needed) throw Fault{kMissing, fmt::format("there is no \"{}\"", called(name))};
      return "";
    }
    if (name == "reference" && value->is_object()) {  // JudgeLM: {"text": "..."}
      const auto inner = value->find("text");
      if (inner == value->end()) throw Fault{kType, "the reference has no \"text\""};
      value = &*inner;
    }
    const auto text = text_of(*value);
    if (!text)
      throw Fault{kType,
                  fmt::format("\"{}\" must be text and is {}", called(name), value->type_name())};
    if (text->size() > options_.max_text_bytes)
      throw Fault{"text too long", fmt::format("\"{}\" has {} bytes; the limit is {}", called(name),
                                               text->size(), options_.max_text_bytes)};
    return *text;
  }

  const Json& fields() const { return fields_; }

 private:
  const Json& fields_;
  const FieldNames& names_;
  const RawOptions& options_;
};

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::optional<double> number_of(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const std::string text = trimmed(value.get_ref<const std::string&>());
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// JudgeLM's scale ends at 10, and a reviewer that failed left -1; other data may have any scale.
Verdict by_scores(double a, double b, const RawOptions& options) {
  for (const double score : {a, b}) {
    if (!std::isfinite(score)) throw Fault{kLabel, "a score is not finite"};
    if (options.format == RawFormat::judgelm && !(score >= 0 && score <= options.max_score))
      throw Fault{kLabel,
                  fmt::format("the score {} is not from 0 to {}", score, options.max_score)};
  }
  return a > b ? Verdict::a : b > a ? Verdict::b : Verdict::tie;
}

double score_of(const Json& value, const std::string& name) {
  const auto number = number_of(value);
  if (!number)
    throw Fault{kLabel, fmt::format("\"{}\" is no number: {}", name, value.dump().substr(0, 60))};
  return *number;
}

// Two scores on the first line of a review, JudgeLM's way ("8 5"), and the text after that line.
struct ScoresLine {
  double a = 0, b = 0;
};
std::optional<ScoresLine> take_scores_line(std::string& review) {
  const size_t begin = review.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return std::nullopt;
  const size_t end = std::min(review.find('\n', begin), review.size());
  double scores[2];
  const char* at = review.data() + begin;
  const char* stop = review.data() + end;
  for (double& score : scores) {
    while (at < stop && (*at == ' ' || *at == ',' || *at == '\t')) ++at;
    const auto [next, error] = std::from_chars(at, stop, score);
    if (error != std::errc() || !std::isfinite(score)) return std::nullopt;
    at = next;
  }
  for (; at < stop; ++at)
    if (*at != ' ' && *at != '\r' && *at != '\t') return std::nullopt;
  review = trimmed(std::string_view(review).substr(end));
  return ScoresLine{scores[0], scores[1]};
}

// annotator1, annotator2, ... : 0 tie, 1 the first, 2 the second.
std::vector<int> votes_of(const Row& row) {
  std::vector<int> votes;
  const std::string& prefix = row.called("votes");
  for (int i = 1;; ++i) {
    const std::string name = prefix + std::to_string(i);
    const auto it = row.fields().find(name);
    if (it == row.fields().end()) break;
    const auto number = number_of(*it);
    if (!number || (*number != 0.0 && *number != 1.0 && *number != 2.0))
      throw Fault{kLabel, fmt::format("\"{}\" must be 0, 1 or 2 and is {}", name,
                                      it->dump().substr(0, 60))};
    votes.push_back(static_cast<int>(*number));
  }
  return votes;
}

Verdict majority(const std::vector<int>& votes, bool split_tie) {
  int counts[3] = {0, 0, 0};
  for (const int vote : votes) ++counts[vote];
  for (int choice = 0; choice < 3; ++choice)
    if (2 * counts[choice] > static_cast<int>(votes.size()))
      return choice == 0 ? Verdict::tie : choice == 1 ? Verdict::a : Verdict::b;
  if (split_tie) return Verdict::tie;
  throw Fault{"no majority", fmt::format("the annotators are split {}:{}:{} (first, second, tie)",
                                         counts[1], counts[2], counts[0])};
}

Verdict label_of(const Row& row, JudgePair& pair, const RawOptions& options) {
  if (const Json* label = row.find("label"); label != nullptr && !is_unlabelled(*label)) {
    if (const auto verdict = read_label(*label, row.meanings)) return *verdict;
    throw Fault{kLabel, fmt::format("\"{}\" {}", row.called("label"), label_advice(*label))};
  }
  if (const Json* scores = row.find("scores")) {
    if (scores->is_array() && scores->size() == 2)
      return by_scores(score_of((*scores)[0], row.called("scores")),
                       score_of((*scores)[1], row.called("scores")), options);
    throw Fault{kLabel, fmt::format("\"{}\" must be a list of two numbers and is {}",
                                    row.called("scores"), scores->dump().substr(0, 60))};
  }
  const Json* a = row.find("score_a");
  const Json* b = row.find("score_b");
  if (a != nullptr && b != nullptr)
    return by_scores(score_of(*a, row.called("score_a")), score_of(*b, row.called("score_b")),
                     options);
  if (!pair.votes.empty()) return majority(pair.votes, options.split_votes_tie);
  if (const auto line = take_scores_line(pair.reason)) return by_scores(line->a, line->b, options);
  throw Fault{kMissing, "there is neither a label, nor scores, nor votes"};
}

JudgePair pair_of(const Row& row, const RawOptions& options) {
  JudgePair pair;
  pair.question = row.text("question", true);
  const std::string input = row.text("input", false);
  if (!trimmed(input).empty()) pair.question += "\n\n" + input;
  pair.question = trimmed(pair.question);
  if (pair.question.empty())
    throw Fault{"empty question", fmt::format("\"{}\" is empty", row.called("question"))};
  pair.answer_a = trimmed(row.text("answer_a", true));
  pair.answer_b = trimmed(row.text("answer_b", true));
  pair.reason = trimmed(row.text("reason", false));
  pair.reference = trimmed(row.text("reference", false));
  pair.id = row.text("id", false);
  pair.category = row.text("category", false);
  pair.votes = votes_of(row);
  pair.label = label_of(row, pair, options);
  take_scores_line(pair.reason);  // a review may repeat the scores that were given apart
  pair.reason = with_letters(pair.reason);
  if (pair.answer_a == pair.answer_b && pair.label != Verdict::tie)
    throw Fault{"equal answers", fmt::format("the answers are the same, but the label is {}",
                                             to_string(*pair.label))};
  return pair;
}

// Forms of preference data that are told apart here only to say what they are.
const char* unread_form(const Json& fields) {
  if (fields.contains("chosen") && fields.contains("rejected"))
    return "a better and a worse answer (\"chosen\", \"rejected\")";
  if (fields.contains("conversation_a") && fields.contains("conversation_b"))
    return "two conversations and their winner (\"conversation_a\", \"conversation_b\")";
  if (fields.contains("winner_model_a") && fields.contains("response_a"))
    return "two answers and a column for each outcome (\"winner_model_a\", ...)";
  return nullptr;
}

RawFormat detect(const Json& fields) {
  if (fields.contains("question_body") && fields.contains("answer1_body"))
    return RawFormat::judgelm;
  if (fields.contains("response1") && fields.contains("response2")) return RawFormat::pandalm;
  if (fields.contains("answer_a") && fields.contains("answer_b")) return RawFormat::pairs;
  return RawFormat::automatic;
}

}  // namespace

std::string_view to_string(RawFormat format) {
  switch (format) {
    case RawFormat::automatic:
      return "auto";
    case RawFormat::judgelm:
      return "judgelm";
    case RawFormat::pandalm:
      return "pandalm";
    case RawFormat::pairs:
      return "pairs";
  }
  return "auto";
}

std::optional<RawFormat> parse_raw_format(std::string_view name) {
  for (const auto f :
       {RawFormat::automatic, RawFormat::judgelm, RawFormat::pandalm, RawFormat::pairs})
    if (name == to_string(f)) return f;
  return std::nullopt;
}

FieldNames field_names(RawFormat format) {
  FieldNames names = {{"question", "question"},   {"input", ""},
                      {"answer_a", "answer_a"},   {"answer_b", "answer_b"},
                      {"label", "label"},         {"scores", "scores"},
                      {"score_a", "score_a"},     {"score_b", "score_b"},
                      {"votes", "annotator"},     {"reason", "reason"},
                      {"reference", "reference"}, {"id", "id"},
                      {"category", "category"}};
  const auto set = [&](std::initializer_list<std::pair<const char*, const char*>> changes) {
    for (const auto& [name, field] : changes) names[name] = field;
  };
  if (format == RawFormat::judgelm)
    set({{"question", "question_body"},
         {"answer_a", "answer1_body"},
         {"answer_b", "answer2_body"},
         {"scores", "score"},
         {"reason", "text"},
         {"id", "question_id"},
         {"label", ""}});
  if (format == RawFormat::pandalm)
    set({{"question", "instruction"},
         {"input", "input"},
         {"answer_a", "response1"},
         {"answer_b", "response2"},
         {"id", "idx"},
         {"category", "motivation_app"},
         {"label", ""}});
  return names;
}

void map_field(FieldNames& names, const std::string& mapping) {
  const size_t equals = mapping.find('=');
  const std::string name = mapping.substr(0, equals);
  if (equals == std::string::npos || !names.contains(name)) {
    std::string known;
    for (const auto& [n, field] : names) known += (known.empty() ? "" : ", ") + n;
    throw UsageError(
        fmt::format("--field {}: it must be NAME=FIELD, with NAME one of {}", mapping, known));
  }
  names[name] = mapping.substr(equals + 1);
}

const std::set<std::string>& known_fields() {
  static const std::set<std::string> known = [] {
    std::set<std::string> names;
    for (const auto f : {RawFormat::judgelm, RawFormat::pandalm, RawFormat::pairs})
      for (const auto& [name, field] : field_names(f)) names.insert(field);
    for (int i = 1; i <= 9; ++i) names.insert("annotator" + std::to_string(i));
    return names;
  }();
  return known;
}

PairReader::PairReader(const std::filesystem::path& path, const RawOptions& options)
    : path_(path), options_(options), reader_(path, options.max_record_bytes) {
  FieldNames mapped = field_names(RawFormat::pairs);
  for (const std::string& mapping : options.field_mappings) map_field(mapped, mapping);
  columns_ = known_fields();
  for (const auto& [name, field] : mapped) columns_.insert(field);
  reader_.match_header(columns_);
  format_ = options.format == RawFormat::automatic ? detect_format() : options.format;
  options_.format = format_;
  names_ = field_names(format_);
  for (const std::string& mapping : options.field_mappings) map_field(names_, mapping);
  for (const std::string& meaning : options.label_meanings) add_meaning(meanings_, meaning);
  if (!meanings_.empty() && names_.at("label").empty())
    throw UsageError(fmt::format(
        "--label: data of the format {} ({}) have no labels but scores or votes; --field "
        "label=FIELD names one",
        to_string(format_), path.string()));
}

// By the first records that can be read at all.
RawFormat PairReader::detect_format() const {
  RecordReader peek(path_, options_.max_record_bytes);
  peek.match_header(columns_);
  std::string seen, problem = "no record could be read";
  for (const RawRecord& record : peek.next(100)) {
    try {
      const Json fields = peek.object(record);
      if (const RawFormat format = detect(fields); format != RawFormat::automatic) return format;
      if (!seen.empty()) continue;
      for (const auto& [name, value] : fields.items())
        seen += (seen.empty() ? "" : ", ") + name.substr(0, 40);
      problem = "the record has " + seen;
      if (const char* form = unread_form(fields))
        problem = fmt::format("it holds {}, a form that is not read yet", form);
    } catch (const Fault& fault) {
      if (seen.empty() && problem.size() < 30)
        problem += fmt::format(" (line {}: {}: {})", record.line, fault.kind, fault.detail);
    }
  }
  if (!options_.field_mappings.empty()) return RawFormat::pairs;
  fail(
      "{}: the fields are of no known format (judgelm, pandalm, pairs); {}. Name them with "
      "--field question=..., --field answer_a=..., --field answer_b=..., --field label=...",
      path_.string(), problem);
}

std::vector<RawRow> PairReader::next(size_t count) {
  const std::vector<RawRecord> records = reader_.next(count);
  std::vector<RawRow> rows(records.size());
  parallel_for_dynamic(static_cast<int64_t>(records.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      rows[i].line = records[i].line;
      try {
        const Json fields = reader_.object(records[i]);
        rows[i].pair = pair_of(Row(fields, names_, options_, meanings_), options_);
        rows[i].pair->source_line = records[i].line;
      } catch (const Fault& fault) {
        rows[i].fault = fault.kind;
        rows[i].detail = fault.detail;
      }
    }
  });
  return rows;
}

}  // namespace gavel
