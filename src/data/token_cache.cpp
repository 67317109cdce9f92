#include "data/token_cache.h"

#include <dlfcn.h>

#include <algorithm>
#include <ostream>

#include "base/error.h"

namespace gavel {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kMagic = "gaveltk2";

// One example as it lies in the file, after the tokens of all.
struct Record {
  uint64_t first = 0;  // its place among the tokens
  uint32_t length = 0;
  int32_t prompt_length = 0;
  uint32_t full_length = 0, truncated = 0;
  int64_t source_line = 0, group = 0;
  int32_t other_token = -1;
  float wins = 0;
};

// The file's end.
struct Footer {
  uint64_t tokens = 0, examples = 0;
  int64_t longest = 0, rebuilt = 0;
  uint32_t kind = 0, masked = 0, judge_data = 0, unused = 0;
  char key[32] = {};
  char magic[8] = {};
  uint64_t hash[2] = {};  // of all bytes before it
};

template <typename T>
std::span<const char> bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// Adds the first `size` bytes of the file, which need not stay in memory for it.
void add_bytes(StreamHash& hash, const MappedFile& file, size_t size) {
  constexpr size_t kPiece = size_t{16} << 20;
  const auto* data = reinterpret_cast<const char*>(file.bytes().data());
  for (size_t at = 0; at < size; at += kPiece) {
    const size_t length = std::min(kPiece, size - at);
    hash.add({data + at, length});
    file.release(at, length);
  }
}

void add_file(StreamHash& hash, const fs::path& path) {
  const MappedFile file(path);
  hash.add_field(std::to_string(file.bytes().size()));
  add_bytes(hash, file, file.bytes().size());
}

}  // namespace

void TokenFileWriter::write(std::span<const char> bytes) {
  hash_.add(bytes);
  out_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void TokenFileWriter::add(const Example& e) {
  write({reinterpret_cast<const char*>(e.tokens.data()), e.tokens.size() * sizeof(int32_t)});
  const Record record{tokens_,
                      static_cast<uint32_t>(e.tokens.size()),
                      e.prompt_length,
                      static_cast<uint32_t>(e.full_length),
                      e.truncated ? 1u : 0u,
                      e.source_line,
                      e.group,
                      e.other_token,
                      e.wins};
  const auto bytes = bytes_of(record);
  examples_.insert(examples_.end(), bytes.begin(), bytes.end());
  tokens_ += e.tokens.size();
  ++count_;
}

void TokenFileWriter::finish(const Dataset& set, const std::string& key) {
  if (tokens_ % 2 == 1) write(bytes_of(int32_t{0}));  // the records begin at a multiple of 8
  write(examples_);
  Footer footer{tokens_,
                count_,
                set.summary.longest,
                set.summary.rebuilt,
                static_cast<uint32_t>(set.kind),
                set.masked ? 1u : 0u,
                set.judge_data ? 1u : 0u,
                0,
                {},
                {},
                {}};
  std::copy_n(key.begin(), std::min(key.size(), sizeof footer.key), footer.key);
  std::copy(kMagic.begin(), kMagic.end(), footer.magic);
  write(bytes_of(footer).first(sizeof footer - sizeof footer.hash));
  const auto hash = hash_.value();
  out_.write(reinterpret_cast<const char*>(hash.data()), sizeof footer.hash);
}

bool read_token_file(const fs::path& path, const std::string& key, Dataset& set) {
  std::error_code ec;
  if (!fs::is_regular_file(path, ec)) return false;
  auto file = std::make_shared<const MappedFile>(path);
  const auto* data = reinterpret_cast<const char*>(file->bytes().data());
  const size_t size = file->bytes().size();
  Footer footer;
  if (size < sizeof footer || size % 8 != 0) return false;
  std::memcpy(&footer, data + size - sizeof footer, sizeof footer);
  const size_t body = size - sizeof footer;
  const uint64_t padded = footer.tokens + footer.tokens % 2;
  if (std::string_view(footer.magic, sizeof footer.magic) != kMagic ||
      std::string_view(footer.key, sizeof footer.key) != key || footer.tokens > body / 4 ||
      footer.examples > body / sizeof(Record) ||
      padded * sizeof(int32_t) + footer.examples * sizeof(Record) != body)
    return false;
  StreamHash hash;
  add_bytes(hash, *file, size - sizeof footer.hash);
  if (hash.value() != std::array{footer.hash[0], footer.hash[1]}) return false;
  const auto* tokens = reinterpret_cast<const int32_t*>(data);
  const auto* records = reinterpret_cast<const Record*>(data + padded * sizeof(int32_t));
  set.kind = static_cast<RecordKind>(footer.kind);
  set.masked = footer.masked != 0;
  set.judge_data = footer.judge_data != 0;
  set.examples.clear();
  set.examples.reserve(footer.examples);
  for (const Record& r : std::span(records, footer.examples)) {
    if (r.first > footer.tokens || r.length > footer.tokens - r.first) return false;
    set.examples.push_back({.tokens = TokenList::of({tokens + r.first, r.length}),
                            .prompt_length = r.prompt_length,
                            .truncated = r.truncated != 0,
                            .source_line = r.source_line,
                            .group = r.group,
                            .full_length = r.full_length,
                            .other_token = r.other_token,
                            .wins = r.wins});
  }
  set.summary = summarize(set.examples);
  set.summary.longest = footer.longest;
  set.summary.rebuilt = footer.rebuilt;
  set.tokens = std::move(file);
  fs::last_write_time(path, fs::file_time_type::clock::now(), ec);  // it was used
  return true;
}

std::string token_key(const fs::path& data, const TextEncoder& encoder,
                      const DatasetOptions& options) {
  // The file that holds this code: another build may encode otherwise.
  Dl_info code{};
  std::error_code ec;
  if (encoder.id.empty() || ::dladdr(reinterpret_cast<const void*>(&token_key), &code) == 0 ||
      code.dli_fname == nullptr || !fs::is_regular_file(code.dli_fname, ec))
    return "";
  StreamHash hash;
  add_file(hash, code.dli_fname);
  add_file(hash, data);
  // The layout of CSV, and a zip's, follow from the name too.
  hash.add_field(data.filename().string());
  hash.add_field(encoder.id);
  hash.add_field(
      fmt::format("{} {}", options.max_seq_length, static_cast<int>(options.mask_prompt)));
  for (const std::string* name : {&options.prompt_feature, &options.completion_feature,
                                  &options.chat_feature, &options.text_feature})
    hash.add_field(*name);
  const auto value = hash.value();
  return fmt::format("{:016x}{:016x}", value[0], value[1]);
}

fs::path token_path(const fs::path& folder, const std::string& key, const fs::path& data) {
  if (folder.empty() || key.empty()) return {};
  std::error_code ec;
  fs::create_directories(folder, ec);
  const auto space = fs::space(folder, ec);
  const auto size = fs::file_size(data, ec);
  const std::string name = data.filename().string();
  const bool packed = name.ends_with("z") || name.ends_with(".zst") || name.ends_with(".zip") ||
                      name.ends_with(".parquet");
  if (ec || space.available / (packed ? 20 : 3) < size) return {};
  return folder / (key + ".tokens");
}

void trim_token_cache(const fs::path& folder, const fs::path& kept, uint64_t limit) {
  struct File {
    fs::file_time_type used;
    fs::path path;
    uint64_t size;
  };
  std::vector<File> files;
  uint64_t total = 0;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    if (entry.path().extension() != ".tokens") continue;
    const auto size = fs::file_size(entry.path(), ec);
    const auto used = fs::last_write_time(entry.path(), ec);
    if (ec) continue;
    total += size;
    if (entry.path() != kept) files.push_back({used, entry.path(), size});
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.used < b.used; });
  for (const File& file : files) {
    if (total <= limit) return;
    if (fs::remove(file.path, ec)) total -= file.size;
  }
}

}  // namespace gavel
