// How far a pair is from those that a judge was calibrated on, by what costs nothing to look at:
// the lengths of its question and answers. Judges are sure, and wrong, of pairs unlike any they
// have seen (docs/judge.md), and nothing in their probabilities says so.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace gavel {

// In characters.
struct PairSize {
  int64_t question = 0, answer_a = 0, answer_b = 0;
};

// Of a pair: the logarithms of both answers' lengths together, of the longer against the shorter,
// and of the question's length.
using PairPlace = std::array<double, 3>;

struct Familiarity {
  PairPlace center{}, spread{};   // mean and standard deviation of the pairs' places
  std::vector<PairPlace> places;  // of pairs, less the center, in spreads; empty: nothing is known
  double usual = 0;               // three quarters of the pairs are not farther from the others
};

inline constexpr size_t kNeighbours = 10;           // whose mean distance is a pair's
inline constexpr size_t kFewestFamiliar = 50;       // pairs, else nothing is learned
inline constexpr size_t kMostFamiliarPairs = 1000;  // evenly spread ones are kept

// Nothing is known where there are fewer pairs, or all have the same lengths.
Familiarity learn_familiarity(std::span<const PairSize> pairs);

// 1 for a pair that is as near as usual, else the square of how many times as far it is; at most
// 1e6. 1 where nothing is known. A pair at exactly the place of a known one is not its neighbour.
double strangeness(const Familiarity& familiarity, const PairSize& pair);

}  // namespace gavel
