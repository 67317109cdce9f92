#include "base/spelling.h"

#include <algorithm>
#include <utility>

namespace gavel {

int edit_distance(std::string_view a, std::string_view b) {
  // Rows of the table of distances between beginnings: two back, one back, this one.
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  const int most = static_cast<int>(word.size() / 3);
  // Of the equally near ones, a slip keeps the word's length more often than not.
  std::pair<int, size_t> least{most + 1, 0};
  for (const auto& candidate : candidates) {
    const size_t longer = std::max(word.size(), candidate.size());
    const std::pair distance{edit_distance(word, candidate),
                             longer - std::min(word.size(), candidate.size())};
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace gavel
