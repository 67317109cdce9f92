// Cutting files into records: layouts, sizes, and what a broken record costs.
#include "data/raw_records.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "packed.h"

namespace gavel {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class RawRecords : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() /
           ("gavel_records_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  // "line: JSON" of each record, or "line! kind".
  std::vector<std::string> read(const std::string& text, const std::string& name = "x.jsonl",
                                size_t most = 1 << 20, size_t at_once = 100) {
    write_file_atomic(dir_ / name, text);
    RecordReader reader(dir_ / name, most);
    layout_ = reader.layout();
    std::vector<std::string> out;
    for (auto records = reader.next(at_once); !records.empty(); records = reader.next(at_once))
      for (const RawRecord& record : records) {
        try {
          out.push_back(std::to_string(record.line) + ": " + reader.object(record).dump());
        } catch (const RecordFault& fault) {
          EXPECT_FALSE(fault.detail.empty());
          out.push_back(std::to_string(record.line) + "! " + fault.kind);
        }
      }
    return out;
  }

  fs::path dir_;
  FileLayout layout_ = FileLayout::jsonl;
};

using Lines = std::vector<std::string>;

TEST_F(RawRecords, LinesListsAndObjectsOverSeveralLines) {
  const Lines right = {"1: {\"a\":1}", "2: {\"b\":[{}]}"};
  EXPECT_EQ(read("{\"a\": 1}\n{\"b\": [{}]}\n"), right);
  EXPECT_EQ(layout_, FileLayout::jsonl);
  EXPECT_EQ(read("[{\"a\": 1},\n{\"b\": [{}]}]\n"), right);
  EXPECT_EQ(layout_, FileLayout::json_list);
  EXPECT_EQ(read("[{\"a\": 1}\n,{\"b\": [{}]}\n]\n\n"), right);
  EXPECT_EQ(read("{\"a\": 1\n}{\n\"b\": [\n{}]}"), (Lines{"1: {\"a\":1}", "2: {\"b\":[{}]}"}));
  EXPECT_EQ(layout_, FileLayout::json_objects);
  const Json pretty = {{"a", "x\n}{"}, {"b", {1, {{"c", "]"}}}}};
  for (const int indent : {0, 1, 4}) {
    EXPECT_EQ(read(pretty.dump(indent) + "\n" + pretty.dump(indent) + "\n").size(), 2u) << indent;
    EXPECT_EQ(read(pretty.dump(indent))[0], "1: " + pretty.dump()) << indent;
    EXPECT_EQ(read(Json{pretty, pretty}.dump(indent)).size(), 2u) << indent;
  }
  EXPECT_EQ(read("[]"), Lines{});
  EXPECT_EQ(read("\n\n{\"a\": 1}\n\n \n{\"a\": 2}"), (Lines{"3: {\"a\":1}", "6: {\"a\":2}"}));
}

TEST_F(RawRecords, ABrokenRecordCostsItselfAlone) {
  const std::string good = "{\"a\": 1}\n";
  for (const char* broken : {"{\"a\": ", "{\"a\": \"x", "{\"a\": [1, 2}", "}", "nonsense", "[1]"}) {
    for (const bool first : {true, false}) {
      const std::string line = std::string(broken) + "\n";
      if (first && line[0] == '[') continue;  // a list
      const auto rows = read(first ? line + good + good : good + line + good);
      ASSERT_EQ(rows.size(), 3u) << broken;
      EXPECT_NE(rows[first ? 0 : 1].find('!'), std::string::npos) << broken;
      EXPECT_EQ(rows[2], "3: {\"a\":1}") << broken;
    }
  }
  EXPECT_EQ(read("[{\"a\": 1},\n{\"a\": x},\n{\"a\": 3}]"),
            (Lines{"1: {\"a\":1}", "2! bad JSON", "3: {\"a\":3}"}));
  EXPECT_EQ(read("[{\"a\": 1}}, {\"a\": 2}]"),
            (Lines{"1: {\"a\":1}", "1! bad JSON", "1: {\"a\":2}"}));
  EXPECT_EQ(read("[{\"a\": 1}], {\"a\": 2}]"),
            (Lines{"1: {\"a\":1}", "1! bad JSON", "1: {\"a\":2}"}));
}

TEST_F(RawRecords, FilesThatAreCutOffAreNotTakenAsWhole) {
  EXPECT_EQ(read("[{\"a\": 1},\n"), (Lines{"1: {\"a\":1}", "2! bad JSON"}));
  EXPECT_EQ(read("[{\"a\": 1}"), (Lines{"1: {\"a\":1}", "1! bad JSON"}));
  EXPECT_EQ(read("["), (Lines{"1! bad JSON"}));
  EXPECT_EQ(read("[{\"a\": 1},\n{\"a\": "), (Lines{"1: {\"a\":1}", "2! bad JSON"}));
  EXPECT_EQ(read("{\n\"a\": 1\n}\n{\n\"a\": \n"), (Lines{"1: {\"a\":1}", "4! bad JSON"}));
  const std::string packed = gzip("{\"a\": 1}\n{\"a\": 2}\n");
  EXPECT_THROW(read(packed.substr(0, packed.size() - 3)), Error);
}

TEST_F(RawRecords, LongRecordsAreSkippedInAnyLayout) {
  const std::string big(100000, 'x'), object = "{\"a\": \"" + big + "\\\"{[\"}";
  for (const size_t at_once : {1, 100}) {
    EXPECT_EQ(read("{\"a\":1}\n" + object + "\n{\"a\":3}\n", "x.jsonl", 1000, at_once),
              (Lines{"1: {\"a\":1}", "2! record too long", "3: {\"a\":3}"}));
    EXPECT_EQ(read("[{\"a\":1},\n" + object + ",\n{\"a\":3}]", "x.json", 1000, at_once),
              (Lines{"1: {\"a\":1}", "2! record too long", "3: {\"a\":3}"}));
    EXPECT_EQ(read("a,b\n1,2\n" + big + ",2\n\"" + big + "\",2\n3,4\n", "x.csv", 1000, at_once),
              (Lines{"2: {\"a\":\"1\",\"b\":\"2\"}", "3! record too long", "4! record too long",
                     "5: {\"a\":\"3\",\"b\":\"4\"}"}));
  }
  // Longer than what is read at a time.
  const std::string huge = "{\"a\": [\"" + std::string(size_t{9} << 20, 'y') + "\"]}";
  EXPECT_EQ(read("{\"a\":1}\n" + huge + "\n{\"a\":3}\n", "x.jsonl", 1000),
            (Lines{"1: {\"a\":1}", "2! record too long", "3: {\"a\":3}"}));
  EXPECT_EQ(read("[{\"a\":1},\n" + huge + ",\n{\"a\":3}]", "x.json", 1000),
            (Lines{"1: {\"a\":1}", "2! record too long", "3: {\"a\":3}"}));
  EXPECT_EQ(read(huge + "\n{\"a\":3}\n", "x.jsonl", size_t{16} << 20).size(), 2u);
  EXPECT_EQ(read("[" + huge + ",\n{\"a\":3}]", "x.jsonl", size_t{16} << 20).size(), 2u);
  EXPECT_EQ(read("{\n\"a\": " + huge + "}\n{\"a\":3}", "x.json", 1000),
            (Lines{"1! record too long", "3: {\"a\":3}"}));
}

TEST_F(RawRecords, NanIsNull) {
  EXPECT_EQ(read("{\"a\": NaN, \"b\": \"NaN \\\" NaN\", \"c\": -Infinity, \"d\": [Infinity]}\n"),
            (Lines{R"(1: {"a":null,"b":"NaN \" NaN","c":"-Infinity","d":["Infinity"]})"}));
  EXPECT_EQ(read("{\"a\": NaNa}\n"), (Lines{"1! bad JSON"}));
  EXPECT_EQ(read("{\"a\": nan}\n"), (Lines{"1! bad JSON"}));
}

TEST_F(RawRecords, CsvOfSpreadsheets) {
  const Lines right = {R"(2: {"a":"1, 5","b":"x;y"})", R"(3: {"a":"","b":"z"})"};
  EXPECT_EQ(read("a,b\n\"1, 5\",x;y\n,z\n", "x.csv"), right);
  EXPECT_EQ(read("a;b\r\n1, 5;\"x;y\"\r\n;z\r\n", "x.csv"), right);
  EXPECT_EQ(read("a\tb\n1, 5\tx;y\n\tz\n", "x.tsv"), right);
  EXPECT_EQ(read("a\tb\n1, 5\tx;y\n\tz\n", "x.csv"), right);
  EXPECT_EQ(read("a|b\n1, 5|x;y\n|z\n", "x.csv"), right);
  EXPECT_EQ(read(gzip("a;b\n1, 5;\"x;y\"\n;z\n"), "x.csv.gz"), right);
  // A spreadsheet's first line, its empty rows and columns.
  EXPECT_EQ(read("sep=;\na;b;;\n1;2;;\n;;;\n\n;;\n3;4;;", "x.csv"),
            (Lines{R"(3: {"a":"1","b":"2"})", R"(7: {"a":"3","b":"4"})"}));
  EXPECT_EQ(read("\"a;b\",\"c\nd\"\n1,2\n", "x.csv"), (Lines{R"(3: {"a;b":"1","c\nd":"2"})"}));
  EXPECT_EQ(read("a,b\n1\n1,2,3\n1,2", "x.csv"),
            (Lines{"2! bad CSV", "3! bad CSV", R"(4: {"a":"1","b":"2"})"}));
  EXPECT_THROW(read("a,b,a\n1,2,3\n", "x.csv"), Error);
  EXPECT_THROW(read("a,\"b\n1,2,3\n", "x.csv"), Error);
  EXPECT_THROW(read("\n\n", "x.csv"), Error);
  EXPECT_THROW(read(std::string(5 << 20, 'x'), "x.csv"), Error);
}

TEST_F(RawRecords, ColumnsMatchWhateverTheirCase) {
  const auto header = [&](const std::string& text) {
    write_file_atomic(dir_ / "x.csv", text + "\n1,2,3\n");
    RecordReader reader(dir_ / "x.csv", 1000);
    reader.match_header({"question", "answer_a", "Kept"});
    return reader.csv_header();
  };
  EXPECT_EQ(header("Question, Answer A ,Other"), (Lines{"question", "answer_a", "Other"}));
  EXPECT_EQ(header("QUESTION,answer-a,Kept"), (Lines{"question", "answer_a", "Kept"}));
  EXPECT_EQ(header("question,Question,x"), (Lines{"question", "Question", "x"}));
  EXPECT_THROW(header("QUESTION,Question,x"), Error);
}

TEST_F(RawRecords, RecordsOfAPipeComeAsTheyAre) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int before = ::dup(0);
  ::dup2(ends[0], 0);
  const auto send = [&](const std::string& text) {
    ASSERT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  };
  send("{\"a\": 1}\n{\"a\": 2}\n{\"a\"");
  RecordReader reader(TextSource::standard_input(), 1000);
  EXPECT_EQ(reader.next(100).size(), 2u);  // and does not wait for the third
  send(": 3}\n");
  EXPECT_EQ(reader.next(100).size(), 1u);
  ::close(ends[1]);
  EXPECT_EQ(reader.next(100).size(), 0u);
  ::dup2(before, 0);
  ::close(before);
  ::close(ends[0]);
}

}  // namespace
}  // namespace gavel
