#include "data/join_files.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "folder_test.h"

namespace gavel {
namespace {

class JoinFiles : public FolderTest {};

TEST_F(JoinFiles, AnyLayoutsBecomeLinesInTheirOrder) {
  file("a.jsonl", "{\"x\": 1}\n\n{\"x\": [2, null]}");
  file("b.json", "[{\"x\": 3},\n {\"y\": \"z\\n\"}]");
  join_files({dir_ / "a.jsonl", dir_ / "b.json"}, dir_ / "out.jsonl");
  EXPECT_EQ(read_file(dir_ / "out.jsonl"),
            "{\"x\":1}\n{\"x\":[2,null]}\n{\"x\":3}\n{\"y\":\"z\\n\"}\n");
}

TEST_F(JoinFiles, ABrokenRecordIsNamedAndNothingIsWritten) {
  file("a.jsonl", "{\"x\": 1}\n");
  file("b.jsonl", "{\"x\": 1}\n{\"x\n");
  try {
    join_files({dir_ / "a.jsonl", dir_ / "b.jsonl"}, dir_ / "out.jsonl");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("b.jsonl:2: bad JSON"), std::string::npos) << e.what();
  }
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out.jsonl"));
}

}  // namespace
}  // namespace gavel
