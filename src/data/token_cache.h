// Tokenized data files, kept so that none is tokenized twice and memory does not grow with them.
//
// A file of tokens is called by a hash of all that its tokens follow from: the data file's bytes,
// the tokenizer's and the chat template's, the settings, and the program's own. It cannot be stale;
// one that is damaged is made anew. They lie in the cache's folder, 8 GiB of them at most: those
// that were not used for the longest time go first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "data/dataset.h"

namespace gavel {

// Writes a file of tokens, example by example.
class TokenFileWriter {
 public:
  explicit TokenFileWriter(std::ostream& out) : out_(out) {}
  void add(const Example& example);
  // `set` without its examples.
  void finish(const Dataset& set, const std::string& key);

 private:
  void write(std::span<const char> bytes);

  std::ostream& out_;
  StreamHash hash_;
  std::vector<char> examples_;  // their records, which stand after all tokens
  uint64_t tokens_ = 0, count_ = 0;
};

// Fills in what the file holds; the examples' tokens lie in the mapped file, which `set` keeps.
// False where there is no such file, it is damaged, or of another key.
bool read_token_file(const std::filesystem::path& path, const std::string& key, Dataset& set);

// The name of a data file's tokens; "" where what they follow from is not all known.
std::string token_key(const std::filesystem::path& data, const TextEncoder& encoder,
                      const DatasetOptions& options);

// Where the file of tokens is or will be: in `folder`, with enough room on its disk for the tokens
// of `data`; "" where it cannot be written.
std::filesystem::path token_path(const std::filesystem::path& folder, const std::string& key,
                                 const std::filesystem::path& data);

// Removes the files of `folder` that were not used for the longest time, until the rest has at most
// `limit` bytes. `kept` stays.
void trim_token_cache(const std::filesystem::path& folder, const std::filesystem::path& kept,
                      uint64_t limit);

}  // namespace gavel
