// TensorBoard's event files, byte by byte; scripts/check_tensorboard.py has its own reader read
// them.
#include "train/event_file.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "folder_test.h"
#include "train/tensorboard.h"

namespace gavel {
namespace {

using nlohmann::ordered_json;

class EventFiles : public FolderTest {
 protected:
  std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(dir_))
      found.push_back(entry.path());
    return found;
  }
};

// The records of a file, their lengths and sums checked.
std::vector<std::string> records(const std::string& bytes) {
  std::vector<std::string> result;
  const auto sum = [&](size_t at) {
    uint32_t masked = 0;
    std::memcpy(&masked, bytes.data() + at, 4);
    const uint32_t rotated = masked - 0xa282ead8u;
    return (rotated >> 17) | (rotated << 15);
  };
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, 8);
    EXPECT_EQ(sum(at + 8), crc32c(bytes.substr(at, 8)));
    result.push_back(bytes.substr(at + 12, length));
    EXPECT_EQ(sum(at + 12 + length), crc32c(result.back()));
    at += 16 + length;
  }
  return result;
}

TEST_F(EventFiles, AreRecordsOfEvents) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);  // the check value of CRC-32C
  EventFile(dir_ / "events").numbers(300, {{"train/loss", 1.5}});
  const auto found = records(read_file(dir_ / "events"));
  ASSERT_EQ(found.size(), 2u);
  // Field 1, a double; field 2, the step, a varint; then the file's version or a summary.
  EXPECT_EQ(found[0].substr(9), std::string("\x10\x00\x1a\x0d", 4) + "brain.Event:2");
  EXPECT_EQ(found[1].substr(9), std::string("\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0a", 9) +
                                    "train/loss" + std::string("\x15\x00\x00\xc0\x3f", 5));
}

TEST_F(EventFiles, AResumedRunAddsAFileAndANewOneBeginsAgain) {
  const auto log = [&](int64_t resume_after) {
    Tensorboard board(dir_, resume_after);
    board.write({{"event", "config"}, {"step", 0}, {"iters", 4}});
    board.write({{"event", "train"}, {"step", 1}, {"loss", nullptr}, {"lr", 0.5}});
    board.write({{"event", "judged"},
                 {"step", 1},
                 {"figures", {{"agreement", 0.5}}},
                 {"judgements", {{{"question", "a\nb"}, {"text", "Verdict: A"}}}}});
    board.write({{"event", "end"}, {"step", 1}});
  };
  log(-1);
  ASSERT_EQ(files().size(), 1u);
  const std::string bytes = read_file(files()[0]);
  EXPECT_EQ(records(bytes).size(), 5u);
  for (const char* text : {"train/lr", "judge/agreement", "    a\n    b", "|iters|`4`|"})
    EXPECT_NE(bytes.find(text), std::string::npos) << text;
  EXPECT_EQ(bytes.find("train/loss"), std::string::npos);
  std::filesystem::rename(files()[0], dir_ / "events.out.tfevents.0000000001.1.gavel");
  file("notes.txt", "mine");
  log(7);
  EXPECT_EQ(files().size(), 3u);
  log(-1);
  EXPECT_EQ(files().size(), 2u);
  EXPECT_TRUE(std::filesystem::exists(dir_ / "notes.txt"));
}

TEST(ReportTo, NamesWhatIsNotThere) {
  EXPECT_FALSE(reports_to_tensorboard(""));
  EXPECT_TRUE(reports_to_tensorboard("tensorboard"));
  const auto message = [](const char* names) -> std::string {
    try {
      reports_to_tensorboard(names);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message("tensorboard, wandb").find("wandb is a service"), 0u);
  EXPECT_EQ(message("swanlab").find("swanlab is a service"), 0u);
  EXPECT_EQ(message("comet").find("comet is not known"), 0u);
}

}  // namespace
}  // namespace gavel
