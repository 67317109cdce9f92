// gzip, xz and zstd streams, read piece by piece through zlib, liblzma and libzstd.
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <vector>

#include "base/error.h"
#include "data/byte_stream.h"

namespace gavel {
namespace {

constexpr size_t kPiece = size_t{64} << 10;
constexpr uint64_t kMaxMemory = uint64_t{256} << 20;
constexpr int kMaxWindowLog = 27;  // 128 MiB, what zstd itself allows by default

// What the three have in common: input in pieces, and a bound on what comes out of it.
class Decompressed : public ByteStream {
 public:
  Decompressed(std::unique_ptr<ByteStream> in, std::string name, const char* format)
      : in_(std::move(in)), name_(std::move(name)), format_(format), input_(kPiece) {}

  size_t read(char* out, size_t size) final {
    const size_t n = expand(out, size);
    produced_ += n;
    if (produced_ > kFreeOutput && produced_ / kMaxRatio > consumed_)
      fail(
          "{}: its {} stream expands to more than {} times its size, as data does not; unpack it "
          "yourself if you trust it",
          name_, format_, kMaxRatio);
    return n;
  }

 protected:
  virtual size_t expand(char* out, size_t size) = 0;

  // The next piece of input; empty at its end.
  std::string_view refill() {
    const size_t n = in_->read(input_.data(), input_.size());
    consumed_ += n;
    return {input_.data(), n};
  }
  [[noreturn]] void cut() const {
    fail("{}: its {} stream is cut off before its end: fetch or copy the file again", name_,
         format_);
  }
  [[noreturn]] void damaged(const std::string& why) const {
    fail("{}: its {} stream is damaged ({}): fetch or copy the file again", name_, format_, why);
  }
  [[noreturn]] void trailing() const {
    fail("{}: something else follows the end of its {} stream, so the file is not taken as whole",
         name_, format_);
  }
  [[noreturn]] void too_big(uint64_t allowed) const {
    fail(
        "{}: unpacking its {} stream takes more than the {} MiB of memory that are allowed; unpack "
        "it yourself",
        name_, format_, allowed >> 20);
  }

 private:
  std::unique_ptr<ByteStream> in_;
  std::string name_;
  const char* format_;
  std::vector<char> input_;
  uint64_t consumed_ = 0, produced_ = 0;
};

class GzipBytes final : public Decompressed {
 public:
  GzipBytes(std::unique_ptr<ByteStream> in, const std::string& name)
      : Decompressed(std::move(in), name, "gzip") {
    if (inflateInit2(&z_, 15 + 16) != Z_OK) fail("{}: zlib cannot begin", name);
  }
  ~GzipBytes() override { inflateEnd(&z_); }

 private:
  size_t expand(char* out, size_t size) override {
    z_.next_out = reinterpret_cast<Bytef*>(out);
    z_.avail_out = static_cast<uInt>(std::min(size, kPiece * 16));
    const uInt room = z_.avail_out;
    while (z_.avail_out == room) {
      if (z_.avail_in == 0 && !more_input()) {
        if (inside_) cut();
        return 0;
      }
      if (!inside_ && !next_member()) continue;
      const int code = inflate(&z_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {
        inside_ = false;
        ++members_;
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        // The head of a second stream that is none.
        if (members_ > 0 && z_.total_out == 0) trailing();
        damaged(z_.msg != nullptr ? z_.msg : "unknown reason");
      }
    }
    return room - z_.avail_out;
  }

  bool more_input() {
    const std::string_view piece = refill();
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    z_.avail_in = static_cast<uInt>(piece.size());
    return !piece.empty();
  }

  // Begins with the next of several streams; zeros between them are padding.
  bool next_member() {
    while (members_ > 0 && z_.avail_in > 0 && *z_.next_in == 0) {
      ++z_.next_in;
      --z_.avail_in;
    }
    if (z_.avail_in == 0) return false;
    if (members_ > 0) inflateReset(&z_);
    inside_ = true;
    return true;
  }

  z_stream z_ = {};
  bool inside_ = false;
  int64_t members_ = 0;
};

class XzBytes final : public Decompressed {
 public:
  XzBytes(std::unique_ptr<ByteStream> in, const std::string& name)
      : Decompressed(std::move(in), name, "xz") {}
  ~XzBytes() override { lzma_end(&z_); }

 private:
  static constexpr uint64_t kHeader = 12;  // bytes that every stream begins with

  size_t expand(char* out, size_t size) override {
    z_.next_out = reinterpret_cast<uint8_t*>(out);
    z_.avail_out = size;
    while (z_.avail_out == size) {
      if (z_.avail_in == 0 && !more_input()) {
        if (!inside_) return 0;
        if (streams_ > 0 && z_.total_in < kHeader) trailing();
        cut();
      }
      if (!inside_ && !next_stream()) continue;
      const lzma_ret code = lzma_code(&z_, LZMA_RUN);
      if (code == LZMA_STREAM_END) {
        inside_ = false;
        ++streams_;
      } else if (code != LZMA_OK && code != LZMA_BUF_ERROR) {
        give_up(code);
      }
    }
    return size - z_.avail_out;
  }

  bool more_input() {
    const std::string_view piece = refill();
    z_.next_in = reinterpret_cast<const uint8_t*>(piece.data());
    z_.avail_in = piece.size();
    return !piece.empty();
  }

  // Begins with the next of several streams; zeros between them are padding.
  bool next_stream() {
    while (streams_ > 0 && z_.avail_in > 0 && *z_.next_in == 0) {
      ++z_.next_in;
      --z_.avail_in;
    }
    if (z_.avail_in == 0) return false;
    if (lzma_stream_decoder(&z_, kMaxMemory, 0) != LZMA_OK) damaged("liblzma cannot begin");
    return inside_ = true;
  }

  [[noreturn]] void give_up(lzma_ret code) const {
    if (code == LZMA_MEMLIMIT_ERROR) too_big(kMaxMemory);
    if (code == LZMA_FORMAT_ERROR && streams_ > 0) trailing();
    damaged(code == LZMA_OPTIONS_ERROR ? "options that are not known" : "its data do not fit");
  }

  lzma_stream z_ = LZMA_STREAM_INIT;
  bool inside_ = false;
  int64_t streams_ = 0;
};

class ZstdBytes final : public Decompressed {
 public:
  ZstdBytes(std::unique_ptr<ByteStream> in, const std::string& name)
      : Decompressed(std::move(in), name, "zstd"), context_(ZSTD_createDCtx()) {
    if (context_ == nullptr) fail("{}: libzstd cannot begin", name);
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kMaxWindowLog);
  }
  ~ZstdBytes() override { ZSTD_freeDCtx(context_); }

 private:
  size_t expand(char* out, size_t size) override {
    ZSTD_outBuffer output{out, size, 0};
    while (output.pos == 0) {
      if (input_.pos == input_.size) {
        const std::string_view piece = refill();
        input_ = {piece.data(), piece.size(), 0};
        if (piece.empty() && !inside_) return 0;
        input_ended_ = piece.empty();
      }
      const size_t left = ZSTD_decompressStream(context_, &output, &input_);
      if (ZSTD_isError(left)) give_up(left);
      if (input_ended_ && output.pos == 0 && left != 0) cut();
      inside_ = left != 0;
      if (!inside_) ++frames_;
    }
    return output.pos;
  }

  [[noreturn]] void give_up(size_t code) const {
    const ZSTD_ErrorCode error = ZSTD_getErrorCode(code);
    if (error == ZSTD_error_frameParameter_windowTooLarge) too_big(uint64_t{1} << kMaxWindowLog);
    if (error == ZSTD_error_prefix_unknown && frames_ > 0) trailing();
    if (error == ZSTD_error_dictionary_wrong)
      damaged("it was packed with a dictionary that is not here");
    damaged(ZSTD_getErrorName(code));
  }

  ZSTD_DCtx* context_;
  ZSTD_inBuffer input_ = {nullptr, 0, 0};
  bool inside_ = false, input_ended_ = false;
  int64_t frames_ = 0;
};

}  // namespace

Compression compression_of(std::string_view head) {
  using namespace std::string_view_literals;
  if (head.starts_with("\x1F\x8B"sv)) return Compression::gzip;
  if (head.starts_with("\xFD"
                       "7zXZ\0"sv))
    return Compression::xz;
  const bool skippable =  // what some programs begin a zstd file with
      head.size() >= 4 && (head[0] & 0xF0) == 0x50 && head.substr(1, 3) == "\x2A\x4D\x18";
  if (skippable || head.starts_with("\x28\xB5\x2F\xFD"sv)) return Compression::zstd;
  return Compression::none;
}

std::unique_ptr<ByteStream> decompressed(std::unique_ptr<ByteStream> in, Compression compression,
                                         const std::string& name) {
  switch (compression) {
    case Compression::gzip:
      return std::make_unique<GzipBytes>(std::move(in), name);
    case Compression::xz:
      return std::make_unique<XzBytes>(std::move(in), name);
    case Compression::zstd:
      return std::make_unique<ZstdBytes>(std::move(in), name);
    case Compression::none:
      break;
  }
  return in;
}

}  // namespace gavel
