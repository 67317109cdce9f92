#include "data/join_answers.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "data/jsonl.h"
#include "data/raw_pairs.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostAnswers = 64;  // to one question: they make up to half its square of pairs

// Where a record lies among those that were read.
struct Place {
  uint64_t at = 0;  // of its text in the spool
  uint32_t size = 0, file = 0;
  uint32_t question = 0;  // by the order in which they first come
  uint32_t line = 0;
};

class Join {
 public:
  Join(const std::vector<std::filesystem::path>& files, const RawOptions& options,
       const std::filesystem::path& out, const std::function<bool()>& stop)
      : files_(files), options_(options), stop_(stop), spool_(out.string() + ".answers") {}
  ~Join() {
    std::error_code ignored;
    std::filesystem::remove(spool_, ignored);
  }
  Join(const Join&) = delete;
  Join& operator=(const Join&) = delete;

  JoinReport run(const std::filesystem::path& out) {
    read();
    write_file_atomic(out, [&](std::ostream& to) { write(to); });
    if (report_.pairs == 0)
      fail(
          "{} ({}): no two of the {} answers are to the same question, so there is no pair; "
          "with --form score or --form pass each answer is judged alone{}",
          shown_name(files_[0], options_), forms_[0].form->data, report_.answers, first_fault());
    return std::move(report_);
  }

 private:
  void fault(const std::string& kind, const std::string& place, const std::string& detail) {
    report_.faults[kind].add(place, detail);
  }

  std::string first_fault() const {
    if (report_.faults.empty()) return "";
    const auto& [kind, fault] = *report_.faults.begin();
    return fmt::format("; {}: {}: {}", kind, fault.places[0].first, fault.places[0].second);
  }

  // Writes all records to the spool, and keeps where they are and to which question they belong.
  void read() {
    std::ofstream spool(spool_, std::ios::binary);
    uint64_t at = 0;
    for (size_t f = 0; f < files_.size(); ++f) {
      forms_.push_back(form_of_file(files_[f], options_));
      report_.forms.emplace_back(forms_.back().form->name);
      RecordReader reader(files_[f], options_.max_record_bytes);
      reader.match_header(columns_of(options_));
      for (auto records = reader.next(1024); !records.empty(); records = reader.next(1024)) {
        if (stop_ && stop_()) fail("interrupted: nothing was written");
        for (const RawRecord& record : records) {
          const std::string where = file_line(shown_name(files_[f], options_), record.line);
          try {
            const Json fields = reader.object(record);
            const auto key = question_key({&fields, &forms_.back(), where}, options_);
            if (!key) throw RecordFault{"empty question", "there is no question"};
            const std::string text = to_line(fields);
            add(*key, {at, static_cast<uint32_t>(text.size()), static_cast<uint32_t>(f), 0,
                       static_cast<uint32_t>(record.line)});
            spool << text;
            at += text.size();
          } catch (const RecordFault& problem) {
            fault(problem.kind, where, problem.detail);
          }
        }
      }
    }
    if (!spool.flush()) fail("{} cannot be written: is the disk full?", spool_.string());
  }

  void add(uint64_t key, Place place) {
    const auto [it, fresh] = questions_.emplace(key, static_cast<uint32_t>(questions_.size()));
    place.question = it->second;
    if (forms_[place.file].form->outcome == Outcome::question) {
      asked_.emplace(place.question, place);
      return;
    }
    ++report_.answers;
    places_.push_back(place);
  }

  void write(std::ostream& out) {
    std::stable_sort(places_.begin(), places_.end(),
                     [](const Place& a, const Place& b) { return a.question < b.question; });
    std::ifstream spool(spool_, std::ios::binary);
    for (size_t i = 0; i < places_.size();) {
      if (stop_ && stop_()) fail("interrupted: nothing was written");
      size_t end = i;
      while (end < places_.size() && places_[end].question == places_[i].question) ++end;
      ++report_.questions;
      if (end - i == 1)
        ++report_.alone;
      else
        write_question(spool, std::span(places_).subspan(i, end - i), out);
      i = end;
    }
  }

  std::string where(const Place& place) const {
    return file_line(shown_name(files_[place.file], options_), place.line);
  }

  Json record_at(std::ifstream& spool, const Place& place) const {
    std::string text(place.size, '\0');
    spool.seekg(static_cast<std::streamoff>(place.at));
    spool.read(text.data(), static_cast<std::streamsize>(text.size()));
    return parse_json(text);
  }

  void write_question(std::ifstream& spool, std::span<const Place> places, std::ostream& out) {
    if (places.size() > kMostAnswers)
      fail("{}: this question has {} answers, and at most {} are joined", where(places[0]),
           places.size(), kMostAnswers);
    std::vector<Json> records;
    std::vector<SingleAnswer> answers;
    records.reserve(places.size());
    for (const Place& place : places) {
      records.push_back(record_at(spool, place));
      answers.push_back({&records.back(), &forms_[place.file], where(place)});
    }
    Json question;
    std::optional<SingleAnswer> asked;
    if (const auto it = asked_.find(places[0].question); it != asked_.end()) {
      question = record_at(spool, it->second);
      asked = {&question, &forms_[it->second.file], where(it->second)};
    } else if (answers[0].form->paths.at("question").empty() &&
               answers[0].form->form->outcome != Outcome::conversation) {
      return fault("no question", answers[0].source,
                   "no file has the question of this id: give the file of questions too");
    }
    for (const RawRow& row : pairs_of_answers(answers, asked ? &*asked : nullptr, options_)) {
      if (!row.pair) {
        fault(row.fault, answers[0].source, row.detail);
        continue;
      }
      write_pair(*row.pair, out);
    }
  }

  void write_pair(const JudgePair& pair, std::ostream& out) {
    ++report_.pairs;
    report_.labelled |= pair.label.has_value();
    Json row = {{"id", pair.id.empty() ? std::to_string(report_.pairs - 1) : pair.id},
                {"question", pair.question},
                {"answer_a", pair.answer_a},
                {"answer_b", pair.answer_b}};
    if (pair.label) row["label"] = to_string(*pair.label);
    if (!pair.reference.empty()) row["reference"] = pair.reference;
    if (!pair.category.empty()) row["category"] = pair.category;
    for (const auto& [name, value] : pair.meta) row["meta"][name] = value;
    out << to_line(row) << '\n';
  }

  const std::vector<std::filesystem::path>& files_;
  const RawOptions& options_;
  const std::function<bool()>& stop_;
  std::filesystem::path spool_;
  std::vector<FormFields> forms_;                     // of the files
  std::unordered_map<uint64_t, uint32_t> questions_;  // by key
  std::unordered_map<uint32_t, Place> asked_;         // questions that are records of their own
  std::vector<Place> places_;
  JoinReport report_;
};

}  // namespace

bool hold_single_answers(const std::vector<std::filesystem::path>& files,
                         const RawOptions& options) {
  size_t single = 0;
  std::string other;
  for (const auto& file : files) {
    const FormFields form = form_of_file(file, options);
    if (is_joined(*form.form))
      ++single;
    else
      other = fmt::format("{} ({})", shown_name(file, options), form.form->name);
  }
  if (single > 0 && !other.empty())
    fail(
        "some of the files hold single answers, which are joined to pairs, and {} holds pairs: "
        "prepare them apart, and then together",
        other);
  return single > 0;
}

JoinReport join_answers(const std::vector<std::filesystem::path>& files, const RawOptions& options,
                        const std::filesystem::path& out, const std::function<bool()>& stop) {
  return Join(files, options, out, stop).run(out);
}

std::string describe(const JoinReport& r) {
  std::string out = fmt::format(
      "{} ({}) to {}: {}{}\n", counted(r.answers, "answer"), fmt::join(r.forms, ", "),
      counted(r.questions, "question"), counted(r.pairs, "pair"),
      r.alone == 1  ? "; 1 question has one answer alone"
      : r.alone > 1 ? fmt::format("; {} questions have one answer alone", grouped_digits(r.alone))
                    : "");
  for (const auto& [kind, fault] : r.faults)
    out += fmt::format("  {:>9}  {} ({}: {})\n", grouped_digits(fault.count), kind,
                       fault.places[0].first, fault.places[0].second);
  return out;
}

}  // namespace gavel
