#include "data/duplicates.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
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
  for (const auto* list : {&like, &other})
    for (const std::string& q : *list) groups.add(question_hash(q, 0), sketch_of(q));
  const auto found = groups.groups();
  EXPECT_EQ(found.size(), 10u);
  for (const std::string& q : like)
    EXPECT_EQ(found.at(question_hash(q, 0)), found.at(question_hash(text, 0))) << q;
  for (const std::string& q : other)
    EXPECT_EQ(found.at(question_hash(q, 0)), question_hash(q, 0)) << q;
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
  EXPECT_EQ(r.labels, (std::array<int64_t, 3>{2, 1, 1}));
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
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace gavel
