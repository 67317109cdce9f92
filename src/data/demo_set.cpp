#include "data/demo_set.h"

#include <array>
#include <numeric>
#include <unordered_set>

#include "base/error.h"
#include "base/random.h"
#include "data/demo_forms.h"

namespace gavel {
namespace {

using demo::Form;
using demo::Item;

// Which form each of `count` pairs has: shares by weight, exact to one pair, in random order.
std::vector<const Form*> draw_forms(int64_t count, Random& random) {
  const auto forms = demo::forms();
  const int64_t total = std::accumulate(forms.begin(), forms.end(), int64_t{0},
                                        [](int64_t sum, const Form& f) { return sum + f.weight; });
  std::vector<const Form*> drawn;
  int64_t weight = 0;
  for (const Form& form : forms) {
    weight += form.weight;
    while (static_cast<int64_t>(drawn.size()) < count * weight / total) drawn.push_back(&form);
  }
  random.shuffle(std::span(drawn));
  return drawn;
}

JudgePair make_pair(const Item& item, const Form& form, Verdict label) {
  const bool a = label == Verdict::a;
  JudgePair pair;
  pair.question = item.question;
  pair.answer_a = a ? item.good : item.bad;
  pair.answer_b = a ? item.bad : item.good;
  pair.label = label;
  // The winner comes first: what a small model learns fastest, and what both ways of judging need.
  pair.reason = fmt::format("Answer {} is better: answer {} {}.", to_string(label),
                            to_string(swapped(label)), item.flaw);
  pair.category = form.name;
  return pair;
}

// 0 train, 1 valid, 2 test: a property of the subject and the seed alone.
int split_of(const Item& item, uint64_t seed) {
  const uint64_t h = stable_hash(item.key, seed) % 100;
  return h < 70 ? 0 : h < 80 ? 1 : 2;
}

std::vector<JudgePair> make_split(uint64_t seed, int split, int64_t count) {
  static constexpr std::array<const char*, 3> kNames = {"train", "valid", "test"};
  Random random(seed, static_cast<uint64_t>(split) + 1);
  std::vector<JudgePair> pairs;
  std::unordered_set<std::string> seen;
  std::array<uint64_t, 256> made{};  // of each form, so that its labels alternate
  for (const Form* form : draw_forms(count, random)) {
    constexpr int kTries = 2000;
    for (int attempt = 0;; ++attempt) {
      if (attempt == kTries)
        fail("the built-in material has too few questions of the form {} for {} pairs in {}",
             form->name, count, kNames[split]);
      const Item item = form->make(random);
      if (split_of(item, seed) != split) continue;
      if (!seen.insert(item.question + '\0' + item.good + '\0' + item.bad).second) continue;
      const auto index = static_cast<size_t>(form - demo::forms().data());
      const bool first = (made[index]++ + stable_hash(form->name, seed)) % 2 == 0;
      pairs.push_back(make_pair(item, *form, first ? Verdict::a : Verdict::b));
      pairs.back().id = fmt::format("{}-{}", kNames[split], pairs.size());
      break;
    }
  }
  return pairs;
}

}  // namespace

DemoSet make_demo_set(uint64_t seed, const DemoCounts& counts) {
  if (counts.train < 0 || counts.valid < 0 || counts.test < 0)
    fail("the number of pairs cannot be negative");
  return {make_split(seed, 0, counts.train), make_split(seed, 1, counts.valid),
          make_split(seed, 2, counts.test)};
}

std::vector<JudgePair> make_demo_pairs(uint64_t seed, int64_t count) {
  DemoSet set = make_demo_set(seed, {count - count / 5, count / 10, count / 5 - count / 10});
  std::vector<JudgePair> pairs = std::move(set.train);
  for (auto* more : {&set.valid, &set.test})
    pairs.insert(pairs.end(), std::make_move_iterator(more->begin()),
                 std::make_move_iterator(more->end()));
  return pairs;
}

std::vector<std::string_view> demo_forms() {
  std::vector<std::string_view> names;
  for (const Form& form : demo::forms()) names.push_back(form.name);
  return names;
}

}  // namespace gavel
