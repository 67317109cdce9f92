#include "data/text_source.h"

#include <array>
#include <optional>
#include <vector>

#include "base/error.h"
#include "data/arrow_rows.h"
#include "data/zip_entry.h"

namespace gavel {
namespace {

using namespace std::string_view_literals;

constexpr size_t kHead = 6;  // bytes that tell what a file is

// Files that people take for data, by how they begin.
struct Foreign {
  std::string_view begin;
  const char* what;
  const char* remedy;
};
constexpr const char* kAsJsonLines = "save its rows as JSON lines with the reader of its format";
constexpr const char* kUnpack = "unpack it and give the file in it";
constexpr std::array<Foreign, 12> kForeign{{
    {"Obj\x01"sv, "an Avro file", kAsJsonLines},
    {"\x89HDF"sv, "an HDF5 file", kAsJsonLines},
    {"SQLite format 3"sv, "an SQLite database", kAsJsonLines},
    {"PK\x03\x04"sv, "a zip archive within another file", kUnpack},
    {"7z\xBC\xAF"sv, "a 7-Zip archive", kUnpack},
    {"Rar!"sv, "a RAR archive", kUnpack},
    {"BZh"sv, "a bzip2 file", "unpack it, or pack it with gzip, xz or zstd"},
    {"\x04\x22\x4D\x18"sv, "an LZ4 file", "unpack it, or pack it with gzip, xz or zstd"},
    {"GGUF"sv, "a model", "give a file of data"},
    {"version https://git-lfs"sv, "a Git LFS pointer and not the data", "run git lfs pull"},
    {"<!DOCTYPE"sv, "a web page", "download the file itself"},
    {"<html"sv, "a web page", "download the file itself"},
}};

void refuse_foreign(std::string_view head, const std::string& name) {
  if (const auto kind = arrow_kind(head); !kind.empty())
    fail("{} is {} that is packed or comes by a pipe: {}", name, kind, kUnpack);
  for (const Foreign& f : kForeign)
    if (head.starts_with(f.begin)) fail("{} is {}, which is not read: {}", name, f.what, f.remedy);
  if (head.size() > 262 && head.substr(257, 5) == "ustar")
    fail("{} is a tar archive, which is not read: {}", name, kUnpack);
  for (const auto mark : {"\xFF\xFE\0\0"sv, "\0\0\xFE\xFF"sv})
    if (head.starts_with(mark)) fail("{} is in UTF-32, which is not read: save it as UTF-8", name);
}

enum class Encoding : uint8_t { utf8, utf16_little, utf16_big };

// By the mark, or by where the zeros of ASCII characters stand.
Encoding encoding_of(std::string_view head) {
  if (head.starts_with("\xFF\xFE"sv)) return Encoding::utf16_little;
  if (head.starts_with("\xFE\xFF"sv)) return Encoding::utf16_big;
  if (head.size() < 4) return Encoding::utf8;
  const auto zero = [&](size_t i) { return head[i] == '\0'; };
  if (!zero(0) && zero(1) && !zero(2) && zero(3)) return Encoding::utf16_little;
  if (zero(0) && !zero(1) && zero(2) && !zero(3)) return Encoding::utf16_big;
  return Encoding::utf8;
}

class Utf16Text final : public ByteStream {
 public:
  Utf16Text(std::unique_ptr<ByteStream> in, bool big, std::string name)
      : in_(std::move(in)), big_(big), name_(std::move(name)) {}

  size_t read(char* out, size_t size) override {
    while (text_.size() == given_) {
      text_.clear();
      given_ = 0;
      if (!convert()) return 0;
    }
    const size_t n = std::min(size, text_.size() - given_);
    text_.copy(out, n, given_);
    given_ += n;
    return n;
  }

 private:
  // A piece of input more; false at its end.
  bool convert() {
    char piece[8192];
    const size_t n = in_->read(piece, sizeof piece);
    if (n == 0 && odd_) fail("{} ends within a character of UTF-16: it is cut off", name_);
    if (n == 0) {
      if (high_) flush_high();
      return !text_.empty();
    }
    for (size_t i = 0; i < n; ++i) {
      const auto byte = static_cast<unsigned char>(piece[i]);
      if (!odd_) {
        odd_ = byte;
        continue;
      }
      add(static_cast<uint32_t>(big_ ? *odd_ << 8 | byte : byte << 8 | *odd_));
      odd_.reset();
    }
    return true;
  }

  void add(uint32_t unit) {
    if (high_ && unit >= 0xDC00 && unit <= 0xDFFF) {
      append(0x10000 + ((*high_ - 0xD800) << 10) + (unit - 0xDC00));
      high_.reset();
      return;
    }
    if (high_) flush_high();
    if (unit >= 0xD800 && unit <= 0xDBFF)
      high_ = unit;
    else
      append(unit);
  }

  // Half a pair: no character, and so written that its record, and no other, is at fault.
  void flush_high() {
    append(*high_);
    high_.reset();
  }

  void append(uint32_t c) {
    const auto put = [&](uint32_t byte) { text_ += static_cast<char>(byte); };
    if (c < 0x80) return put(c);
    if (c < 0x800) {
      put(0xC0 | c >> 6);
    } else {
      if (c < 0x10000) {
        put(0xE0 | c >> 12);
      } else {
        put(0xF0 | c >> 18);
        put(0x80 | (c >> 12 & 0x3F));
      }
      put(0x80 | (c >> 6 & 0x3F));
    }
    put(0x80 | (c & 0x3F));
  }

  std::unique_ptr<ByteStream> in_;
  bool big_;
  std::string name_, text_;
  size_t given_ = 0;
  std::optional<unsigned char> odd_;  // the first byte of a unit
  std::optional<uint32_t> high_;      // the first unit of a pair
};

// The stream without the first `size` bytes, which it has.
void skip(ByteStream& in, size_t size) {
  char piece[8];
  while (size > 0) size -= in.read(piece, std::min(size, sizeof piece));
}

// A file's name without the ending of its compression.
std::string without_packing(const std::filesystem::path& path) {
  const std::filesystem::path name = path.filename();
  for (const char* extension : {".gz", ".xz", ".zst", ".zstd", ".zip"})
    if (name.extension() == extension) return name.stem().string();
  return name.string();
}

}  // namespace

TextSource::TextSource(const std::filesystem::path& path)
    : TextSource(std::make_unique<FileBytes>(path), path) {}

TextSource TextSource::standard_input() { return {FileBytes::standard_input(), {}}; }

TextSource::TextSource(std::unique_ptr<FileBytes> file, const std::filesystem::path& path)
    : name_(file->name()),
      unpacked_name_(without_packing(path)),
      total_(file->total()),
      done_([bytes = file.get()] { return bytes->done(); }) {
  auto peeked = std::make_unique<PeekedBytes>(std::move(file), kHead);
  const std::string head(peeked->head());
  // These are read from several places of a file, not from first to last.
  if (const auto kind = arrow_kind(head); total_ > 0 && !kind.empty()) {
    auto rows = std::make_unique<ArrowRows>(path, kind);
    done_ = [rows = rows.get(), total = static_cast<double>(total_)] {
      return static_cast<int64_t>(rows->share_done() * total);
    };
    text_ = std::move(rows);
    return;
  }
  if (total_ > 0 && head.starts_with("PK\x03\x04")) {
    ZipEntry entry = open_zip(path);
    unpacked_name_ = entry.name;
    done_ = entry.done;
    decode(std::make_unique<PeekedBytes>(std::move(entry.bytes), kHead));
    return;
  }
  if (const auto compression = compression_of(head); compression != Compression::none) {
    peeked =
        std::make_unique<PeekedBytes>(decompressed(std::move(peeked), compression, name_), kHead);
    if (compression_of(peeked->head()) != Compression::none)
      fail("{} is packed twice: unpack it once", name_);
  }
  decode(std::move(peeked));
}

// The text of these bytes, by their first ones.
void TextSource::decode(std::unique_ptr<PeekedBytes> bytes) {
  const std::string head(bytes->head());
  refuse_foreign(head, name_);
  text_ = std::move(bytes);
  const Encoding encoding = encoding_of(head);
  if (head.starts_with("\xEF\xBB\xBF"sv)) skip(*text_, 3);
  if (encoding == Encoding::utf8) return;
  if (head[0] == '\xFF' || head[0] == '\xFE') skip(*text_, 2);
  text_ = std::make_unique<Utf16Text>(std::move(text_), encoding == Encoding::utf16_big, name_);
}

}  // namespace gavel
