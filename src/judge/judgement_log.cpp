#include "judge/judgement_log.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "judge/reason.h"
#include "text/unicode.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text_of(const Json& line, const char* key) {
  const auto it = line.find(key);
  return it != line.end() && it->is_string() ? it->get<std::string>() : "";
}

double number_of(const Json& line, const char* key) {
  const auto it = line.find(key);
  return it != line.end() && it->is_number() ? it->get<double>() : std::nan("");
}

Json optional_json(const std::optional<int>& value) { return value ? Json(*value) : Json(); }

Json ratings_json(const std::vector<Rating>& ratings, const std::vector<RatedPart>& parts) {
  Json list = Json::array();
  for (size_t i = 0; i < ratings.size(); ++i) {
    const Rating& r = ratings[i];
    Json entry = {{"name", parts.at(i).name},
                  {"low", r.low},
                  {"high", r.high},
                  {"label", optional_json(r.label)},
                  {"value", optional_json(r.value)}};
    if (!r.probabilities.empty()) {
      entry["expected"] = r.expected();
      entry["probabilities"] = r.probabilities;
    }
    list.push_back(std::move(entry));
  }
  return list;
}

// Nothing where it is none, or has no label.
std::optional<Rating> rating_of(const Json& entry) {
  constexpr int kMost = 1000;
  const auto integer = [&](const char* key) -> std::optional<int> {
    const double d = number_of(entry, key);
    return d >= 0 && d <= kMost && d == std::floor(d) ? std::optional(static_cast<int>(d))
                                                      : std::nullopt;
  };
  const auto low = integer("low"), high = integer("high");
  if (!low || !high || *high < *low) return std::nullopt;
  const auto inside = [&](const std::optional<int>& v) {
    return !v || (*v >= *low && *v <= *high);
  };
  Rating r{*low, *high, integer("label"), integer("value"), {}};
  if (!r.label || !inside(r.label) || !inside(r.value)) return std::nullopt;
  const auto it = entry.find("probabilities");
  if (it == entry.end()) return r;
  if (!it->is_array() || it->size() != static_cast<size_t>(*high - *low) + 1) return std::nullopt;
  for (const Json& p : *it) {
    if (!p.is_number() || !(p.get<double>() >= 0 && p.get<double>() <= 1)) return std::nullopt;
    r.probabilities.push_back(p.get<double>());
  }
  return r;
}

// The verdicts, of a pair or of one answer. False where the line does not hold them.
bool read_ratings(const Json& list, Judgement& j) {
  if (!list.is_array() || list.empty()) return false;
  for (const Json& entry : list) {
    auto rating = entry.is_object() ? rating_of(entry) : std::nullopt;
    if (!rating) return false;
    j.ratings.push_back(std::move(*rating));
  }
  return true;
}

// Fills in how long it took. False where the line does not say.
bool read_costs(const Json& line, LoggedJudgement& logged) {
  Judgement& j = logged.judgement;
  const double tokens = number_of(line, "tokens");
  j.seconds = number_of(line, "seconds");
  logged.wall = number_of(line, "wall");
  if (!(tokens >= 0 && tokens < 1e12) || !(j.seconds >= 0) || !(logged.wall >= 0)) return false;
  j.tokens = static_cast<int64_t>(tokens);
  return true;
}

// Both orders have the same template, so that their prompts end alike.
std::array<Verdict, 2> reasons_of(const std::string& prompt, const std::string& text,
                                  const std::string& exchanged) {
  return {reason_verdict(text, prompt), swapped(reason_verdict(exchanged, prompt))};
}

// Nothing where the line is not a whole judgement.
std::optional<LoggedJudgement> judgement_of(const Json& line) {
  LoggedJudgement logged;
  Judgement& j = logged.judgement;
  if (const auto it = line.find("ratings"); it != line.end()) {
    j.length_a = static_cast<int64_t>(unicode::count(text_of(line, "answer")));
    if (!read_ratings(*it, j) || !read_costs(line, logged)) return std::nullopt;
    return logged;
  }
  const std::string label_text = text_of(line, "label");
  // A pair for win rates may have none.
  const auto label =
      label_text == to_string(Verdict::none) ? Verdict::none : parse_label(label_text);
  if (!label) return std::nullopt;
  const auto verdict = [&](const char* key) {
    return parse_label(text_of(line, key)).value_or(Verdict::none);
  };
  j.label = *label;
  j.length_question = static_cast<int64_t>(unicode::count(text_of(line, "question")));
  j.length_a = static_cast<int64_t>(unicode::count(text_of(line, "answer_a")));
  j.length_b = static_cast<int64_t>(unicode::count(text_of(line, "answer_b")));
  j.verdict = verdict("verdict");
  j.first_order = verdict("verdict_ab");
  if (line.contains("verdict_ba")) j.second_order = verdict("verdict_ba");
  if (const auto it = line.find("probabilities"); it != line.end() && it->is_array()) {
    Probabilities p{};
    if (it->size() != 3) return std::nullopt;
    for (size_t k = 0; k < 3; ++k) {
      if (!(*it)[k].is_number()) return std::nullopt;
      p[k] = (*it)[k].get<double>();
      if (!(p[k] >= 0 && p[k] <= 1)) return std::nullopt;
    }
    j.probabilities = p;
  }
  if (const auto it = line.find("scores"); it != line.end()) {
    if (!it->is_array() || it->size() != 2 || !(*it)[0].is_number() || !(*it)[1].is_number())
      return std::nullopt;
    j.scores = {(*it)[0].get<double>(), (*it)[1].get<double>()};
  }
  if (!read_costs(line, logged)) return std::nullopt;
  if (!j.scores)
    j.reasons =
        reasons_of(text_of(line, "prompt"), text_of(line, "text"), text_of(line, "text_ba"));
  return logged;
}

// "mode" where the mode differs, and so on; "" where all is the same.
std::string first_difference(const Json& before, const Json& now) {
  for (const auto& [key, value] : now.items())
    if (!before.contains(key) || before[key] != value) return key;
  return "";
}

}  // namespace

Judgement to_judgement(const JudgePair& pair, const JudgedPair& judged) {
  Judgement j;
  j.label = pair.label.value_or(Verdict::none);
  const PairSize size = size_of(pair);
  j.length_question = size.question;
  j.length_a = size.answer_a;
  j.length_b = size.answer_b;
  j.verdict = judged.verdict;
  j.first_order = judged.first.verdict;
  j.probabilities = judged.probabilities;
  j.scores = judged.scores;
  j.ratings = judged.ratings;
  j.tokens = judged.first.tokens;
  j.seconds = judged.first.seconds;
  if (!judged.scores && judged.ratings.empty())
    j.reasons = reasons_of(judged.first.prompt, judged.first.text,
                           judged.second ? judged.second->text : "");
  if (judged.second) {
    j.second_order = judged.second->verdict;
    j.tokens += judged.second->tokens;
    j.seconds = std::max(j.seconds, judged.second->seconds);
  }
  return j;
}

Json judgement_json(const JudgePair& pair, const JudgedPair& judged, const JudgeForm& form) {
  const Judgement j = to_judgement(pair, judged);
  Json line = {{"id", pair.id}, {"question", pair.question}};
  if (judged.ratings.empty()) {
    line["answer_a"] = pair.answer_a;
    line["answer_b"] = pair.answer_b;
    line["reference"] = pair.reference;
    line["label"] = to_string(j.label);
    line["verdict"] = to_string(j.verdict);
  } else {
    const auto parts = rated_parts(form);
    line["answer"] = pair.answer_a;
    if (!pair.rubric.empty()) line["rubric"] = pair.rubric;
    line["reference"] = pair.reference;
    line["label"] = describe_ratings(parts, labels_of(j.ratings));
    line["verdict"] = describe_ratings(parts, values_of(j.ratings));
    line["ratings"] = ratings_json(j.ratings, parts);
  }
  if (const auto c = confidence(judged)) line["confidence"] = *c;
  if (judged.probabilities) line["probabilities"] = *judged.probabilities;
  if (judged.scores) line["scores"] = *judged.scores;
  line["prompt"] = judged.first.prompt;
  line["text"] = judged.first.text;
  if (judged.ratings.empty()) line["verdict_ab"] = to_string(judged.first.verdict);
  if (judged.second) {
    line["verdict_ba"] = to_string(judged.second->verdict);
    line["text_ba"] = judged.second->text;
  }
  if (!judged.first.problem.empty()) line["problem"] = judged.first.problem;
  return line;
}

JudgementLog::JudgementLog(const fs::path& path, const Json& settings,
                           const std::map<std::string, std::string>& weights, bool overwrite,
                           JudgeForm form)
    : path_(path), weights_(weights), form_(std::move(form)) {
  std::error_code ignored;
  const std::string head = dump({{"settings", settings}}) + "\n";
  if (overwrite || !fs::exists(path, ignored)) {
    write_file_atomic(path, head);
  } else if (recover(settings, nullptr) > 0) {
    write_file_atomic(path, [&](std::ostream& out) {
      out << head;
      recover(settings, &out);
    });
  }
  out_.open(path, std::ios::app | std::ios::binary);
  if (!out_) fail("cannot write {}", path.string());
}

int64_t JudgementLog::recover(const Json& settings, std::ostream* copy) {
  std::ifstream in(path_, std::ios::binary);
  if (!in) fail("cannot open {}", path_.string());
  int64_t dropped = 0;
  bool has_settings = false;
  for (std::string line; std::getline(in, line);) {
    const bool whole = !in.eof();  // a last line without its end was cut
    const Json entry = whole ? Json::parse(line, nullptr, false) : Json();
    if (entry.is_object() && entry.contains("settings")) {
      const std::string key = first_difference(entry["settings"], settings);
      if (!key.empty())
        fail(
            "{} holds judgements under other settings (\"{}\" differs): give another --output, or "
            "--overwrite to begin anew",
            path_.string(), key);
      has_settings = true;
      continue;
    }
    const auto logged = entry.is_object() ? judgement_of(entry) : std::nullopt;
    const std::string judge = logged ? text_of(entry, "judge") : "";
    const double index = logged ? number_of(entry, "index") : -1;
    const auto known = weights_.find(judge);
    const bool ours = known != weights_.end();
    if (!logged || judge.empty() || !(index >= 0 && index < 1e15) ||
        (ours && known->second != text_of(entry, "weights"))) {
      ++dropped;
      continue;
    }
    if (ours) done_[{judge, static_cast<int64_t>(index)}] = *logged;
    if (copy) *copy << line << "\n";
  }
  return dropped + (has_settings ? 0 : 1);
}

const LoggedJudgement* JudgementLog::find(const std::string& judge, int64_t index) const {
  const auto it = done_.find({judge, index});
  return it == done_.end() ? nullptr : &it->second;
}

void JudgementLog::append(const std::string& judge, int64_t index, const JudgePair& pair,
                          const JudgedPair& judged, double wall) {
  const Judgement j = to_judgement(pair, judged);
  const auto weights = weights_.find(judge);
  Json line = {{"judge", judge},
               {"weights", weights == weights_.end() ? "" : weights->second},
               {"index", index}};
  line.update(judgement_json(pair, judged, form_));
  line["tokens"] = j.tokens;
  line["seconds"] = j.seconds;
  line["wall"] = wall;
  out_ << dump(line) << "\n";
  out_.flush();
  if (!out_) fail("cannot write {}: is the disk full?", path_.string());
  done_[{judge, index}] = {j, wall};
}

}  // namespace gavel
