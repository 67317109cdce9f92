// The forms of the demonstration's judging set: how each kind of better and worse answer is made.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/random.h"

namespace gavel::demo {

// One question with its two answers, before they get their places A and B.
struct Item {
  std::string key;  // the subject; what decides the split
  std::string question, good, bad;
  std::string flaw;  // what is wrong with the bad one: "stops in the middle of a sentence"
};

struct Form {
  std::string_view name;
  int weight;  // share of the set; 0 leaves the form out
  Item (*make)(Random& random);
};

// The mix. Most forms show their flaw on the surface, so that a small model can learn them in a few
// minutes; some need knowledge or sums.
std::span<const Form> forms();

}  // namespace gavel::demo
