#include "data/judge_form.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "base/blanks.h"
#include "base/error.h"

namespace gavel {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"pair", "rank", "score", "pass", "criteria"};
constexpr int kMostValues = 101;  // of a scale: 0..100
constexpr size_t kMostCriteria = 32;

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  while (!(line = trimmed(line)).empty()) {
    const size_t end = std::min(line.find_first_of(" \t"), line.size());
    words.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

std::optional<int> integer_of(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "1..5"
Scale scale_of(std::string_view text, const std::string& where) {
  const size_t dots = text.find("..");
  const auto low = integer_of(text.substr(0, std::min(dots, text.size())));
  const auto high =
      dots == std::string_view::npos ? std::nullopt : integer_of(text.substr(dots + 2));
  if (!low || !high)
    fail("{}: {} is no scale; one is written 1..5, with its lowest and highest integer", where,
         text);
  if (*low < 0 || *high <= *low || *high - *low >= kMostValues)
    fail(
        "{}: the scale {} must begin at 0 or above, end above its beginning, and have at most {} "
        "values",
        where, text, kMostValues);
  return {*low, *high, std::vector<std::string>(static_cast<size_t>(*high - *low + 1))};
}

double weight_of(const std::string& text, const std::string& where) {
  double weight = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(weight) ||
      weight < 0)
    fail("{}: the weight {} is not a number of 0 or more", where, text);
  return weight;
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
  });
}

// "accuracy 1..5 weight 2: is it true?"
Criterion criterion_of(std::string_view line, const std::string& where) {
  const size_t colon = std::min(line.find(':'), line.size());
  const auto words = words_of(line.substr(0, colon));
  const bool weighted = words.size() == 4 && words[2] == "weight";
  if (!(words.size() == 2 || weighted) || !is_name(words[0]))
    fail(
        "{}: a criterion is written NAME 1..5: what is asked, or NAME 1..5 weight 2: ...; NAME "
        "of letters, digits, - and _",
        where);
  Criterion c{words[0], "", scale_of(words[1], where)};
  if (weighted) c.weight = weight_of(words[3], where);
  if (colon < line.size()) c.about = trimmed(line.substr(colon + 1));
  return c;
}

bool is_anchor(std::string_view line) {
  const size_t colon = line.find(':');
  return colon != std::string_view::npos && integer_of(trimmed(line.substr(0, colon)));
}

// "4: mostly right"
void add_anchor(Scale& scale, std::string_view line, const std::string& where) {
  const size_t colon = line.find(':');
  const auto value = integer_of(trimmed(line.substr(0, std::min(colon, line.size()))));
  if (colon == std::string_view::npos || !value || *value < scale.low || *value > scale.high)
    fail("{}: after the scale a line says what one of its values stands for: \"{}: ...\"", where,
         scale.low);
  std::string& anchor = scale.anchors[static_cast<size_t>(*value - scale.low)];
  if (!anchor.empty()) fail("{}: {} is described twice", where, *value);
  anchor = trimmed(line.substr(colon + 1));
}

void read_words(JudgeForm& form, const std::vector<std::string>& line, const std::string& where) {
  if (line.size() == 1 && form.kind == FormKind::pass) {
    form.words = {"pass", "fail"};
    return;
  }
  if (line.size() != 3 || line[1] == line[2])
    fail("{}: {} takes two different words, as in \"{} {}\"", where, line[0], line[0],
         form.kind == FormKind::rank ? "yes no" : "pass fail");
  form.words = {line[1], line[2]};
}

void read_first(JudgeForm& form, std::string_view text, const std::string& where) {
  const auto line = words_of(text);
  const auto found = std::find(kNames.begin(), kNames.end(), line[0]);
  if (found == kNames.end())
    fail("{}: {} is no form; there are pair, rank, score, pass and criteria", where, line[0]);
  form.kind = static_cast<FormKind>(found - kNames.begin());
  if (form.kind == FormKind::rank || form.kind == FormKind::pass)
    return read_words(form, line, where);
  const size_t wanted = form.kind == FormKind::score ? 2 : 1;
  if (line.size() != wanted)
    fail("{}: {} takes {}", where, line[0],
         wanted == 2 ? "a scale, as in \"score 1..5\"" : "nothing on its own line");
  if (form.kind == FormKind::score)
    form.criteria.push_back({"score", "", scale_of(line[1], where)});
}

void check_weights(const JudgeForm& form, const std::string& where) {
  double sum = 0;
  for (const Criterion& c : form.criteria) sum += c.weight;
  if (sum <= 0) fail("{}: every criterion has the weight 0", where);
}

}  // namespace

std::string_view to_string(FormKind kind) { return kNames[static_cast<size_t>(kind)]; }

JudgeForm parse_form(std::string_view text, const std::string& name, int64_t first_line) {
  JudgeForm form;
  bool begun = false;
  std::string where = fmt::format("{}:{}", name, first_line);
  for (int64_t number = first_line; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    where = fmt::format("{}:{}", name, number);
    if (!std::exchange(begun, true)) {
      read_first(form, line, where);
    } else if (form.kind == FormKind::score) {
      add_anchor(form.criteria[0].scale, line, where);
    } else if (form.kind == FormKind::criteria && !form.criteria.empty() && is_anchor(line)) {
      add_anchor(form.criteria.back().scale, line, where);
    } else if (form.kind == FormKind::criteria) {
      Criterion c = criterion_of(line, where);
      for (const Criterion& other : form.criteria)
        if (other.name == c.name) fail("{}: a second criterion {}", where, c.name);
      if (form.criteria.size() == kMostCriteria)
        fail("{}: more than {} criteria", where, kMostCriteria);
      form.criteria.push_back(std::move(c));
    } else {
      fail("{}: nothing may follow the line of the form {}", where, to_string(form.kind));
    }
  }
  if (!begun) fail("{}: the [form] section says no form", where);
  if (form.kind == FormKind::criteria && form.criteria.empty())
    fail("{}: the form criteria names none", where);
  if (!form.criteria.empty()) check_weights(form, where);
  return form;
}

std::vector<std::string> label_classes(const JudgeForm& form) {
  if (form.of_pairs()) return {"A", "B", "tie"};
  if (form.kind == FormKind::pass) return {form.words[0], form.words[1]};
  std::vector<std::string> classes;
  if (form.kind == FormKind::score)
    for (int value = form.criteria[0].scale.low; value <= form.criteria[0].scale.high; ++value)
      classes.push_back(std::to_string(value));
  return classes;
}

std::string describe_scale(const JudgeForm& form) {
  std::string out;
  for (const Criterion& c : form.criteria) {
    if (!out.empty()) out += '\n';
    if (form.kind == FormKind::criteria) out += c.name + ": ";
    if (!c.about.empty()) out += c.about + " ";
    out += fmt::format("{} to {}", c.scale.low, c.scale.high);
    for (size_t i = 0; i < c.scale.anchors.size(); ++i)
      if (!c.scale.anchors[i].empty())
        out += fmt::format("\n{}: {}", c.scale.low + static_cast<int>(i), c.scale.anchors[i]);
  }
  return out;
}

}  // namespace gavel
