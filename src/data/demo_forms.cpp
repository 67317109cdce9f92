#include "data/demo_forms.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "data/demo_topics.h"
#include "data/demo_words.h"

namespace gavel::demo {
namespace {

template <typename T, size_t N>
const T& other_than(Random& random, std::span<const T, N> items, const T& one) {
  for (;;) {
    const T& item = random.pick(items);
    if (&item != &one) return item;
  }
}

// ---- questions about a topic -------------------------------------------------------------------

std::string topic_question(Random& random, const Topic& topic) {
  static constexpr std::string_view kWays[] = {"What is {}?",
                                               "Explain what {} is.",
                                               "Can you tell me what {} is?",
                                               "Please describe {}.",
                                               "How would you explain {} to a child?",
                                               "What do you know about {}?"};
  return replaced(random.pick(std::span(kWays)), "{}", topic.name);
}

std::string topic_answer(Random& random, const Topic& topic) {
  return topic_text(topic, random.below(2) == 0);
}

Item about_topic(Random& random, const Topic& topic) {
  return {.key = std::string(topic.name),
          .question = topic_question(random, topic),
          .good = topic_answer(random, topic)};
}

const Topic& any_topic(Random& random) { return random.pick(topics()); }

Item off_topic(Random& random) {
  const Topic& topic = any_topic(random);
  const Topic& other = other_than(random, topics(), topic);
  Item item = about_topic(random, topic);
  item.bad = topic_answer(random, other);
  item.flaw = fmt::format("is about {}, not about {}", other.name, topic.name);
  return item;
}

Item truncated(Random& random) {
  Item item = about_topic(random, any_topic(random));
  const Words words = split_words(item.good);
  // Stops within the last sentence, at a word that cannot end one.
  size_t n = words.size() - 2 - random.below(std::min<uint64_t>(4, words.size() / 3));
  while (n > 3 && words[n - 1].back() == '.') --n;
  item.bad = join(std::span(words).first(n));
  item.flaw = "stops in the middle of a sentence";
  return item;
}

Item repeated(Random& random) {
  Item item = about_topic(random, any_topic(random));
  const Words words = split_words(item.good);
  const size_t n = 2 + random.below(3);
  const size_t begin = random.below(words.size() - n);
  const std::string phrase = join(std::span(words).subspan(begin, n));
  item.bad = join(std::span(words).first(begin));
  for (uint64_t k = 4 + random.below(4); k > 0; --k)
    item.bad += (item.bad.empty() ? "" : " ") + phrase;
  item.flaw = "repeats the same words again and again";
  return item;
}

Item jumbled(Random& random) {
  Item item = about_topic(random, any_topic(random));
  Words words = split_words(item.good);
  do {
    random.shuffle(std::span(words));
  } while (join(words) == item.good);
  item.bad = join(words);
  item.flaw = "has its words in the wrong order";
  return item;
}

Item misspelled(Random& random) {
  Item item = about_topic(random, any_topic(random));
  Words words = split_words(item.good);
  for (std::string& word : words) {
    if (word.size() < 4) continue;
    const size_t at = 1 + random.below(word.size() - 3);
    std::swap(word[at], word[at + 1]);
  }
  item.bad = join(words);
  item.flaw = "is full of spelling mistakes";
  return item;
}

Item run_together(Random& random) {
  Item item = about_topic(random, any_topic(random));
  item.bad = replaced(item.good, " ", "");
  item.flaw = "runs its words together";
  return item;
}

Item from_list(Random& random, std::span<const std::string_view> bad, std::string flaw) {
  Item item = about_topic(random, any_topic(random));
  item.bad = random.pick(bad);
  item.flaw = std::move(flaw);
  return item;
}

Item refusal(Random& random) { return from_list(random, refusals(), "refuses to answer"); }
Item rude(Random& random) { return from_list(random, rude_answers(), "is rude"); }
Item empty_answer(Random& random) {
  return from_list(random, empty_answers(), "says nothing useful");
}
Item foreign(Random& random) { return from_list(random, foreign_answers(), "is not in English"); }
Item garbage(Random& random) {
  return from_list(random, garbage_answers(), "is only random letters");
}

Item echo(Random& random) {
  Item item = about_topic(random, any_topic(random));
  item.bad = item.question;
  item.flaw = "only repeats the question";
  return item;
}

Item capitals_asked(Random& random) {
  Item item = about_topic(random, any_topic(random));
  item.question += " Write your answer in capital letters.";
  item.bad = item.good;
  item.good = in_capitals(item.good);
  item.flaw = "is not in capital letters";
  return item;
}

Item opening_asked(Random& random) {
  static constexpr std::string_view kOpenings[] = {"Hello",  "Sure",   "Well",
                                                   "Listen", "Indeed", "Of course"};
  Item item = about_topic(random, any_topic(random));
  const std::string_view& opening = random.pick(std::span(kOpenings));
  const bool none = random.below(2) == 0;
  const std::string_view wrong = other_than(random, std::span(kOpenings), opening);
  item.question += fmt::format(" Begin your answer with \"{}\".", opening);
  item.bad = none ? item.good : fmt::format("{}! {}", wrong, item.good);
  item.good = fmt::format("{}! {}", opening, item.good);
  item.flaw = fmt::format("does not begin with \"{}\"", opening);
  return item;
}

// ---- lists -------------------------------------------------------------------------------------

// Another category, none of whose things could also pass for this one's.
const Category& other_category(Random& random, const Category& category) {
  const auto living = [](const Category& c) { return c.many == "animals" || c.many == "birds"; };
  for (;;) {
    const Category& other = other_than(random, categories(), category);
    if (!(living(category) && living(other))) return other;
  }
}

Words some_of(Random& random, const Category& category, size_t n) {
  Words items(category.items.begin(), category.items.end());
  random.shuffle(std::span(items));
  items.resize(std::min(n, items.size()));
  return items;
}

std::string as_sentence(const Words& items) { return capitalized(join(items, ", ")) + "."; }

std::string as_lines(const Words& items, bool numbered) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i)
    out += fmt::format("{}{} {}", i == 0 ? "" : "\n", numbered ? fmt::format("{}.", i + 1) : "-",
                       items[i]);
  return out;
}

std::string list_question(Random& random, const Category& category, size_t n) {
  static constexpr std::string_view kWays[] = {"Name {n} {c}.", "Give me {n} examples of {c}.",
                                               "List {n} {c}.", "Which {n} {c} do you know?"};
  return replaced(replaced(random.pick(std::span(kWays)), "{n}", kNumbers[n]), "{c}",
                  category.many);
}

Item list_item(Random& random, const Category& category, size_t n) {
  Item item;
  item.question = item.key = list_question(random, category, n);
  return item;
}

Item wrong_category(Random& random) {
  const Category& category = random.pick(categories());
  const Category& other = other_category(random, category);
  const size_t n = 2 + random.below(4);
  Item item = list_item(random, category, n);
  item.good = as_sentence(some_of(random, category, n));
  item.bad = as_sentence(some_of(random, other, n));
  item.flaw = fmt::format("names no {}", category.many);
  return item;
}

Item wrong_count(Random& random) {
  const Category& category = random.pick(categories());
  const size_t n = 4 + random.below(2);
  Item item = list_item(random, category, n);
  const bool numbered = random.below(2) == 0;
  const auto write = [&](size_t count) {
    const Words items = some_of(random, category, count);
    return numbered ? as_lines(items, true) : as_sentence(items);
  };
  item.good = write(n);
  item.bad = write(2);
  item.flaw = fmt::format("gives fewer than {}", kNumbers[n]);
  return item;
}

Item list_format(Random& random) {
  const Category& category = random.pick(categories());
  const size_t n = 3 + random.below(3);
  Item item = list_item(random, category, n);
  const bool numbered = random.below(2) == 0;
  item.question += numbered ? " Use a numbered list." : " Use a list with dashes.";
  item.key = item.question;
  const Words items = some_of(random, category, n);
  item.good = as_lines(items, numbered);
  item.bad = random.below(2) == 0 ? as_sentence(items) : as_lines(items, !numbered);
  const std::string wanted = numbered ? "a numbered list" : "a list with dashes";
  item.flaw = fmt::format("is not {}", wanted);
  return item;
}

Item yes_or_no(Random& random) {
  const Category& category = random.pick(categories());
  const bool truth = random.below(2) == 0;
  const Category& from = truth ? category : other_category(random, category);
  const std::string_view thing = random.pick(from.items);
  Item item;
  item.question = item.key =
      fmt::format("Do {} belong to the {}? Answer yes or no.", thing, category.many);
  item.good = truth ? "Yes." : "No.";
  item.bad = truth ? "No." : "Yes.";
  item.flaw = "is wrong";
  return item;
}

// ---- facts, sums and letters -------------------------------------------------------------------

const Fact& wrong_fact(Random& random, const FactTable& table, const Fact& fact) {
  for (;;) {
    const Fact& other = random.pick(table.facts);
    if (other.value != fact.value) return other;
  }
}

Item wrong_fact_of(Random& random, const FactTable& table) {
  const Fact& fact = random.pick(table.facts);
  const Fact& other = wrong_fact(random, table, fact);
  const std::string statement = filled(table.statement, fact);
  const std::string wrong = filled(table.statement, {fact.key, other.value});
  Item item;
  item.key = fmt::format("{}: {}", table.name, fact.key);
  item.question = filled(table.question, fact);
  const bool brief = random.below(2) == 0;
  item.good = brief ? capitalized(fact.value) + "." : statement;
  item.bad = brief ? capitalized(other.value) + "." : wrong;
  item.flaw = fmt::format("says {} instead of {}", without_article(other.value),
                          without_article(fact.value));
  return item;
}

Item wrong_fact(Random& random) { return wrong_fact_of(random, random.pick(fact_tables())); }

Item arithmetic(Random& random) {
  const int a = 2 + static_cast<int>(random.below(11)), b = 2 + static_cast<int>(random.below(11));
  const uint64_t kind = random.below(3);
  const int result = kind == 0 ? a + b : kind == 1 ? a : a * b;
  const std::string sum = kind == 0   ? fmt::format("{} + {}", a, b)
                          : kind == 1 ? fmt::format("{} - {}", a + b, b)
                                      : fmt::format("{} x {}", a, b);
  int wrong = result;
  while (wrong == result || wrong < 0) wrong = result + static_cast<int>(random.below(21)) - 10;
  Item item;
  item.question = item.key = fmt::format("What is {}?", sum);
  item.good = fmt::format("{} = {}", sum, result);
  item.bad = fmt::format("{} = {}", sum, wrong);
  item.flaw = fmt::format("says {} instead of {}", wrong, result);
  return item;
}

Item sequence(Random& random) {
  const int step = 1 + static_cast<int>(random.below(5)), start = static_cast<int>(random.below(9));
  const auto term = [&](int i) { return start + step * i; };
  int wrong = term(4);
  while (wrong == term(4)) wrong = term(3) + 1 + static_cast<int>(random.below(12));
  Item item;
  item.question = item.key =
      fmt::format("Which number comes next: {}, {}, {}, {}?", term(0), term(1), term(2), term(3));
  item.good = fmt::format("The next number is {}.", term(4));
  item.bad = fmt::format("The next number is {}.", wrong);
  item.flaw = fmt::format("says {} instead of {}", wrong, term(4));
  return item;
}

Item sorting(Random& random) {
  std::vector<int> numbers;
  while (numbers.size() < 4) {
    const int n = 1 + static_cast<int>(random.below(40));
    if (std::find(numbers.begin(), numbers.end(), n) == numbers.end()) numbers.push_back(n);
  }
  std::vector<int> sorted = numbers;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int> wrong = numbers;
  while (wrong == sorted) random.shuffle(std::span(wrong));
  Item item;
  item.question = item.key =
      fmt::format("Sort these numbers from small to large: {}.", fmt::join(numbers, ", "));
  item.good = fmt::format("{}", fmt::join(sorted, ", "));
  item.bad = fmt::format("{}", fmt::join(wrong, ", "));
  item.flaw = "is not in order";
  return item;
}

Item spelling(Random& random) {
  const Category& category = random.pick(categories());
  std::string word(random.pick(category.items));
  while (word.size() < 5) word = random.pick(random.pick(categories()).items);
  std::string wrong = word;
  while (wrong == word) {
    const size_t at = 1 + random.below(word.size() - 3);
    std::swap(wrong[at], wrong[at + 1]);
    if (wrong == word) wrong.erase(at, 1);
  }
  Item item;
  item.question = item.key = fmt::format("Spell the word \"{}\".", word);
  const auto spelled = [](std::string_view text) {
    std::string out;
    for (const char c : text) out += fmt::format("{}{}", out.empty() ? "" : "-", upper(c));
    return out;
  };
  item.good = spelled(word);
  item.bad = spelled(wrong);
  item.flaw = "is misspelled";
  return item;
}

constexpr Form kForms[] = {
    // On the surface.
    {"off_topic", 11, off_topic},
    {"truncated", 9, truncated},
    {"repeated", 7, repeated},
    {"jumbled", 7, jumbled},
    {"misspelled", 6, misspelled},
    {"run_together", 6, run_together},
    {"refusal", 8, refusal},
    {"rude", 6, rude},
    {"empty", 6, empty_answer},
    {"foreign", 6, foreign},
    {"garbage", 4, garbage},
    {"echo", 5, echo},
    // Instructions.
    {"capitals", 4, capitals_asked},
    {"opening", 2, opening_asked},
    {"list_format", 2, list_format},
    {"wrong_category", 5, wrong_category},
    {"wrong_count", 4, wrong_count},
    // Knowledge and sums.
    {"wrong_fact", 4, wrong_fact},
    {"yes_or_no", 1, yes_or_no},
    {"arithmetic", 2, arithmetic},
    {"sequence", 1, sequence},
    {"sorting", 1, sorting},
    {"spelling", 1, spelling},
};

}  // namespace

std::span<const Form> forms() { return kForms; }

}  // namespace gavel::demo
