#include "text/spm_merges.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "text/unicode.h"

namespace gavel {
namespace {

// Pieces are of some characters; looking at longer tokens would only cost time.
constexpr size_t kLongest = 1024;

struct Split {
  int piece, left, right;            // ids
  size_t left_length, right_length;  // in characters
};

std::vector<Split> all_splits(const std::vector<std::string>& tokens,
                              const std::vector<bool>& mergeable) {
  std::unordered_map<std::string_view, int> ids;
  for (size_t i = 0; i < tokens.size(); ++i)
    if (mergeable[i] && !tokens[i].empty()) ids.emplace(tokens[i], static_cast<int>(i));
  std::vector<Split> out;
  std::vector<size_t> starts;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string_view text = tokens[i];
    if (!mergeable[i] || text.empty() || text.size() > kLongest ||
        ids.at(text) != static_cast<int>(i))
      continue;
    starts.clear();
    for (size_t at = 0; at < text.size(); unicode::next(text, at)) starts.push_back(at);
    const auto begin = static_cast<std::ptrdiff_t>(out.size());
    for (size_t c = 1; c < starts.size(); ++c) {
      const auto left = ids.find(text.substr(0, starts[c]));
      const auto right = ids.find(text.substr(starts[c]));
      if (left != ids.end() && right != ids.end())
        out.push_back({static_cast<int>(i), left->second, right->second, c, starts.size() - c});
    }
    std::sort(out.begin() + begin, out.end(), [](const Split& a, const Split& b) {
      return std::pair(a.left, a.right) < std::pair(b.left, b.right);
    });
  }
  return out;
}

}  // namespace

MergeList merges_from_scores(const std::vector<std::string>& tokens,
                             const std::vector<float>& scores, const std::vector<bool>& mergeable) {
  std::vector<Split> splits = all_splits(tokens, mergeable);
  std::stable_sort(splits.begin(), splits.end(), [&](const Split& a, const Split& b) {
    return std::tuple(scores[static_cast<size_t>(a.piece)], a.left_length, a.right_length) >
           std::tuple(scores[static_cast<size_t>(b.piece)], b.left_length, b.right_length);
  });
  MergeList out;
  out.reserve(splits.size());
  for (const Split& s : splits)
    out.emplace_back(tokens[static_cast<size_t>(s.left)], tokens[static_cast<size_t>(s.right)]);
  return out;
}

std::optional<std::vector<float>> scores_from_merges(const std::vector<std::string>& tokens,
                                                     const MergeList& merges,
                                                     const std::vector<bool>& mergeable) {
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t i = 0; i < tokens.size(); ++i) ids.emplace(tokens[i], i);
  std::vector<float> scores(tokens.size(), 0.0f);
  std::vector<bool> scored(tokens.size(), false);
  std::set<std::pair<std::string, std::string>> seen;
  size_t last = tokens.size();
  int rank = 0;
  for (const auto& [left, right] : merges) {
    const auto piece = ids.find(left + right);
    if (piece == ids.end()) return std::nullopt;
    const size_t id = piece->second;
    if (!mergeable[id]) continue;  // found in the text before merging begins
    if (id != last && scored[id]) return std::nullopt;
    if (id != last) scores[id] = -static_cast<float>(rank++);
    scored[id] = true;
    last = id;
    seen.emplace(left, right);
  }
  for (const Split& s : all_splits(tokens, mergeable))
    if (!seen.contains({tokens[static_cast<size_t>(s.left)], tokens[static_cast<size_t>(s.right)]}))
      return std::nullopt;
  // Single characters are no merge's result; they come last.
  for (size_t i = 0; i < tokens.size(); ++i)
    if (mergeable[i] && !scored[i]) scores[i] = -static_cast<float>(rank++);
  return scores;
}

}  // namespace gavel
