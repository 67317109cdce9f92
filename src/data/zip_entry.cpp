#include "data/zip_entry.h"

#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "base/error.h"

namespace gavel {
namespace {

constexpr size_t kEndSize = 22, kEntrySize = 46, kLocalSize = 30;
constexpr size_t kMaxDirectory = size_t{16} << 20;
constexpr uint32_t kDeferred = 0xFFFFFFFF;  // a size that stands in zip64's own record

uint32_t number(std::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i)
    value |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  return value;
}

class Archive {
 public:
  explicit Archive(const std::filesystem::path& path)
      : name_(path.string()),
        in_(path, std::ios::binary),
        size_(std::filesystem::file_size(path)) {}

  [[noreturn]] void damaged() const {
    fail("{} is a zip archive that is damaged or cut off: fetch or copy it again", name_);
  }

  std::string read(uint64_t at, size_t size) {
    if (at > size_ || size > size_ - at) damaged();
    std::string bytes(size, '\0');
    in_.clear();
    in_.seekg(static_cast<std::streamoff>(at));
    if (!in_.read(bytes.data(), static_cast<std::streamsize>(size))) damaged();
    return bytes;
  }

  // The list of its files, which stands at the end, before a comment of at most 64 KiB.
  std::string directory(size_t& entries) {
    const auto tail_size = static_cast<size_t>(std::min<uint64_t>(size_, kEndSize + 65535));
    const std::string tail = read(size_ - tail_size, tail_size);
    const size_t end = tail.rfind("PK\x05\x06");
    if (end == std::string::npos || tail.size() - end < kEndSize) damaged();
    entries = number(tail, end + 10, 2);
    const uint32_t size = number(tail, end + 12, 4), at = number(tail, end + 16, 4);
    if (at == kDeferred || entries == 0xFFFF) too_large();
    if (size > kMaxDirectory) damaged();
    return read(at, size);
  }

  [[noreturn]] void too_large() const {
    fail("{} is a zip archive beyond 4 GiB, which is not read: unpack it and give the file in it",
         name_);
  }

 private:
  std::string name_;
  std::ifstream in_;
  uint64_t size_;
};

struct Entry {
  std::string path;
  uint32_t flags = 0, method = 0, checksum = 0, packed = 0, size = 0, at = 0;
};

Entry entry_at(const Archive& archive, std::string_view directory, size_t& at) {
  if (directory.size() - at < kEntrySize || directory.substr(at, 4) != "PK\x01\x02")
    archive.damaged();
  const std::string_view fixed = directory.substr(at, kEntrySize);
  const size_t name = number(fixed, 28, 2);
  const size_t whole = kEntrySize + name + number(fixed, 30, 2) + number(fixed, 32, 2);
  if (directory.size() - at < whole) archive.damaged();
  Entry entry{std::string(directory.substr(at + kEntrySize, name)),
              number(fixed, 8, 2),
              number(fixed, 10, 2),
              number(fixed, 16, 4),
              number(fixed, 20, 4),
              number(fixed, 24, 4),
              number(fixed, 42, 4)};
  at += whole;
  return entry;
}

// A file for the user: not a folder, nor what macOS adds for itself.
bool is_data(const std::string& path) {
  return !path.ends_with('/') && !path.starts_with("__MACOSX/") &&
         std::filesystem::path(path).filename() != ".DS_Store";
}

class ZipBytes final : public ByteStream {
 public:
  ZipBytes(const std::filesystem::path& path, const Entry& entry, uint64_t at)
      : name_(path.string()), in_(path, std::ios::binary), entry_(entry), left_(entry.packed) {
    in_.seekg(static_cast<std::streamoff>(at));
    checksum_ = static_cast<uint32_t>(::crc32(0, nullptr, 0));
    if (entry.method != 0 && inflateInit2(&z_, -15) != Z_OK) fail("{}: zlib cannot begin", name_);
  }
  ~ZipBytes() override {
    if (entry_.method != 0) inflateEnd(&z_);
  }

  int64_t consumed() const { return entry_.packed - left_; }

  size_t read(char* out, size_t size) override {
    const size_t n = entry_.method == 0 ? take(out, size) : expand(out, size);
    if (n == 0) {
      if (produced_ != entry_.size || checksum_ != entry_.checksum) damaged();
      return 0;
    }
    produced_ += n;
    checksum_ = static_cast<uint32_t>(
        ::crc32(checksum_, reinterpret_cast<const Bytef*>(out), static_cast<uInt>(n)));
    if (produced_ > kFreeOutput && produced_ / kMaxRatio > entry_.packed)
      fail(
          "{}: its zip entry expands to more than {} times its size, as data does not; unpack it "
          "yourself if you trust it",
          name_, kMaxRatio);
    return n;
  }

 private:
  [[noreturn]] void damaged() const {
    fail("{}: its zip entry {} is damaged: fetch or copy the file again", name_, entry_.path);
  }

  // Bytes as they lie there.
  size_t take(char* out, size_t size) {
    const size_t n = std::min<size_t>({size, left_, size_t{1} << 20});
    if (n > 0 && !in_.read(out, static_cast<std::streamsize>(n))) damaged();
    left_ -= static_cast<uint32_t>(n);
    return n;
  }

  size_t expand(char* out, size_t size) {
    z_.next_out = reinterpret_cast<Bytef*>(out);
    z_.avail_out = static_cast<uInt>(std::min(size, size_t{1} << 20));
    const uInt room = z_.avail_out;
    while (!ended_ && z_.avail_out == room) {
      if (z_.avail_in == 0) {
        input_.resize(size_t{64} << 10);
        input_.resize(take(input_.data(), input_.size()));
        if (input_.empty()) damaged();
        z_.next_in = reinterpret_cast<Bytef*>(input_.data());
        z_.avail_in = static_cast<uInt>(input_.size());
      }
      const int code = inflate(&z_, Z_NO_FLUSH);
      ended_ = code == Z_STREAM_END;
      if (!ended_ && code != Z_OK && code != Z_BUF_ERROR) damaged();
    }
    return room - z_.avail_out;
  }

  std::string name_;
  std::ifstream in_;
  Entry entry_;
  uint32_t left_, checksum_ = 0;
  uint64_t produced_ = 0;
  z_stream z_ = {};
  std::vector<char> input_;
  bool ended_ = false;
};

}  // namespace

ZipEntry open_zip(const std::filesystem::path& path) {
  const std::string file = path.string();
  Archive archive(path);
  size_t count = 0;
  const std::string directory = archive.directory(count);
  std::vector<Entry> entries;
  for (size_t i = 0, at = 0; i < count; ++i)
    if (Entry entry = entry_at(archive, directory, at); is_data(entry.path))
      entries.push_back(std::move(entry));
  if (std::any_of(entries.begin(), entries.end(),
                  [](const Entry& e) { return e.path == "[Content_Types].xml"; }))
    fail("{} is a spreadsheet or another office document, which is not read: save it as CSV", file);
  if (entries.size() != 1)
    fail("{} is a zip archive of {} files, and one of one file can be read: unpack it", file,
         entries.size());
  const Entry& entry = entries[0];
  if (entry.flags & 1) fail("{} is an encrypted zip archive: unpack it", file);
  if (entry.method != 0 && entry.method != 8)
    fail("{}: its zip entry is packed by method {}, and deflate alone is read: unpack it", file,
         entry.method);
  if (entry.size == kDeferred || entry.packed == kDeferred || entry.at == kDeferred)
    archive.too_large();
  const std::string local = archive.read(entry.at, kLocalSize);
  if (!local.starts_with("PK\x03\x04")) archive.damaged();
  const uint64_t at = uint64_t{entry.at} + kLocalSize + number(local, 26, 2) + number(local, 28, 2);
  auto bytes = std::make_unique<ZipBytes>(path, entry, at);
  const ZipBytes* reader = bytes.get();
  return {std::filesystem::path(entry.path).filename().string(), std::move(bytes),
          [reader] { return reader->consumed(); }};
}

}  // namespace gavel
