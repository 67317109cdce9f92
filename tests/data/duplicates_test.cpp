#include "data/duplicates.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/file.h"
#include "base/random.h"
#include "data/look.h"

namespace gavel {
namespace {

constexpr const char* kLong =
    "Write a function in Python that takes a list of numbers and gives back the two greatest ones, "
    "the greatest first, without changing the list that it was given.";

double agreement(std::string_view a, std::string_view b) {
  const Sketch x = sketch_of(a), y = sketch_of(b);
  int equal = 0;
  for (size_t i = 0; i < x.size(); ++i) equal += x[i] == y[i] ? 1 : 0;
  return equal / 64.0;
}

TEST(Duplicates, SketchesEstimateTheShareOfCommonShingles) {
  EXPECT_EQ(agreement(kLong, kLong), 1.0);
  EXPECT_EQ(agreement("What is the CAPITAL of France?", "what is the capital of france"), 1.0);
  // Words w0..w99 against w20..w119: 78 common shingles of 118, so 0.66.
  std::string a, b;
  for (int i = 0; i < 100; ++i) a += "w" + std::to_string(i) + " ";
  for (int i = 20; i < 120; ++i) b += "w" + std::to_string(i) + " ";
  EXPECT_NEAR(agreement(a, b), 78.0 / 118, 0.18);  // three standard deviations
  EXPECT_LT(agreement(a, kLong), 0.1);
}

TEST(Duplicates, NearlyEqualQuestionsAreAGroup) {
  const std::string text = kLong;
  const std::vector<std::string> like = {text, text + " Thanks!", "Please w" + text.substr(1)};
  const std::vector<std::string> other = {"What is the capital of France?",
                                          "What is the capital of Spain?",
                                          "What is 2 + 2?",
                                          "What is 2 + 3?",
                                          "",
                                          "法国的首都是哪里？",
                                          "西班牙的首都是哪里？请用一句话回答。"};
  QuestionGroups groups;
  uint64_t least = question_hash(text, 0);
  for (const std::string& q : like) least = std::min(least, question_hash(q, 0));
  for (const auto* list : {&like, &other})
    for (const std::string& q : *list) groups.add(question_hash(q, 0), sketch_of(q));
  EXPECT_EQ(groups.add(question_hash(text, 0), sketch_of(text)), 0u);  // again
  const auto found = groups.groups();
  EXPECT_EQ(found.size(), 10u);
  for (uint32_t i = 0; i < 10; ++i)
    EXPECT_EQ(groups.hash(found[i]), i < 3 ? least : groups.hash(i)) << i;
}

TEST(CompactHashes, AreTheHashesThatWereAdded) {
  SeenPairs seen;
  NumberedHashes numbered;
  Random random(1);
  std::unordered_map<uint64_t, int> labels;
  std::unordered_map<uint64_t, uint32_t> numbers;
  EXPECT_FALSE(numbered.find(0));
  for (int i = 0; i < 200000; ++i) {
    // Many come twice; some differ in their high or low bits alone.
    const uint64_t bits = random.next() % 60000, few = bits % 200;
    const uint64_t hash = i % 3 == 0 ? few << 2 : i % 3 == 1 ? few << 46 : Random::mix(bits);
    const int label = static_cast<int>(random.next() % 3);
    const auto [it, fresh] = labels.emplace(hash, label);
    EXPECT_EQ(seen.add(hash, label), fresh ? std::nullopt : std::optional(it->second & 3));
    const auto [number, is_new] = numbers.emplace(hash, static_cast<uint32_t>(numbers.size()));
    EXPECT_EQ(numbered.find(hash).has_value(), !is_new);
    EXPECT_EQ(numbered.add(hash), number->second);
  }
  EXPECT_EQ(numbered.size(), numbers.size());
  for (const auto& [hash, number] : numbers) EXPECT_EQ(numbered[number], hash);
}

TEST(Look, CountsWhatThereIsAndWritesNothing) {
  const auto dir = std::filesystem::temp_directory_path() / "gavel_look";
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  const std::string begin = R"({"question": "q", "category": "c", "answer_a": )";
  write_file_atomic(dir / "p.jsonl", begin + R"("long answer", "answer_b": "x", "label": "A"})" +
                                         "\n" + begin +
                                         R"("x", "answer_b": "longer", "label": "A"})" + "\n" +
                                         begin + R"("x", "answer_b": "y", "label": "tie"})" + "\n" +
                                         begin + R"("y", "answer_b": "x", "label": "B"})" + "\n" +
                                         begin + R"("y", "answer_b": "x", "label": 1})" + "\n");
  const LookReport r = look_at(dir / "p.jsonl", {}, -1);
  EXPECT_STREQ(r.form->name, "pairs");
  EXPECT_EQ(r.rows, 5);
  EXPECT_EQ(r.usable, 4);
  EXPECT_EQ(r.labels, (std::vector<int64_t>{2, 1, 1}));
  EXPECT_EQ(r.longer_won, 1);
  EXPECT_EQ(r.shorter_won, 1);
  EXPECT_EQ(r.duplicates, 1);
  EXPECT_EQ(r.contradictions, 1);
  EXPECT_EQ(r.questions, 1);
  EXPECT_EQ(r.faults.at("bad label").first, 1);
  EXPECT_EQ(r.categories.at("c"), 4);
  EXPECT_EQ(r.shown.size(), 3u);
  EXPECT_NE(describe(r).find("A 50.0%, B 25.0%, tie 25.0%"), std::string::npos) << describe(r);
  EXPECT_EQ(to_json(r)["labels"]["A"], 2);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir), {}), 1);
  EXPECT_EQ(look_at(dir / "p.jsonl", {}, 2).rows, 2);
  RawOptions kept;  // as where standard input was kept in this file
  kept.standard_input = dir / "p.jsonl";
  EXPECT_EQ(look_at(dir / "p.jsonl", kept, -1).path, "standard input");
  EXPECT_TRUE(look_at(dir / "p.jsonl", kept, -1)
                  .faults.at("bad label")
                  .second.starts_with("standard input:5: "));
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace gavel
