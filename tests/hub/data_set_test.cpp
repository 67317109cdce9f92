// Data sets by name: which files hold a split, and fetching them from a local server.
#include <openssl/sha.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "hub/data_files.h"
#include "hub/hub.h"
#include "hub_server.h"
#include "model/io_support.h"

namespace gavel {
namespace {

using namespace gavel::testing;
namespace fs = std::filesystem;
using Names = std::vector<std::string>;

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(DataFiles, NamesTellTheSplit) {
  const auto split = [](const Names& files, const std::string& name,
                        const std::string& config = "") {
    return hub::data_files(files, "", config, name, "org/d");
  };
  const Names hub{"data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet",
                  "data/test_prefs-00000-of-00001.parquet", ".gitattributes", "README.md"};
  EXPECT_EQ(split(hub, "train"), (Names{hub[0], hub[1]}));
  EXPECT_EQ(split(hub, "test_prefs"), Names{hub[2]});
  EXPECT_NE(error_of([&] { split(hub, "dev"); }).find("no split dev: --split-name is one of"),
            std::string::npos);
  const Names steer{"train.jsonl.gz", "validation.jsonl.gz", "preference/preference.jsonl.gz"};
  EXPECT_EQ(split(steer, "train"), Names{steer[0]});
  EXPECT_EQ(split(steer, "valid"), Names{steer[1]});
  EXPECT_EQ(split(steer, "train", "preference"), Names{steer[2]});
  EXPECT_NE(error_of([&] { split(steer, "train", "x"); }).find("no folder x"), std::string::npos);
  EXPECT_EQ(split({"total_dataset.json", "dataset_info.json"}, "train"),
            Names{"total_dataset.json"});
  EXPECT_TRUE(split({"script.py", "model.bin", "../x.json", ".x/y.json"}, "train").empty());
  // One format, where there are two.
  EXPECT_EQ(split({"train.csv", "train.parquet"}, "train"), Names{"train.parquet"});
}

TEST(DataFiles, TheReadmesConfigsTellIt) {
  const Names files{"a/train.jsonl", "b/x1.jsonl", "b/x2.jsonl", "b/deep/x3.jsonl", "c/dev.csv"};
  const std::string readme =
      "---\nlicense: mit\nconfigs:\n"
      "- config_name: one\n  data_files:\n  - split: train\n    path: a/train.jsonl\n"
      "  - split: extra\n    path:\n    - b/x*.jsonl\n    - c/*\n"
      "- config_name: two\n  data_files: \"b/**/*.jsonl\"\n"
      "- config_name: three\n  data_dir: c\n---\n# text\n";
  const auto split = [&](const std::string& config, const std::string& name) {
    return hub::data_files(files, readme, config, name, "org/d");
  };
  EXPECT_EQ(split("one", "train"), Names{files[0]});
  EXPECT_EQ(split("one", "extra"), (Names{files[1], files[2], files[4]}));
  EXPECT_EQ(split("two", "train"), (Names{files[3], files[1], files[2]}));
  EXPECT_EQ(split("three", "validation"), Names{files[4]});
  EXPECT_NE(error_of([&] { split("", "train"); }).find("org/d:one"), std::string::npos);
  EXPECT_NE(error_of([&] { split("four", "train"); }).find("one, two, three"), std::string::npos);
  EXPECT_NE(error_of([&] {
              hub::data_files(files, "---\nconfigs: [\n---\n", "", "train", "d");
            }).find("cannot be read"),
            std::string::npos);
}

TEST(DataFiles, ShardsAreCounted) {
  EXPECT_TRUE(hub::has_all_shards({"a-00000-of-00002.parquet", "a-00001-of-00002.parquet"}));
  EXPECT_FALSE(hub::has_all_shards({"a-00001-of-00002.parquet"}));
  EXPECT_TRUE(hub::has_all_shards({"a.parquet", "x-of-y.json"}));
  const Names files{"default/train/0000.parquet", "default/train/0001.parquet",
                    "default/test/0000.parquet"};
  EXPECT_EQ(hub::converted_files(files, "", "train", "d"), (Names{files[0], files[1]}));
  EXPECT_NE(error_of([&] { hub::converted_files(files, "", "dev", "d"); }), "");
}

TEST(DataFiles, NamesOfDataSets) {
  const auto name = parse_data_set_name("Anthropic/hh-rlhf:harmless-base@refs/pr/1");
  EXPECT_EQ(name->repo, "Anthropic/hh-rlhf");
  EXPECT_EQ(name->config, "harmless-base");
  EXPECT_EQ(name->revision, "refs/pr/1");
  EXPECT_EQ(parse_data_set_name("a/b")->revision, "main");
  for (const char* bad : {"", "a", "a/b:", "a/b:../x", "a/b@x/../y", "/a/b", "a/b/c", "a b/c"})
    EXPECT_FALSE(parse_data_set_name(bad)) << bad;
}

class DataSet : public ::testing::Test {
 protected:
  DataSet() {
    options.endpoint = server.endpoint();
    options.cache = scratch.path() / "hub";
    options.retry_delay = std::chrono::milliseconds(1);
    server.data_set = true;
    add("README.md",
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n"
        "    path: data/train-*\n---\n");
    add("data/train-00000-of-00002.jsonl", "{\"a\":1}\n");
    add("data/train-00001-of-00002.jsonl", "{\"a\":2}\n");
    add("data/a file (1).jsonl", "not wanted");
  }
  void add(const std::string& name, const std::string& text) {
    const std::string blob = fmt::format("blob {}", text.size()) + '\0' + text;
    unsigned char d[SHA_DIGEST_LENGTH];
    SHA1(reinterpret_cast<const unsigned char*>(blob.data()), blob.size(), d);
    std::string etag;
    for (const unsigned char c : d) etag += fmt::format("{:02x}", c);
    server.files[name] = {text, etag, false};
  }
  std::string fetched(const std::string& split = "train") {
    std::string text;
    for (const fs::path& path : fetch_data_set(name, split, options)) text += read_file(path);
    return text;
  }

  ScratchDirectory scratch;
  HubServer server;
  HubOptions options;
  DataSetName name{"org/tiny", "", "main"};
};

TEST_F(DataSet, ItsShardsComeInOrderAndStayInTheCache) {
  EXPECT_EQ(fetched(), "{\"a\":1}\n{\"a\":2}\n");
  const fs::path repo = options.cache / "datasets--org--tiny";
  const fs::path shard = repo / "snapshots" / server.commit / "data/train-00001-of-00002.jsonl";
  EXPECT_EQ(fs::read_symlink(shard).string(),
            "../../../blobs/" + server.files["data/train-00001-of-00002.jsonl"].etag);
  EXPECT_EQ(server.downloads("train-00001-of-00002.jsonl"), 1);
  EXPECT_EQ(fetched(), "{\"a\":1}\n{\"a\":2}\n");
  EXPECT_EQ(server.downloads("train-00001-of-00002.jsonl"), 1);  // once
  // Without any network, and not where a shard is missing.
  options.offline = true;
  const size_t asked = server.requests().size();
  EXPECT_EQ(fetched(), "{\"a\":1}\n{\"a\":2}\n");
  EXPECT_EQ(server.requests().size(), asked);
  fs::remove(shard);
  EXPECT_NE(error_of([&] { fetched(); }).find("has only a part"), std::string::npos);
  name.repo = "org/other";
  EXPECT_NE(error_of([&] { fetched(); }).find("HF_HUB_OFFLINE"), std::string::npos);
}

TEST_F(DataSet, WhatIsNotThereIsSaid) {
  EXPECT_NE(error_of([&] { fetched("test"); }).find("no split test"), std::string::npos);
  name.repo = "org/other";
  EXPECT_NE(error_of([&] { fetched(); }).find("is not open"), std::string::npos);
}

TEST_F(DataSet, NamesWithBlanksAreQuoted) {
  server.files.erase("README.md");
  add("data/train (1).jsonl", "blank\n");
  server.files.erase("data/train-00000-of-00002.jsonl");
  server.files.erase("data/train-00001-of-00002.jsonl");
  EXPECT_EQ(fetched(), "blank\n");
}

TEST_F(DataSet, TheHubsOwnParquetFilesWhereThereIsNoData) {
  server.files.clear();
  add("script.py", "import os");
  server.converted = {{"default/train/0000.parquet", {}}};
  add("default/train/0000.parquet", "PAR1");
  server.converted = {{"default/train/0000.parquet", server.files["default/train/0000.parquet"]}};
  server.files.erase("default/train/0000.parquet");
  EXPECT_EQ(fetched(), "PAR1");
}

}  // namespace
}  // namespace gavel
