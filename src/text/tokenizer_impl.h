// The parts of a tokenizer, in the order in which a text passes them. Internal to src/text.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/token_decoder.h"
#include "text/tokenizer.h"

namespace gavel {

// Ids above this are taken for a mistake: tables are as long as the highest id.
inline constexpr int max_token_id = (1 << 24) - 1;

// A text without the marks of mark_literal.
std::string without_marks(std::string_view marked);

struct Tokenizer::Impl {
  std::string name;  // for errors
  AddedTokens added;
  std::vector<Normalizer> normalizers;
  std::vector<PreTokenizer> pre_tokenizers;
  Bpe model;
  std::vector<int> prefix, suffix;  // what the post-processor puts around a text
  std::vector<DecoderStep> decoders;

  struct TextPlace {
    bool marked = false;  // the text is one of mark_literal's
    bool within = false;  // it stands within a longer one, see Tokenizer::encode_within
  };
  std::vector<int> encode(const std::string& text, TextPlace place) const;
  void prepare_within();  // once normalizers and pre-tokenizers are there
  // The text of a token as the file writes it, and as decoders see it; nullptr where there is none.
  const std::string* token_text(int id) const;
  const std::string* decoded_text(int id) const;

 private:
  void encode_plain(const std::vector<PreTokenizer>& steps, std::string_view text, bool at_start,
                    BpeWorkspace& workspace, std::vector<int>& ids) const;

  // What is done to the beginning of a text within a longer one: nothing is put before it.
  std::vector<Normalizer> within_normalizers_;
  std::vector<PreTokenizer> within_pre_tokenizers_;

  // Workspaces that no encode() holds at the moment.
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<BpeWorkspace>> idle_;
};

// A tokenizer.json, but for its added tokens, which other files may add to: finish_added_tokens().
struct TokenizerFile {
  std::shared_ptr<Tokenizer::Impl> impl;
  AddedTokenList added;
  std::vector<AddedToken> stated;  // the file's own list, with the ids that it claims
};
TokenizerFile read_tokenizer_json(std::string_view text, const std::string& name);
void finish_added_tokens(TokenizerFile& file);

}  // namespace gavel
