#include "data/duplicates.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>

#include "base/blanks.h"
#include "base/hash.h"
#include "base/random.h"

namespace gavel {
namespace {

constexpr size_t kShingle = 3;   // words
constexpr size_t kBand = 4;      // places of a sketch that must be equal for two to be compared
constexpr int kLeast = 45;       // of 64 places
constexpr size_t kCompared = 8;  // of those that share a band, so that many equal ones cost little

uint64_t hash_of(std::string_view text, uint64_t seed) {
  return stable_hash(std::span(text.data(), text.size()), seed);
}

// Hashes of the words: letters and digits, in lower case; of scripts that are written without
// blanks, each character.
std::vector<uint64_t> word_hashes(std::string_view text) {
  std::vector<uint64_t> words;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) words.push_back(hash_of(word, 7));
    word.clear();
  };
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      const bool capital = c >= 'A' && c <= 'Z';
      if (capital || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        word += static_cast<char>(capital ? c + ('a' - 'A') : c);
      else
        flush();
      ++i;
      continue;
    }
    const size_t length = std::min<size_t>(c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2, text.size() - i);
    const bool alone = c >= 0xE3;  // from U+3000 on: Chinese, Japanese, Korean
    if (alone) flush();
    word += text.substr(i, length);
    if (alone) flush();
    i += length;
  }
  flush();
  return words;
}

}  // namespace

uint64_t question_hash(std::string_view question, uint64_t seed) {
  return hash_of(trimmed(question), seed);
}

namespace {

uint64_t pair_hash(const JudgePair& pair, uint64_t question) {
  const auto hash = [](const std::string& answer) {
    StreamHash stream;
    stream.add(answer);
    return stream.value()[0];
  };
  const uint64_t a = hash(pair.answer_a), b = hash(pair.answer_b);
  return Random::mix(question ^ Random::mix(std::min(a, b) ^ Random::mix(std::max(a, b))));
}

// A label that does not depend on the order of the answers.
int order_free_label(const JudgePair& pair) {
  if (*pair.label == Verdict::tie) return 0;
  const bool a_first = pair.answer_a <= pair.answer_b;
  return (*pair.label == Verdict::a) == a_first ? 1 : 2;
}

uint64_t label_hash(const JudgePair& answer) {
  uint64_t hash = answer.pass ? (*answer.pass ? 1 : 2) : 0;
  for (const auto& [name, value] : answer.scores)
    hash = Random::mix(hash + static_cast<uint64_t>(std::llround(value)));
  return hash;
}

}  // namespace

RowKey key_of(const JudgePair& row, uint64_t question) {
  RowKey key;
  key.texts = pair_hash(row, question);
  key.single = row.single;
  if (!row.single) {
    key.label = order_free_label(row);
    return key;
  }
  if (!row.rubric.empty()) key.texts = hash_of(row.rubric, key.texts);
  key.labelled = Random::mix(key.texts ^ Random::mix(label_hash(row)));
  return key;
}

Before SeenRows::add(const RowKey& row) {
  if (!row.single) {
    const auto before = rows_.add(row.texts, row.label);
    return !before ? Before::nothing : *before == row.label ? Before::same : Before::contradiction;
  }
  const bool same = labelled_.add(row.labelled, 0).has_value();
  const bool seen = rows_.add(row.texts, 0).has_value();
  return !seen ? Before::nothing : same ? Before::same : Before::contradiction;
}

Sketch sketch_of(std::string_view text) {
  static const auto factors = [] {
    std::array<uint64_t, 64> out;
    Random random(0x3A7E);
    for (uint64_t& f : out) f = random.next() | 1;
    return out;
  }();
  const std::vector<uint64_t> words = word_hashes(text);
  std::array<uint32_t, 64> least;
  least.fill(std::numeric_limits<uint32_t>::max());
  const size_t length = std::min(kShingle, std::max<size_t>(words.size(), 1));
  for (size_t i = 0; i == 0 || i + length <= words.size(); ++i) {
    uint64_t shingle = length;
    for (size_t k = i; k < std::min(i + length, words.size()); ++k)
      shingle = Random::mix(shingle + words[k]);
    for (size_t f = 0; f < least.size(); ++f)
      least[f] = std::min(least[f], static_cast<uint32_t>(shingle * factors[f] >> 32));
  }
  Sketch sketch;
  for (size_t f = 0; f < least.size(); ++f) sketch[f] = static_cast<uint8_t>(Random::mix(least[f]));
  return sketch;
}

bool nearly_equal(const Sketch& a, const Sketch& b) {
  int equal = 0;
  for (size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i] ? 1 : 0;
  return equal >= kLeast;
}

uint32_t QuestionGroups::add(uint64_t question, const Sketch& sketch) {
  const uint32_t number = hashes_.add(question);
  if (number == sketches_.size()) sketches_.push_back(sketch);
  return number;
}

std::vector<uint32_t> QuestionGroups::groups() const {
  std::vector<uint32_t> parent(sketches_.size());
  std::iota(parent.begin(), parent.end(), 0u);
  const auto root = [&](uint32_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  std::vector<std::pair<uint32_t, uint32_t>> band(sketches_.size());  // its places, whose
  for (size_t at = 0; at < std::tuple_size_v<Sketch>; at += kBand) {
    for (uint32_t i = 0; i < band.size(); ++i) {
      std::memcpy(&band[i].first, sketches_[i].data() + at, kBand);
      band[i].second = i;
    }
    std::sort(band.begin(), band.end());
    for (size_t i = 0; i < band.size(); ++i)
      for (size_t back = 1; back <= std::min(i, kCompared); ++back) {
        const auto& [key, other] = band[i - back];
        if (key != band[i].first) break;
        if (nearly_equal(sketches_[other], sketches_[band[i].second]))
          parent[root(other)] = root(band[i].second);
      }
  }
  band = {};
  std::vector<uint32_t> least(sketches_.size(), std::numeric_limits<uint32_t>::max());
  for (uint32_t i = 0; i < parent.size(); ++i) {
    uint32_t& first = least[root(i)];
    if (first == std::numeric_limits<uint32_t>::max() || hash(i) < hash(first)) first = i;
  }
  for (uint32_t i = 0; i < parent.size(); ++i) parent[i] = root(i);
  for (uint32_t& group : parent) group = least[group];
  return parent;
}

}  // namespace gavel
