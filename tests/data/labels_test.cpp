#include "data/labels.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

TEST(Labels, SpellingsOfOneMeaning) {
  for (
      const char* text :
      {"A",           "a",           " A\n",          "model_a",        "Model A",   "answer_a",
       "assistant_a", "Response A",  "response-a",    "option a",       "[[A]]",     "(A)",
       "\"A\"",       "A.",          "first",         "First",          "the first", "first answer",
       "left",        "A>B",         "A>>B",          "a > b",          "B<A",       "B<<A",
       "[[A>>B]]",    "A is better", "Answer A wins", "model_a>model_b"})
    EXPECT_EQ(read_label(text), Verdict::a) << text;
  for (const char* text : {"B", "b", "model_b", "Assistant B", "second", "right", "B>A", "A<B",
                           "b is better", "[[B]]", "response_b"})
    EXPECT_EQ(read_label(text), Verdict::b) << text;
  for (const char* text : {"tie", "TIE", "Tie", "tie (bothbad)", "tie (both bad)", "draw", "both",
                           "neither", "equal", "A=B", "a == b", "[[tie]]", "both_bad"})
    EXPECT_EQ(read_label(text), Verdict::tie) << text;
}

TEST(Labels, WhatMayMeanSeveralThingsIsNone) {
  for (const Json& value : {Json("C"),       Json("1"),    Json("2"),      Json("0"),
                            Json(0),         Json(1),      Json(2),        Json(true),
                            Json(-1),        Json(0.5),    Json({"A"}),    Json("ab"),
                            Json("model_c"), Json("A>A"),  Json("A or B"), Json("response_1"),
                            Json("A>=B"),    Json("best"), Json(">"),      Json("a>"),
                            Json("not a")})
    EXPECT_FALSE(read_label(value)) << value;
  EXPECT_NE(
      label_advice("C").find("must be A, B or tie and is \"C\"; gavel prepare --label-map 'c=A'"),
      std::string::npos);
  // The two ways in which 0 and 1 are meant.
  for (const Json& value : {Json(0), Json("1"), Json(1.0)}) {
    EXPECT_NE(label_advice(value).find("--label-map '0=A,1=B'"), std::string::npos);
    EXPECT_NE(label_advice(value).find("--label-map '1=A,0=B'"), std::string::npos);
  }
  EXPECT_EQ(label_advice(Json({"A"})), "must be A, B or tie and is [\"A\"]");
  EXPECT_TRUE(is_unlabelled(nullptr));
  EXPECT_TRUE(is_unlabelled(" "));
  EXPECT_FALSE(is_unlabelled("-"));
  EXPECT_FALSE(is_unlabelled(0));
}

TEST(Labels, TheUserSaysWhatValuesMean) {
  LabelMeanings meanings;
  for (const char* mapping : {"1=A", "2=b", "0=tie", "True=A", "model_1=A", "Better than B=A"})
    add_meaning(meanings, mapping);
  EXPECT_EQ(read_label(1, meanings), Verdict::a);
  EXPECT_EQ(read_label("1", meanings), Verdict::a);
  EXPECT_EQ(read_label(1.0, meanings), Verdict::a);
  EXPECT_EQ(read_label("2.0", meanings), Verdict::b);
  EXPECT_EQ(read_label(0, meanings), Verdict::tie);
  EXPECT_EQ(read_label(true, meanings), Verdict::a);
  EXPECT_EQ(read_label("Model-1", meanings), Verdict::a);
  EXPECT_EQ(read_label("better than b", meanings), Verdict::a);
  EXPECT_EQ(read_label("B", meanings), Verdict::b);
  EXPECT_FALSE(read_label(3, meanings));
  for (const char* mapping : {"1", "=A", "1=C", "1=", "1=B", " =A"})
    EXPECT_THROW(add_meaning(meanings, mapping), UsageError) << mapping;
}

}  // namespace
}  // namespace gavel
