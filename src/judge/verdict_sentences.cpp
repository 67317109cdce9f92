// The sentences in which judges prefer an answer without announcing a verdict.
#include "judge/verdict_reader.h"

namespace gavel::verdict {

// "Answer A is clearly better", "A wins", "A beats B", "A is beaten by B", "A is worse than B"; `i`
// is at the name that comes first.
Finding Reader::prefers_subject(size_t i) const {
  if (at(i).bare || is_object(i) || doubted(i)) return {};
  size_t k = after_name(i);
  if (at(k).is(kYori)) return {};
  if (at(k).is(kThan))  // "A比B好"
    if (const size_t second = named(k + 1); second != kNowhere) k = after_name(second);
  bool linked = at(i).after_noun || !at(k).latin;
  if (is_symbol(k, ":") && at(k + 1).is(kBetter)) {
    linked = true;
    ++k;
  }
  bool more = false;
  for (size_t n = 0; n < 8; ++n, ++k) {
    const Token& t = at(k);
    if (t.names != Verdict::none || t.is(kNot | kBetter | kBeats | kWorse | kLess | kLoses)) break;
    if (t.is(kHou)) return follows(k, kWorse | kBad | kNot) ? Finding{} : Finding{at(i).names, i};
    if (!t.is(kCopula | kFiller | kMore | kQue) && !(t.is(kNoun) && !t.latin)) break;
    linked |= t.is(kCopula);
    more |= t.is(kMore) && !t.is(kTie);
  }
  const Token& t = at(k);
  if (t.names != Verdict::none) return {};
  if (t.is(kNot)) return falls_short(i, k);
  if (more && linked && t.is(kGood))
    return follows(k, kNot | kBad | kWorse | kIf) ? Finding{} : Finding{at(i).names, i};
  if (t.is(kBeats)) {
    if (!at(k + 1).is(kBy)) return {at(i).names, i};
    return {name(named(k + 2))};
  }
  if (t.is(kBetter) && linked) {
    for (size_t n = 1; n < 4; ++n)
      if (at(k + n).is(kIf)) return {};  // "would be better if"
    return {at(i).names, i};
  }
  return t.is(kWorse | kLess | kLoses) ? compared(i, k) : Finding{};
}

// "B is not as good as A"; `next` is at "not".
Finding Reader::falls_short(size_t i, size_t next) const {
  const size_t praise = skip_words(next + 1, kFiller);
  const bool as = at(praise - 1).is(kBecause) && at(praise + 1).is(kBecause);
  if (praise == next + 1 || !at(praise).is(kGood) || !as) return {};
  const Verdict second = name(named(praise + 2));
  return second == swapped(at(i).names) ? Finding{second} : Finding{};
}

// Whether the word of praise at `i` is said of an answer before it: "B is better: A is wordy".
bool Reader::is_predicate(size_t i) const {
  bool linked = false;
  for (size_t n = 0; n < 5 && i > 0; ++n, --i) {
    const Token& before = at(i - 1);
    if (before.is(kBoth)) return true;
    if (before.names != Verdict::none) return linked || before.after_noun || !at(i).latin;
    if (!before.is(kFiller | kCopula | kMore | kNoun)) return false;
    linked |= before.is(kCopula);
  }
  return false;
}

// "The better answer is A", "I prefer B", "es mejor la respuesta A"; `i` is at the word that
// prefers.
Finding Reader::prefers_object(size_t i) const {
  if (stands_before(i, kNot, 2) || doubted(i)) return {};
  const bool prefers = at(i).is(kPrefer);
  if (!prefers && is_predicate(i)) return {};
  bool linked = prefers, colon = false;
  size_t k = i + 1;
  for (size_t n = 0; n < 10 && at(k).names == Verdict::none; ++n, ++k) {
    const Token& t = at(k);
    if (is_symbol(k, ":") || (colon && t.is(kLineEnd))) {
      linked = colon = true;
    } else if (t.is(kCopula | kArticle)) {
      linked = true;
    } else if (!is_symbol(k, "\"([{#") &&
               !t.is(kNoun | kFiller | kBetter | kFormal | kAnnounce | kPrefer)) {
      return {};
    }
  }
  if (at(k).names == Verdict::none || !linked || (at(k).bare && !colon)) return {};
  const Finding label = {at(k).names, k};
  const size_t next = after_name(k);
  if (prefers && at(next).is(kThan | kBy | kQue)) return label;
  const Settled settled = settle(k);
  return settled.open && !prefers ? Finding{} : settled.found;
}

// "A gives a more precise answer than B", "A is worse than B"; `i` is at the comparative.
Finding Reader::compares(size_t i) const {
  if (i > 0 && at(i - 1).is(kLess)) return {};  // "less preferable than" is read at "less"
  bool praises = at(i).is(kMore | kBetter);
  size_t k = i + 1;
  for (size_t n = 0; n < 8 && !at(k).is(kThan | kQue); ++n, ++k) {
    if (ends_sentence(k) || at(k).names != Verdict::none) return {};
    if (at(k).is(kBad | kWorse)) praises = !praises;
  }
  const size_t second = at(k).is(kThan | kQue) ? named(k + 1) : kNowhere;
  if (second == kNowhere) return {};
  for (size_t n = 0, first = i; n < 12 && first > 0 && !ends_sentence(first - 1); ++n) {
    const Token& t = at(--first);
    if (t.is(kNot)) return {};
    if (t.names == Verdict::none) continue;
    if (t.names == at(second).names || is_object(first) || doubted(first)) return {};
    return praises ? Finding{t.names, first} : Finding{at(second).names};
  }
  return {};
}

// "BよりAの方が良い", "AはBより優れている": the particle at `i` stands behind what is compared
// with.
Finding Reader::compares_behind(size_t i) const {
  Verdict second = Verdict::none;
  for (size_t n = 0, k = i; n < 3 && k > 0 && second == Verdict::none; ++n) second = at(--k).names;
  if (second == Verdict::none) return {};
  bool first_named = false;
  for (size_t n = 0, k = i; n < 12 && k > 0 && !ends_sentence(k - 1); ++n)
    first_named |= at(--k).names == swapped(second);
  for (size_t n = 0, k = i + 1; n < 16 && !ends_sentence(k); ++n, ++k) {
    first_named |= at(k).names == swapped(second);
    if (at(k).is(kNot)) return {};
    if (first_named && at(k).is(kWorse)) return {second};
    if (first_named && at(k).is(kBetter) && !follows(k, kNot)) return {swapped(second)};
  }
  return {};
}

// "They are equally good", "It is a tie".
Finding Reader::ties(size_t i) const {
  if (stands_before(i, kNot, 3) || doubted(i)) return {};
  const Token& next = at(i + 1);
  if (at(i).latin) {
    // "is drawn from", "is equal to 4"
    if (next.word() && next.roles == 0 && next.names == Verdict::none && !at(i).is(kMore))
      return {};
    if (next.is(kBy) && named(i + 2) == kNowhere) return {};
    if (i > 0 && at(i - 1).is(kBy)) return {};  // "to draw"
  }
  const Finding tie = {Verdict::tie, i};
  if (!at(i).latin) return tie;
  const Verdict second = name(named(at(i + 1).is(kBy) ? i + 2 : i + 1));
  size_t k = i;
  for (size_t n = 0; n < 5 && k > 0; ++n, --k) {
    const Token& before = at(k - 1);
    if (before.is(kCopula | kBoth | kPrefer)) return tie;
    if (before.names != Verdict::none)
      return stands_before(k - 1, kAnd, 2) || second == swapped(before.names) ? tie : Finding{};
    if (!before.is(kFiller | kMore | kTie)) break;
  }
  const bool begins = k == 0 || at(k - 1).is(kLineEnd) || (ends_sentence(k - 1) && at(k).spaced);
  const bool alone = begins && (!next.word() || (at(i).is(kMore) && next.is(kGood)));
  return alone ? tie : Finding{};
}

// "Neither answer is better than the other."
Finding Reader::neither(size_t i) const {
  return follows(i, kBetter | kBeats) && !doubted(i) ? Finding{Verdict::tie, i} : Finding{};
}

// "Answer: B", where it is not the question's: "The correct answer: B".
Finding Reader::answered(size_t i) const {
  const size_t colon = colon_after(i);
  if (colon == kNowhere || !is_symbol(colon, ":=")) return {};
  if (i > 0 && at(i - 1).word() && !at(i - 1).is(kFiller | kAnnounce)) return {};
  const size_t label = named(colon + 1);
  if (label == kNowhere || at(label).bare) return {};
  const Settled settled = settle(label);
  return settled.open ? Finding{} : settled.found;
}

Finding Reader::preference(size_t begin, size_t end) const {
  for (size_t i = end; i-- > begin;) {
    const Token& t = at(i);
    if (t.names != Verdict::none) {
      if (const Finding found = prefers_subject(i)) return found;
      continue;
    }
    if (t.is(kMore | kBetter | kLess | kWorse))
      if (const Finding found = compares(i)) return found;
    if (t.is(kYori))
      if (const Finding found = compares_behind(i)) return found;
    if (t.is(kBetter | kBeats | kPrefer))
      if (const Finding found = prefers_object(i)) return found;
    if (t.is(kBoth) && t.is(kNot))
      if (const Finding found = neither(i)) return found;
    if (t.is(kTie))
      if (const Finding found = ties(i)) return found;
    if (t.is(kAnswer))
      if (const Finding found = answered(i)) return found;
  }
  return {};
}

}  // namespace gavel::verdict
