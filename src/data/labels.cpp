#include "data/labels.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

// Lower case, one blank for any run of blanks, underscores and hyphens, none at the ends.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '_' || c == '-';
    if (!blank)
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

std::string_view without_marks(std::string_view text) {
  constexpr std::string_view open = "[(\"'*`", close = "])\"'*`.!";
  while (!text.empty() && open.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && close.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

template <size_t N>
bool among(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// One of the two answers, by its name alone.
std::optional<Verdict> side(std::string_view text) {
  for (const std::string_view noun : {"model ", "answer ", "assistant ", "response ", "option ",
                                      "output ", "candidate ", "completion ", "the "})
    if (text.starts_with(noun)) return side(text.substr(noun.size()));
  for (const std::string_view noun : {" model", " answer", " assistant", " response", " one"})
    if (text.ends_with(noun)) return side(text.substr(0, text.size() - noun.size()));
  if (text == "a" || text == "first" || text == "left") return Verdict::a;
  if (text == "b" || text == "second" || text == "right") return Verdict::b;
  return std::nullopt;
}

// "a>>b", "b = a".
std::optional<Verdict> comparison(std::string_view text) {
  const size_t first = text.find_first_of("<>=~");
  if (first == std::string_view::npos) return std::nullopt;
  const size_t last = text.find_last_of("<>=~");
  const std::string_view sign = text.substr(first, last - first + 1);
  const auto left = side(plain(text.substr(0, first))), right = side(plain(text.substr(last + 1)));
  if (!left || !right || *left == *right) return std::nullopt;
  if (among<4>(sign, {">", ">>", ">>>", "> >"})) return left;
  if (among<4>(sign, {"<", "<<", "<<<", "< <"})) return right;
  if (among<4>(sign, {"=", "==", "~=", "~"})) return Verdict::tie;
  return std::nullopt;
}

std::optional<Verdict> verdict_of(std::string_view raw) {
  const std::string text = plain(without_marks(plain(raw)));
  constexpr std::array<std::string_view, 16> ties = {
      "tie",           "tied",         "ties",      "draw",
      "equal",         "equally good", "same",      "both",
      "neither",       "both bad",     "both good", "tie (bothbad",
      "tie (both bad", "bothgood",     "bothbad",   "tie (inconsistent"};
  if (among(text, ties)) return Verdict::tie;
  if (const auto s = side(text)) return s;
  for (const std::string_view end : {" is better", " is the better", " wins", " won", " better"})
    if (text.ends_with(end))
      return side(std::string_view(text).substr(0, text.size() - end.size()));
  return comparison(text);
}

// The value as text, where it is a single one.
std::optional<std::string> scalar(const Json& value) {
  if (value.is_string()) return plain(value.get_ref<const std::string&>());
  if (value.is_number() || value.is_boolean()) return value.dump();
  return std::nullopt;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

void add_meaning(LabelMeanings& meanings, const std::string& mapping) {
  const size_t equals = mapping.rfind('=');
  const auto label = equals == std::string::npos
                         ? std::nullopt
                         : parse_label(plain(std::string_view(mapping).substr(equals + 1)));
  const std::string value = plain(std::string_view(mapping).substr(0, equals));
  if (!label || value.empty())
    throw UsageError(fmt::format(
        "--label-map {}: it must be VALUE=A, VALUE=B or VALUE=tie, VALUE being what stands "
        "in the data",
        mapping));
  const auto [it, fresh] = meanings.emplace(value, *label);
  if (!fresh && it->second != *label)
    throw UsageError(fmt::format("--label-map {}: {} has another meaning already", mapping, value));
}

std::optional<Verdict> meaning_of(const Json& value, const LabelMeanings& meanings) {
  const auto text = scalar(value);
  if (!text) return std::nullopt;
  for (const auto& [said, verdict] : meanings) {
    // 1, 1.0 and "1" are one value.
    const auto a = number(said), b = number(*text);
    if (said == *text || (a && b && *a == *b)) return verdict;
  }
  return std::nullopt;
}

std::optional<Verdict> read_label(const Json& value, const LabelMeanings& meanings) {
  if (const auto verdict = meaning_of(value, meanings)) return verdict;
  return value.is_string() ? verdict_of(*scalar(value)) : std::nullopt;
}

bool is_unlabelled(const Json& value) {
  if (!value.is_string()) return value.is_null();
  return value.get_ref<const std::string&>().find_first_not_of(" \t\r\n") == std::string::npos;
}

std::string label_advice(const Json& value) {
  const std::string shown = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string out = fmt::format("must be A, B or tie and is {}", shown.substr(0, 60));
  const auto text = scalar(value);
  if (!text) return out;
  const auto said =
      value.is_boolean() ? std::optional(value.get<bool>() ? 1.0 : 0.0) : number(*text);
  if (said && (*said == 0 || *said == 1 || *said == 2))
    return out + fmt::format(
                     ", which could mean either: gavel prepare --label-map '{0}' where it counts "
                     "the answers, or --label-map '{1}' where it says whether the first one won",
                     *said == 2           ? "1=A,2=B"
                     : value.is_boolean() ? "false=A,true=B"
                                          : "0=A,1=B",
                     *said == 2           ? "0=tie,1=A,2=B"
                     : value.is_boolean() ? "true=A,false=B"
                                          : "1=A,0=B");
  return out + fmt::format("; gavel prepare --label-map '{}=A' (or B, or tie) says what it means",
                           text->substr(0, 20));
}

}  // namespace gavel
