// SentencePiece BPE vocabularies say how good each piece is, where tokenizer.json lists merges: one
// from the other.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gavel {

struct GgufTokenizerFields;

// Which tokens take part in merges: all but control, unknown and byte tokens.
std::vector<bool> ordinary_pieces(const GgufTokenizerFields& fields);

using MergeList = std::vector<std::pair<std::string, std::string>>;

// Every way to put a piece together of two others, the best pieces first; within a piece, longer
// left halves first: as transformers makes a tokenizer.json of a SentencePiece model. `mergeable`
// says which tokens are ordinary pieces; only these take part. scores: one a token, finite.
MergeList merges_from_scores(const std::vector<std::string>& tokens,
                             const std::vector<float>& scores, const std::vector<bool>& mergeable);

// Scores with which merges_from_scores gives `merges` (in another order within a piece at most);
// nothing where there are none: a merge is missing, or merges of several pieces are interleaved.
std::optional<std::vector<float>> scores_from_merges(const std::vector<std::string>& tokens,
                                                     const MergeList& merges,
                                                     const std::vector<bool>& mergeable);

}  // namespace gavel
