#include "data/demo_reasons.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <utility>

#include "data/demo_topics.h"
#include "data/demo_words.h"

namespace gavel {
namespace demo {
namespace {

// ---- reading -----------------------------------------------------------------------------------

// What stands at each {} of the pattern; nothing where the text is not of it. Each {} is as short
// as can be, but not empty.
std::optional<Words> read(std::string_view pattern, std::string_view text) {
  constexpr std::string_view kGap = "{}";
  Words found;
  size_t gap = pattern.find(kGap);
  if (gap == std::string_view::npos) return text == pattern ? std::optional(found) : std::nullopt;
  if (!text.starts_with(pattern.substr(0, gap))) return std::nullopt;
  text.remove_prefix(gap);
  for (;;) {
    pattern.remove_prefix(gap + kGap.size());
    gap = pattern.find(kGap);
    const bool last = gap == std::string_view::npos;
    if (last && !text.ends_with(pattern)) return std::nullopt;
    const size_t end = last ? text.size() - pattern.size() : text.find(pattern.substr(0, gap), 1);
    if (end == 0 || end == std::string_view::npos) return std::nullopt;
    found.emplace_back(text.substr(0, end));
    if (last) return found;
    text.remove_prefix(end + gap);
    pattern.remove_prefix(gap);
    gap = 0;
  }
}

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool has_words(std::string_view text, std::string_view words) {
  const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  for (size_t at = 0; (at = text.find(words, at)) != std::string_view::npos; ++at) {
    const size_t end = at + words.size();
    if ((at == 0 || !in_word(text[at - 1])) && (end == text.size() || !in_word(text[end])))
      return true;
  }
  return false;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t i = 0; i <= text.size();) {
    const size_t end = std::min(text.find('\n', i), text.size());
    lines.emplace_back(text.substr(i, end - i));
    i = end + 1;
  }
  return lines;
}

bool is_numbered(std::string_view answer) {
  int i = 0;
  for (const std::string& line : lines_of(answer))
    if (!line.starts_with(fmt::format("{}. ", ++i))) return false;
  return true;
}

bool is_dashed(std::string_view answer) {
  for (const std::string& line : lines_of(answer))
    if (!line.starts_with("- ")) return false;
  return true;
}

// The things that an answer lists, in small letters.
Words listed(std::string_view answer) {
  Words items;
  if (is_numbered(answer) || is_dashed(answer)) {
    for (const std::string& line : lines_of(answer))
      items.push_back(line.substr(line.find(' ') + 1));
  } else {
    if (answer.ends_with('.')) answer.remove_suffix(1);
    for (size_t i = 0; i <= answer.size();) {
      const size_t end = std::min(answer.find(", ", i), answer.size());
      items.emplace_back(answer.substr(i, end - i));
      i = end + 2;
    }
  }
  for (std::string& item : items) item = in_small_letters(std::move(item));
  return items;
}

// ---- what is known -----------------------------------------------------------------------------

struct Asked {
  std::string_view question, answer;  // the answer that something is said of
};

template <typename F>
bool any_topic_text(F&& holds) {
  for (const Topic& topic : topics())
    for (const bool extra : {false, true})
      if (holds(topic_text(topic, extra))) return true;
  return false;
}

// The value that a question of facts, sums or sequences has, and the one that an answer gives.
struct Value {
  std::string right, given;  // given: "" where the answer says none
};

std::optional<Value> fact_value(const Asked& asked) {
  for (const FactTable& table : fact_tables()) {
    const auto key = read(replaced(table.question, "{k}", "{}"), asked.question);
    if (!key) continue;
    for (const Fact& fact : table.facts) {
      if (fact.key != key->front()) continue;
      const std::string statement =
          replaced(filled(table.statement, {fact.key, "{}"}), "{v}", "{}");
      auto given = read(statement, asked.answer);
      if (!given) given = read("{}.", asked.answer);
      return Value{in_small_letters(std::string(fact.value)),
                   given ? in_small_letters(given->front()) : ""};
    }
  }
  return std::nullopt;
}

std::optional<Value> sum_value(const Asked& asked) {
  const auto sum = read("What is {} {} {}?", asked.question);
  if (!sum) return std::nullopt;
  const auto a = number((*sum)[0]), b = number((*sum)[2]);
  const std::string& op = (*sum)[1];
  if (!a || !b || std::abs(*a) > 10'000 || std::abs(*b) > 10'000) return std::nullopt;
  if (op != "+" && op != "-" && op != "x") return std::nullopt;
  const int64_t result = op == "+" ? *a + *b : op == "-" ? *a - *b : *a * *b;
  const auto given = read(fmt::format("{} {} {} = {{}}", *a, op, *b), asked.answer);
  return Value{fmt::to_string(result), given ? given->front() : ""};
}

std::optional<Value> next_value(const Asked& asked) {
  const auto terms = read("Which number comes next: {}, {}, {}, {}?", asked.question);
  if (!terms) return std::nullopt;
  std::array<int64_t, 4> n{};
  for (size_t i = 0; i < n.size(); ++i) {
    const auto value = number((*terms)[i]);
    if (!value || std::abs(*value) > 10'000) return std::nullopt;
    n[i] = *value;
  }
  const int64_t step = n[1] - n[0];
  if (n[2] - n[1] != step || n[3] - n[2] != step) return std::nullopt;
  const auto given = read("The next number is {}.", asked.answer);
  return Value{fmt::to_string(n[3] + step), given ? given->front() : ""};
}

std::optional<Value> known_value(const Asked& asked) {
  if (auto value = fact_value(asked)) return value;
  if (auto value = sum_value(asked)) return value;
  return next_value(asked);
}

const Category* category_of(std::string_view many) {
  for (const Category& c : categories())
    if (c.many == many) return &c;
  return nullptr;
}

bool is_in(const Category& category, std::string_view thing) {
  return std::any_of(category.items.begin(), category.items.end(), [&](std::string_view item) {
    return in_small_letters(std::string(item)) == in_small_letters(std::string(thing));
  });
}

// ---- what can be said --------------------------------------------------------------------------

bool is_off_topic(const Asked& asked, const Words& said) {
  const auto topic = std::find_if(topics().begin(), topics().end(),
                                  [&](const Topic& t) { return t.name == said[0]; });
  return topic != topics().end() && said[0] != said[1] && has_words(asked.question, said[1]) &&
         !has_words(asked.question, said[0]) && contains(asked.answer, topic_text(*topic, false));
}

bool is_cut_off(const Asked& asked, const Words&) {
  return !asked.answer.empty() && asked.answer.back() != '.' &&
         any_topic_text([&](const auto& text) {
           return text.size() > asked.answer.size() && text.starts_with(asked.answer);
         });
}

// Up to 8 words, three times or more in a row.
bool is_repetitive(const Asked& asked, const Words&) {
  const Words words = split_words(asked.answer);
  for (size_t n = 1; n <= 8; ++n)
    for (size_t i = 0, run = 0; i + n < words.size(); ++i) {
      run = words[i] == words[i + n] ? run + 1 : 0;
      if (run >= 2 * n) return true;
    }
  return false;
}

bool is_jumbled(const Asked& asked, const Words&) {
  Words words = split_words(asked.answer);
  std::sort(words.begin(), words.end());
  return any_topic_text([&](const std::string& text) {
    Words right = split_words(text);
    std::sort(right.begin(), right.end());
    return words == right && text != asked.answer;
  });
}

// The topic's words one by one, most of those of four letters or more in another spelling.
bool is_misspelled_text(const Asked& asked, const Words&) {
  const Words words = split_words(asked.answer);
  return any_topic_text([&](const std::string& text) {
    const Words right = split_words(text);
    size_t wrong = 0, longer = 0;
    for (size_t i = 0; i < words.size() && words.size() == right.size(); ++i) {
      if (!std::is_permutation(words[i].begin(), words[i].end(), right[i].begin(), right[i].end()))
        return false;
      longer += right[i].size() >= 4 ? 1 : 0;
      wrong += words[i] != right[i] ? 1 : 0;
    }
    return longer > 0 && 2 * wrong >= longer;
  });
}

bool is_run_together(const Asked& asked, const Words&) {
  return any_topic_text([&](const auto& text) { return replaced(text, " ", "") == asked.answer; });
}

template <auto list>
bool is_of(const Asked& asked, const Words&) {
  const auto items = list();
  return std::find(items.begin(), items.end(), asked.answer) != items.end();
}

bool is_empty(const Asked& asked, const Words& said) {
  return is_of<empty_answers>(asked, said) && !contains(asked.question, "Answer yes or no");
}

bool is_echo(const Asked& asked, const Words&) { return asked.answer == asked.question; }

bool lacks_capitals(const Asked& asked, const Words&) {
  return contains(asked.question, "in capital letters") &&
         in_capitals(std::string(asked.answer)) != asked.answer;
}

bool lacks_opening(const Asked& asked, const Words& said) {
  return contains(asked.question, fmt::format("Begin your answer with \"{}\"", said[0])) &&
         !asked.answer.starts_with(said[0]);
}

bool is_of_other_category(const Asked& asked, const Words& said) {
  const Category* wanted = category_of(said[0]);
  if (wanted == nullptr || !has_words(asked.question, said[0])) return false;
  const Words items = listed(asked.answer);
  return std::none_of(items.begin(), items.end(),
                      [&](const std::string& item) { return is_in(*wanted, item); });
}

bool is_too_short(const Asked& asked, const Words& said) {
  const auto wanted = std::find(std::begin(kNumbers), std::end(kNumbers), said[0]);
  return wanted != std::end(kNumbers) && has_words(asked.question, said[0]) &&
         std::cmp_less(listed(asked.answer).size(), wanted - std::begin(kNumbers));
}

bool is_not_numbered(const Asked& asked, const Words&) {
  return contains(asked.question, "Use a numbered list") && !is_numbered(asked.answer);
}

bool is_not_dashed(const Asked& asked, const Words&) {
  return contains(asked.question, "Use a list with dashes") && !is_dashed(asked.answer);
}

bool is_wrong(const Asked& asked, const Words&) {
  if (const auto value = known_value(asked))
    return !value->given.empty() && value->given != value->right;
  const auto claim = read("Do {} belong to the {}? Answer yes or no.", asked.question);
  const Category* category = claim ? category_of((*claim)[1]) : nullptr;
  return category != nullptr && asked.answer == (is_in(*category, (*claim)[0]) ? "No." : "Yes.");
}

bool says_instead(const Asked& asked, const Words& said) {
  const auto value = known_value(asked);
  return value && value->given != value->right &&
         in_small_letters(said[0]) == without_article(value->given) &&
         in_small_letters(said[1]) == without_article(value->right);
}

bool is_unsorted(const Asked& asked, const Words&) {
  if (!read("Sort these numbers from small to large: {}.", asked.question)) return false;
  std::vector<int64_t> numbers;
  for (const std::string& item : listed(asked.answer)) {
    const auto n = number(item);
    if (!n) return false;
    numbers.push_back(*n);
  }
  return !std::is_sorted(numbers.begin(), numbers.end());
}

bool is_misspelled_word(const Asked& asked, const Words&) {
  const auto word = read("Spell the word \"{}\".", asked.question);
  return word &&
         in_small_letters(replaced(asked.answer, "-", "")) != in_small_letters(word->front());
}

struct Statement {
  std::string_view pattern;
  bool (*holds)(const Asked& asked, const Words& said);
};

constexpr Statement kStatements[] = {
    {"is about {}, not about {}", is_off_topic},
    {"stops in the middle of a sentence", is_cut_off},
    {"repeats the same words again and again", is_repetitive},
    {"has its words in the wrong order", is_jumbled},
    {"is full of spelling mistakes", is_misspelled_text},
    {"runs its words together", is_run_together},
    {"refuses to answer", is_of<refusals>},
    {"is rude", is_of<rude_answers>},
    {"says nothing useful", is_empty},
    {"is not in English", is_of<foreign_answers>},
    {"is only random letters", is_of<garbage_answers>},
    {"only repeats the question", is_echo},
    {"is not in capital letters", lacks_capitals},
    {"does not begin with \"{}\"", lacks_opening},
    {"names no {}", is_of_other_category},
    {"gives fewer than {}", is_too_short},
    {"is not a numbered list", is_not_numbered},
    {"is not a list with dashes", is_not_dashed},
    {"is wrong", is_wrong},
    {"says {} instead of {}", says_instead},
    {"is not in order", is_unsorted},
    {"is misspelled", is_misspelled_word},
};

}  // namespace
}  // namespace demo

StatedFact check_reason(const JudgePair& pair, std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  for (const bool a : {false, true}) {
    const auto stated = demo::read(
        a ? "Answer B is better: answer A {}." : "Answer A is better: answer B {}.", line);
    if (!stated) continue;
    const demo::Asked asked{pair.question, a ? pair.answer_a : pair.answer_b};
    for (const demo::Statement& s : demo::kStatements)
      if (const auto said = demo::read(s.pattern, stated->front()))
        return s.holds(asked, *said) ? StatedFact::holds : StatedFact::fails;
    return StatedFact::none;
  }
  return StatedFact::none;
}

}  // namespace gavel
