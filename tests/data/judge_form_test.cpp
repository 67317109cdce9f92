#include "data/judge_form.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/judge_prompt.h"

namespace gavel {
namespace {

std::string error_of(const std::string& form) {
  try {
    parse_form(form, "t", 3);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(JudgeForm, EachFormSaysWhatItNeeds) {
  EXPECT_EQ(parse_form("pair\n", "t", 1), JudgeForm{});
  const JudgeForm rank = parse_form("\n rank  yes no \n", "t", 1);
  EXPECT_EQ(rank.kind, FormKind::rank);
  EXPECT_EQ(rank.words[1], "no");
  EXPECT_TRUE(rank.of_pairs() && rank.one_answer());
  EXPECT_EQ(parse_form("pass", "t", 1).words[0], "pass");
  EXPECT_EQ(parse_form("pass good bad", "t", 1).words[1], "bad");
  const JudgeForm score = parse_form("score 0..2\n0: wrong\n2: right: all of it\n", "t", 1);
  ASSERT_EQ(score.criteria.size(), 1u);
  EXPECT_EQ(score.criteria[0].scale, (Scale{0, 2, {"wrong", "", "right: all of it"}}));
  const JudgeForm criteria =
      parse_form("criteria\naccuracy 1..5 weight 2: is it true?\nstyle 0..10\n", "t", 1);
  ASSERT_EQ(criteria.criteria.size(), 2u);
  EXPECT_EQ(criteria.criteria[0].about, "is it true?");
  EXPECT_EQ(criteria.criteria[0].weight, 2);
  EXPECT_EQ(criteria.criteria[1].name, "style");
  EXPECT_EQ(criteria.criteria[1].scale.high, 10);
  const JudgeForm anchored = parse_form(
      "criteria\ntrue 0..2 weight 2: is it?\n0: no\n2: all of it\nkind 1..3\n3: very\n", "t", 1);
  EXPECT_EQ(anchored.criteria[0].scale.anchors, (std::vector<std::string>{"no", "", "all of it"}));
  EXPECT_EQ(describe_scale(anchored),
            "true: is it? 0 to 2\n0: no\n2: all of it\nkind: 1 to 3\n3: very");
  EXPECT_EQ(describe_scale(score), "0 to 2\n0: wrong\n2: right: all of it");
  EXPECT_EQ(describe_scale(criteria), "accuracy: is it true? 1 to 5\nstyle: 0 to 10");
}

TEST(JudgeForm, WhatCannotBeReadNamesItsLine) {
  EXPECT_EQ(error_of(""), "t:3: the [form] section says no form");
  EXPECT_TRUE(error_of("stars 1..5").starts_with("t:3: stars is no form"));
  EXPECT_TRUE(error_of("\nrank yes").starts_with("t:4: rank takes two different words"));
  EXPECT_TRUE(error_of("rank yes yes").starts_with("t:3: rank takes two different words"));
  EXPECT_TRUE(error_of("score").starts_with("t:3: score takes a scale"));
  for (const char* scale : {"5", "1-5", "a..5", "1..b", "1..99999999999"})
    EXPECT_TRUE(error_of(std::string("score ") + scale).find("is no scale") != std::string::npos)
        << scale;
  for (const char* scale : {"5..5", "5..1", "-1..5", "0..101"})
    EXPECT_TRUE(error_of(std::string("score ") + scale).find("must begin at 0") !=
                std::string::npos)
        << scale;
  EXPECT_TRUE(error_of("score 1..5\n6: more").starts_with("t:4: after the scale"));
  EXPECT_EQ(error_of("score 1..5\n1: a\n1: b"), "t:5: 1 is described twice");
  EXPECT_TRUE(error_of("rank a b\nmore").starts_with("t:4: nothing may follow"));
  EXPECT_EQ(error_of("criteria"), "t:3: the form criteria names none");
  EXPECT_EQ(error_of("criteria\na 1..5\na 1..5"), "t:5: a second criterion a");
  EXPECT_TRUE(error_of("criteria\na 1..5 weight x").starts_with("t:4: the weight x"));
  EXPECT_TRUE(error_of("criteria\na/b 1..5").starts_with("t:4: a criterion is written"));
  EXPECT_TRUE(error_of("criteria\n4: of nothing").starts_with("t:4: a criterion is written"));
  EXPECT_TRUE(error_of("criteria\na 1..5\n6: more").starts_with("t:5: after the scale"));
  EXPECT_EQ(error_of("criteria\na 1..5\n1: x\n1: y"), "t:6: 1 is described twice");
  EXPECT_EQ(error_of("criteria\na 1..5 weight 0"), "t:4: every criterion has the weight 0");
}

JudgePair one_answer() {
  JudgePair pair;
  pair.id = "x";
  pair.question = "Why?";
  pair.answer_a = "So.";
  pair.single = true;
  return pair;
}

TEST(JudgeForm, TemplatesOfOneAnswerSayScoreOrWord) {
  JudgePair pair = one_answer();
  pair.reason = "It says little.";
  pair.rubric = "Is it polite?";
  const JudgeTemplate& score = JudgeTemplate::standard(FormKind::score);
  const std::string asked = score.to_messages(pair)[1].content;
  EXPECT_NE(asked.find("Answer: So.\n"), std::string::npos);
  EXPECT_NE(asked.find("Criterion: Is it polite?"), std::string::npos);
  EXPECT_NE(asked.find("The scale is 1 to 5\n1: very bad"), std::string::npos);
  EXPECT_THROW(score.target_text(pair), Error);
  pair.scores = {{"score", 2}};
  EXPECT_EQ(score.target_text(pair), "It says little.\n\n**Score:** 2");
  for (const double bad : {0.0, 6.0, 2.5}) {
    pair.scores[0].second = bad;
    EXPECT_THROW(score.target_text(pair), Error) << bad;
  }
  const JudgeTemplate& pass = JudgeTemplate::standard(FormKind::pass);
  EXPECT_THROW(pass.target_text(pair), Error);
  pair.pass = false;
  EXPECT_EQ(pass.target_text(pair), "It says little.\n\n**Verdict:** fail");
  const auto criteria = JudgeTemplate::parse(
      "[form]\ncriteria\ntrue 1..3\nkind 1..3\n[user]\n{question} {answer} {scale}\n[assistant]\n"
      "**Scores:**\n{label}",
      "t");
  pair.scores = {{"kind", 3}, {"true", 1}};
  EXPECT_EQ(criteria.target_text(pair), "**Scores:**\ntrue: 1\nkind: 3");
}

TEST(JudgeForm, ARankedPairIsTwoPromptsAndTwoWords) {
  const JudgeTemplate& rank = JudgeTemplate::standard(FormKind::rank);
  JudgePair pair = one_answer();
  pair.single = false;
  pair.answer_b = "Because of the tides.";
  pair.label = Verdict::b;
  const auto row = training_row(pair, rank);
  EXPECT_EQ(row.at("scored"), nlohmann::ordered_json({"**Verdict:** yes", "**Verdict:** no"}));
  EXPECT_NE(row.at("messages_a")[1].at("content").get<std::string>().find("Answer: So.\n"),
            std::string::npos);
  EXPECT_NE(row.at("messages_b")[1].at("content").get<std::string>().find("tides"),
            std::string::npos);
  EXPECT_EQ(row.at("messages_b")[1].at("content").get<std::string>().find("So."),
            std::string::npos);
  EXPECT_EQ(row.at("label"), "B");
  EXPECT_FALSE(row.contains("messages"));
  const auto with_reason =
      "[form]\nrank yes no\n[user]\n{question} {answer}\n[assistant]\n"
      "{reason} **Verdict:** {label}";
  EXPECT_THROW(JudgeTemplate::parse(with_reason, "t"), Error);
  EXPECT_THROW(JudgeTemplate::parse("[form]\nrank yes no\n[user]\n{question} {answer_a}", "t"),
               Error);
  EXPECT_THROW(JudgeTemplate::parse("[user]\n{question} {answer}", "t"), Error);
}

// Lines are written by hand: they are what a JSON library writes of the same values.
TEST(TrainingRow, IsOneLineOfJson) {
  JudgePair pair;
  pair.id = "7\"";
  pair.question = "a\tb\n{answer_a}";
  pair.answer_a = "\xC3\xA9";
  pair.answer_b = "\\";
  pair.label = Verdict::tie;
  pair.rubric = "r";
  pair.reason = "Answer A.";
  pair.reference = "ref";
  pair.category = "c";
  pair.votes = {1, 0, 2};
  pair.meta = {{"turn", "1"}, {"model_a", "x"}, {"turn", "2"}};
  std::string line = "before\n";
  append_training_row(pair, JudgeTemplate::standard(), 12, "in.jsonl:3", line);
  ASSERT_TRUE(line.starts_with("before\n"));
  line.erase(0, 7);
  const auto row = nlohmann::ordered_json::parse(line);
  EXPECT_EQ(row.dump(), line);
  std::string names;
  for (const auto& [name, value] : row.items()) names += name + " ";
  EXPECT_EQ(names,
            "messages id question answer_a answer_b label rubric reason reference category votes "
            "meta group source ");
  EXPECT_EQ(row.at("messages").size(), 3u);
  EXPECT_EQ(row.at("messages")[2].at("content"), "Answer A.\n\n**Verdict:** tie");
  EXPECT_EQ(row.at("id"), pair.id);
  EXPECT_EQ(row.at("question"), pair.question);
  EXPECT_EQ(row.at("answer_b"), pair.answer_b);
  EXPECT_EQ(row.at("votes"), nlohmann::ordered_json({1, 0, 2}));
  EXPECT_EQ(row.at("meta").dump(), R"({"turn":"2","model_a":"x"})");
  EXPECT_EQ(row.at("group"), 12);
  EXPECT_EQ(row.at("source"), "in.jsonl:3");
  pair.answer_a = "\xC3";
  EXPECT_THROW(append_training_row(pair, JudgeTemplate::standard(), {}, "", line), Error);
}

TEST(TrainingRow, HoldsScoresAndRatings) {
  const auto line_of = [](const JudgePair& answer, std::string_view form) {
    const JudgeTemplate prompt = JudgeTemplate::parse(
        fmt::format("[form]\n{}\n[user]\n{{question}} {{answer}}\n", form), "t");
    std::string line;
    append_training_row(answer, prompt, std::nullopt, "", line);
    EXPECT_EQ(nlohmann::ordered_json::parse(line).dump(), line);
    return line.substr(line.find("\"answer\""));
  };
  JudgePair answer;
  answer.question = "q";
  answer.answer_a = "a";
  answer.single = true;
  answer.scores = {{"score", 4}};
  answer.ratings = {{4, 3.5, std::nan("")}};
  EXPECT_EQ(line_of(answer, "score 1..5"), R"("answer":"a","ratings":[4,3.5,null],"score":4})");
  answer.scores = {{"style", 2}, {"truth", 5}};
  answer.ratings = {{2}, {5}};
  EXPECT_EQ(line_of(answer, "criteria\nstyle 1..5: is it?\ntruth 1..5: is it?"),
            R"("answer":"a","ratings":{"style":[2],"truth":[5]},"scores":{"style":2,"truth":5}})");
  answer.scores.clear();
  answer.pass = false;
  answer.ratings = {{1, 0, std::nan("")}};
  EXPECT_EQ(line_of(answer, "pass good bad"),
            R"("answer":"a","ratings":[true,false,null],"pass":false})");
}

}  // namespace
}  // namespace gavel
