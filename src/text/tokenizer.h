// BPE tokenizers, identical to Hugging Face `tokenizers` on the files they read.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gavel {

struct AddedToken;  // text/added_tokens.h
struct DirectoryTokenizer;

// The tokenizer.ggml.* metadata of a GGUF file.
struct GgufTokenizerFields {
  std::string model;                // "gpt2": byte-level BPE; "llama": SentencePiece BPE
  std::string pre;                  // the pre-tokenizer's name: "smollm", "qwen2", "llama-bpe", ...
  std::vector<std::string> tokens;  // token i's text in the byte-level alphabet
  std::vector<int> token_types;  // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  std::vector<std::string> merges;  // "left right"
  std::vector<float> scores;        // of SentencePiece's tokens: the best are merged first
  bool add_space_prefix = true;     // SentencePiece: a space is put before a text
  std::optional<int> bos_token_id, eos_token_id, unknown_token_id, padding_token_id;
  std::optional<bool> add_bos_token, add_eos_token;  // nothing: as the pre-tokenizer's family does
};

// Bytes of a text.
struct TextSpan {
  size_t begin = 0, end = 0;
};

class Tokenizer {
 public:
  // Reads a Hugging Face tokenizer.json. Throws Error naming the file and what is not supported.
  static Tokenizer from_file(const std::filesystem::path& tokenizer_json);
  // The same from the file's text; `name` is what errors call it.
  static Tokenizer from_json(std::string_view text, const std::string& name);
  static Tokenizer from_gguf(const GgufTokenizerFields& fields, const std::string& name);
  // tokenizer.json with the tokens that a directory's other files name, as transformers puts them
  // together: the ids after the vocabulary go to those that are in none of tokenizer.json's lists.
  static DirectoryTokenizer from_directory(const std::filesystem::path& directory);

  // Ids of `text`. Special and added tokens written out in the text become their ids, as in
  // `tokenizers`. add_special_tokens applies the file's post-processor (BOS and the like).
  std::vector<int> encode(std::string_view text, bool add_special_tokens = false) const;

  // Text that others wrote, within a text whose own special tokens are to be those of the model:
  // `marked` becomes `text` with a mark inside each control token (special, or written in brackets)
  // that reaches into one of the spans `literal`, and encode_marked makes ordinary tokens
  // of what is marked. The mark is a character that no text needs (one that is there is doubled),
  // so the text may pass a chat template in between. Without a mark, encode gives the same ids.
  // Returns whether there is one.
  bool mark_literal(std::string_view text, std::span<const TextSpan> literal,
                    std::string& marked) const;
  std::vector<int> encode_marked(std::string_view marked) const;
  // Whether `text` holds a control token written out, so that it would be marked.
  bool holds_control(std::string_view text) const;

  // Ids of `text` within a longer text: no space is put before it where the tokenizer would do so
  // at a beginning. Special tokens are found as in encode(), or
  // encode_marked() for a text that is marked.
  std::vector<int> encode_within(std::string_view text, bool marked = false) const;

  // The text of `ids`. Bytes that are not UTF-8 become U+FFFD, as in `tokenizers`.
  std::string decode(std::span<const int> ids, bool skip_special_tokens = false) const;

  int vocab_size() const;                                        // highest id + 1
  std::optional<int> token_to_id(std::string_view token) const;  // exact token text
  std::string id_to_token(int id) const;                         // "" where there is none
  bool is_special(int id) const;
  const std::vector<AddedToken>& added_tokens() const;
  // The bytes that one id decodes to (special tokens: their text).
  std::string token_bytes(int id) const;

  struct Impl;

 private:
  friend class StreamDecoder;
  // token_bytes, for a token that may begin the text (some decoders drop a space there).
  std::string piece(int id, bool first) const;

  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;  // immutable, so copies are cheap and threads may share it
};

// A directory's tokenizer and what it calls its special tokens ("" where it names none).
struct DirectoryTokenizer {
  Tokenizer tokenizer;
  std::string bos_token, eos_token, unknown_token, padding_token;
  std::vector<std::string> contradictions;  // between its files, as sentences
};

// Decodes a stream of ids and gives out only whole UTF-8 characters.
class StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special_tokens = true)
      : tokenizer_(std::move(tokenizer)), skip_special_tokens_(skip_special_tokens) {}
  std::string push(int id);  // the text that has become certain with this id, maybe ""
  std::string finish();      // what is left, incomplete characters as U+FFFD; starts anew

 private:
  Tokenizer tokenizer_;
  bool skip_special_tokens_;
  std::string pending_;
  bool started_ = false;
};

}  // namespace gavel
