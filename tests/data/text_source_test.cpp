// What a data file is packed and encoded in, and that damaged and hostile ones end in a sentence.
#include "data/text_source.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "packed.h"

namespace gavel {
namespace {
namespace fs = std::filesystem;
using namespace std::string_literals;

class TextSourceFile : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() /
           ("gavel_text_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::string read(const std::string& bytes, size_t most = size_t{1} << 20) {
    write_file_atomic(dir_ / "data", bytes);
    TextSource source(dir_ / "data");
    std::string text, piece(7777, '\0');
    for (size_t n = 0; (n = source.read(piece.data(), piece.size())) > 0;) {
      if (text.size() < most) text.append(piece, 0, n);
      EXPECT_LE(source.bytes_done(), source.bytes_total());
    }
    const bool begins_at_its_end = bytes.starts_with("PK") || bytes.starts_with("PAR1") ||
                                   bytes.starts_with("ARROW1") ||
                                   bytes.starts_with("\xFF\xFF\xFF\xFF");
    if (!begins_at_its_end) {
      EXPECT_EQ(source.bytes_done(), static_cast<int64_t>(bytes.size()));
    }
    return text;
  }

  std::string error_of(const std::string& bytes) {
    try {
      read(bytes);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  fs::path dir_;
};

std::string long_text() {
  std::string text;
  for (int i = 0; i < 40000; ++i) text += std::to_string(i * 2654435761u) + (i % 9 ? " " : "\n");
  return text;
}

const std::function<std::string(const std::string&)> kPackers[] = {gzip, xz, zstd};
const char* const kNames[] = {"gzip", "xz", "zstd"};

TEST_F(TextSourceFile, PackedTextsAreUnpacked) {
  const std::string text = long_text();
  EXPECT_EQ(read(text), text);
  EXPECT_EQ(read(""), "");
  for (size_t k = 0; k < 3; ++k) {
    const auto& pack = kPackers[k];
    EXPECT_EQ(read(pack(text)), text) << kNames[k];
    EXPECT_EQ(read(pack("")), "") << kNames[k];
    // Streams one after another are one text.
    EXPECT_EQ(read(pack(text) + pack("") + pack("end")), text + "end") << kNames[k];
  }
  EXPECT_EQ(read(gzip(text) + std::string(1000, '\0')), text);  // padding of a tape
  EXPECT_EQ(read(xz(text) + std::string(8, '\0') + xz("b")), text + "b");
  EXPECT_EQ(read("\x50\x2A\x4D\x18\x03\0\0\0abc"s + zstd(text)), text);  // a skippable frame
  for (const char* name : {"b.csv.gz", "b.csv.zst", "b.csv"}) {
    write_file_atomic(dir_ / name, "x");
    EXPECT_EQ(TextSource(dir_ / name).unpacked_name(), "b.csv");
  }
}

TEST_F(TextSourceFile, CutDamagedAndTrailingAreNamed) {
  const std::string text = long_text();
  for (size_t k = 0; k < 3; ++k) {
    const std::string whole = kPackers[k](text), name = kNames[k];
    for (const size_t size : {whole.size() - 1, whole.size() - 5, whole.size() / 2, size_t{12}})
      EXPECT_NE(error_of(whole.substr(0, size)).find(name + " stream is cut off"),
                std::string::npos)
          << name << " " << size << error_of(whole.substr(0, size));
    // Any flipped byte of these is noticed: by the format or its checksum.
    for (const size_t at : {whole.size() / 3, whole.size() / 2}) {
      std::string bad = whole;
      bad[at] = static_cast<char>(bad[at] ^ 0x55);
      if (name == "zstd") continue;  // ZSTD_compress writes no checksum
      EXPECT_NE(error_of(bad).find(name + " stream is damaged"), std::string::npos)
          << error_of(bad);
    }
    EXPECT_NE(error_of(whole + "rubbish").find("something else follows"), std::string::npos)
        << name << error_of(whole + "rubbish");
    EXPECT_NE(error_of(kPackers[(k + 1) % 3](whole)).find("packed twice"), std::string::npos);
  }
  EXPECT_NE(error_of(zstd(text).substr(0, 4) + "\x08 reserved").find("zstd stream is damaged"),
            std::string::npos);
}

TEST_F(TextSourceFile, StreamsThatAskForTooMuchAreRefused) {
  // A zstd window of 256 MiB.
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 28);
  std::string out(1 << 16, '\0');
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  ZSTD_inBuffer input{"text", 4, 0};
  ZSTD_compressStream2(context, &output, &input, ZSTD_e_flush);
  ZSTD_compressStream2(context, &output, &input, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  EXPECT_NE(error_of(out.substr(0, output.pos)).find("more than the 128 MiB"), std::string::npos);
  // An xz dictionary of 4 GiB, as the first block's header says.
  std::string bytes = xz("text");
  const size_t header = 12, size = (static_cast<size_t>(bytes[header]) + 1) * 4;
  const size_t filter = bytes.find("\x21\x01", header);  // LZMA2, and one byte about it
  ASSERT_LT(filter, header + size - 4);
  bytes[filter + 2] = 40;
  const uint32_t crc =
      lzma_crc32(reinterpret_cast<const uint8_t*>(bytes.data()) + header, size - 4, 0);
  for (size_t i = 0; i < 4; ++i)
    bytes[header + size - 4 + i] = static_cast<char>(crc >> (8 * i) & 0xFF);
  EXPECT_NE(error_of(bytes).find("more than the 256 MiB"), std::string::npos) << error_of(bytes);
  // A bomb: 40 kB that hold 1.25 GiB of zeros.
  std::string bomb;
  const std::string piece = zstd(std::string(size_t{32} << 20, '\0'));
  for (int i = 0; i < 40; ++i) bomb += piece;
  EXPECT_NE(error_of(bomb).find("expands to more than 300 times"), std::string::npos);
}

TEST_F(TextSourceFile, Utf16IsMadeUtf8) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n";
  const std::string little = "a\0\xE9\0\xAC\x20\x3D\xD8\0\xDE\n\0"s;
  std::string big = little;
  for (size_t i = 0; i + 1 < big.size(); i += 2) std::swap(big[i], big[i + 1]);
  EXPECT_EQ(read("\xFF\xFE" + little), text);
  EXPECT_EQ(read("\xFE\xFF" + big), text);
  EXPECT_EQ(read(gzip("\xFF\xFE" + little)), text);
  EXPECT_EQ(read("{\0\"\0a\0"s), "{\"a");  // without a mark, by the zeros
  EXPECT_EQ(read("\0{\0\"\0a"s), "{\"a");
  EXPECT_EQ(read("\xEF\xBB\xBF" + text), text);
  EXPECT_EQ(read("\xFF\xFE"), "");
  EXPECT_NE(error_of("\xFF\xFE" + little + "x").find("within a character of UTF-16"),
            std::string::npos);
  // Half a pair is no character, and no reason to give up what follows.
  EXPECT_EQ(read("\xFF\xFE\x3D\xD8x\0"s), "\xED\xA0\xBDx");
  std::string many = "\xFF\xFE";
  for (int i = 0; i < 20001; ++i) many += i % 2 ? "\x3D\xD8\0\xDE"s : "x\0"s;
  EXPECT_EQ(read(many).size(), 10001u + 4 * 10000u);
}

TEST_F(TextSourceFile, OtherFilesAreCalledWhatTheyAre) {
  for (const auto& [bytes, what] : std::vector<std::pair<std::string, std::string>>{
           {"BZh91AY"s, "bzip2"},
           {"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
           {"<!DOCTYPE html>", "web page"},
           {"\xFF\xFE\0\0x\0\0\0"s, "UTF-32"},
           {std::string(257, 'a') + "ustar" + std::string(300, '\0'), "tar archive"}}) {
    EXPECT_NE(error_of(bytes).find(what), std::string::npos) << error_of(bytes);
    EXPECT_NE(error_of(gzip(bytes)).find(what), std::string::npos);
  }
  // These are read from several places of a file.
  EXPECT_NE(error_of(gzip("PAR1\x15\0"s)).find("a Parquet file that is packed"), std::string::npos);
  EXPECT_NE(error_of(gzip("PK\x03\x04"s)).find("a zip archive within"), std::string::npos);
  EXPECT_THROW(TextSource(dir_ / "none"), Error);
  EXPECT_THROW(TextSource{dir_}, Error);  // a directory
}

const fs::path kRows = fs::path(GAVEL_GOLDEN_DIR) / "rows";

std::string text_of_file(const fs::path& path) {
  TextSource source(path);
  std::string text;
  char piece[7];
  while (const size_t n = source.read(piece, sizeof piece)) text.append(piece, n);
  EXPECT_LE(source.bytes_done(), source.bytes_total());
  EXPECT_GT(source.bytes_done(), 0);
  return text;
}

// Without Apache Arrow the file is refused, saying how to get it.
TEST_F(TextSourceFile, ParquetAndArrowAreLinesOfJson) {
  for (const char* name : {"rows.parquet", "groups.parquet", "rows.arrow", "stream.arrow"}) {
    try {
      EXPECT_EQ(text_of_file(kRows / name), read_file(kRows / "rows.jsonl")) << name;
    } catch (const Error& e) {
      ASSERT_NE(std::string(e.what()).find("./run arrow brings it"), std::string::npos) << e.what();
      GTEST_SKIP() << e.what();
    }
  }
  // Cut off or changed anywhere: an error, or rows; nothing else.
  for (const char* name : {"rows.parquet", "rows.arrow", "stream.arrow"}) {
    const std::string whole = read_file(kRows / name);
    for (size_t at = 8; at < whole.size(); at += 37) {
      std::string bad = whole;
      bad[at] = static_cast<char>(bad[at] ^ 0xA5);
      error_of(bad);
      EXPECT_NE(error_of(whole.substr(0, at)) + (*name == 's' ? "stream" : ""), "") << name << at;
    }
  }
}

TEST_F(TextSourceFile, ZipOfOneFile) {
  const std::string rows = "question,answer_a,answer_b,label\nq,Blue,Seven,A\n";
  for (const char* name : {"one.zip", "stored.zip"}) {
    EXPECT_EQ(text_of_file(kRows / name), rows) << name;
    EXPECT_EQ(TextSource(kRows / name).unpacked_name(), "pairs.csv") << name;
  }
  const auto problem = [&](const std::string& bytes, const char* what) {
    const std::string error = error_of(bytes);
    EXPECT_NE(error.find(what), std::string::npos) << error;
  };
  problem(read_file(kRows / "two.zip"), "a zip archive of 2 files");
  problem(read_file(kRows / "sheet.zip"), "save it as CSV");
  problem(read_file(kRows / "lzma.zip"), "packed by method 14");
  const std::string whole = read_file(kRows / "one.zip");
  problem(whole.substr(0, whole.size() - 1), "damaged or cut off");
  std::string changed = whole;
  changed[whole.find("PK\x01\x02", whole.find("PK\x01\x02") + 4) + 8] = 1;
  problem(changed, "encrypted");
  int fine = 0;  // what no checksum covers: dates and the like
  for (size_t at = 0; at < whole.size(); ++at) {
    changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x5A);
    fine += error_of(changed).empty() ? 1 : 0;
  }
  EXPECT_LT(fine, static_cast<int>(whole.size()) * 3 / 4);
}

}  // namespace
}  // namespace gavel
