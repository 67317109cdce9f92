// Each form of preference data, as it is published, and the reading of it: which side wins, what is
// a tie, what the question is. In all rows the better answer begins with "good" and the worse one
// with "bad".
#include "data/pair_forms.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "data/raw_pairs.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

class PairForms : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() /
           ("gavel_forms_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  // The pairs of a file of these rows; its form must be `form`.
  std::vector<JudgePair> read(const std::string& form, const std::string& rows,
                              const RawOptions& options = {}) {
    write_file_atomic(dir_ / "rows.jsonl", rows);
    PairReader reader(dir_ / "rows.jsonl", options);
    EXPECT_EQ(reader.form().name, form);
    std::vector<JudgePair> pairs;
    faults_.clear();
    for (auto rows = reader.next(100); !rows.empty(); rows = reader.next(100))
      for (RawRow& row : rows) {
        if (row.pair)
          pairs.push_back(std::move(*row.pair));
        else
          faults_.push_back(row.fault);
      }
    return pairs;
  }

  // "A", "B" or "tie" of each, and where one won, that it is the good one.
  static std::string labels(const std::vector<JudgePair>& pairs) {
    std::string out;
    for (const JudgePair& pair : pairs) {
      out += (out.empty() ? "" : " ") + std::string(to_string(*pair.label));
      if (pair.label == Verdict::tie) continue;
      const bool a = pair.label == Verdict::a;
      for (const auto& [text, word] : {std::pair(a ? pair.answer_a : pair.answer_b, "good"),
                                       std::pair(a ? pair.answer_b : pair.answer_a, "bad")})
        EXPECT_TRUE(text.starts_with(word) || text.starts_with(std::string("Assistant: ") + word))
            << text;
    }
    return out;
  }

  static std::string meta(const JudgePair& pair, const std::string& name) {
    for (const auto& [key, value] : pair.meta)
      if (key == name) return value;
    return "";
  }

  fs::path dir_;
  std::vector<std::string> faults_;
};

TEST_F(PairForms, AlpacaEval) {
  const auto row = [](const std::string& a, const std::string& b, const std::string& preference) {
    return R"({"instruction": "q", "output_1": ")" + a + R"(", "output_2": ")" + b +
           R"(", "generator_1": "m1", "generator_2": "m2", "annotator": "x", "preference": )" +
           preference + "}\n";
  };
  const auto pairs =
      read("alpaca-eval", row("good", "bad", "1.0") + row("bad", "good", "2") +
                              row("x", "y", "1.5") + row("bad", "good", "1.93") +
                              row("x", "y", "0") + row("x", "y", "null") + row("x", "y", "3"));
  EXPECT_EQ(labels(pairs), "A B tie B tie");
  EXPECT_EQ(faults_, (std::vector<std::string>{"no label", "bad label"}));
  EXPECT_EQ(meta(pairs[0], "model_a"), "m1");
  EXPECT_EQ(meta(swapped(pairs[0]), "model_a"), "m2");
  EXPECT_EQ(meta(swapped(pairs[0]), "annotator"), "x");
}

TEST_F(PairForms, ArenaConversations) {
  const auto row = [](const std::string& a, const std::string& b, const std::string& winner,
                      const std::string& turn) {
    const auto chat = [&](const std::string& answer) {
      return R"([{"role": "user", "content": "q"}, {"role": "assistant", "content": ")" + answer +
             R"("}, {"role": "user", "content": "more"}, {"role": "assistant", "content": ")" +
             answer + R"( again"}])";
    };
    return R"({"question_id": 81, "model_a": "m1", "model_b": "m2", "winner": ")" + winner +
           R"(", "judge": "expert_1", "conversation_a": )" + chat(a) + R"(, "conversation_b": )" +
           chat(b) + ", \"turn\": " + turn + "}\n";
  };
  const auto pairs =
      read("arena-conversations",
           row("good", "bad", "model_a", "1") + row("bad", "good", "model_b", "2") +
               row("x", "y", "tie", "1") + row("x", "y", "tie (bothbad)", "1") +
               row("x", "y", "both_bad", "1") + row("x", "y", "tie (inconsistent)", "1"));
  EXPECT_EQ(labels(pairs), "A B tie tie tie tie");
  // The first turn alone was judged.
  EXPECT_EQ(pairs[0].question, "q");
  EXPECT_EQ(pairs[0].answer_a, "good");
  EXPECT_EQ(pairs[1].answer_b, "Assistant: good\n\nUser: more\n\nAssistant: good again");
  EXPECT_EQ(meta(pairs[0], "annotator"), "expert_1");
  EXPECT_EQ(meta(pairs[1], "turn"), "2");
  // 140k: content in parts; an image is no text.
  const std::string user = R"([{"role": "user", "content": [{"type": "text", "text": "q"}]}, )";
  const auto parts = [&](const std::string& answer, const std::string& type) {
    return user + R"({"role": "assistant", "content": [{"type": ")" + type + R"(", "text": ")" +
           answer + R"("}]}])";
  };
  const std::string begin = R"({"id": "7", "winner": "model_b", "conversation_a": )";
  // What else the 140k rows hold; names have dots of their own.
  const auto more =
      read("arena-conversations",
           begin + parts("bad", "text") + ", \"conversation_b\": " + parts("good", "text") +
               R"(, "evaluation_order": 3, "is_code": true, "language": "pl", )"
               R"("category_tag": {"math_v0.1": {"math": false}, "if_v0.1": {"if": )"
               R"(true, "score": 4}, "creative_writing_v0.1": {"creative_writing": )"
               R"(false, "score": "no"}}})");
  ASSERT_EQ(more.size(), 1u);
  for (const auto& [name, value] : {std::pair("order", "3"),
                                    {"is_code", "true"},
                                    {"language", "pl"},
                                    {"math", "false"},
                                    {"instruction_following", "true"},
                                    {"creative_writing", "false"}})
    EXPECT_EQ(meta(more[0], name), value) << name;
  EXPECT_EQ(labels(read("arena-conversations",
                        begin + parts("bad", "text") + ", \"conversation_b\": " +
                            parts("good", "text") + "}\n" + begin + parts("bad", "image") +
                            ", \"conversation_b\": " + parts("good", "text") + "}\n")),
            "B");
  EXPECT_EQ(faults_, std::vector<std::string>{"not text alone"});
}

TEST_F(PairForms, ArenaColumns) {
  const auto row = [](const std::string& wins) {
    return R"({"id": 3, "model_a": "m1", "model_b": "m2", "prompt": "[\"q\",\"more\"]", )"
           R"("response_a": "[\"good\",\"fine\"]", "response_b": "[\"bad\",null]", )" +
           wins + "}\n";
  };
  const auto pairs =
      read("arena-columns",
           row(R"("winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0)") +
               row(R"("winner_model_a": 0, "winner_model_b": 0, "winner_tie": 1)") +
               row(R"("winner_model_a": "0", "winner_model_b": "1", "winner_tie": "0")") +
               row(R"("winner_model_a": 1, "winner_model_b": 1, "winner_tie": 0)") +
               row(R"("winner_model_a": 0, "winner_model_b": 0, "winner_tie": 0)"));
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[0].label, Verdict::a);
  EXPECT_EQ(pairs[1].label, Verdict::tie);
  EXPECT_EQ(pairs[2].label, Verdict::b);
  EXPECT_EQ(pairs[0].question, "q");
  EXPECT_EQ(pairs[0].answer_a, "Assistant: good\n\nUser: more\n\nAssistant: fine");
  EXPECT_EQ(faults_, (std::vector<std::string>{"bad label", "no label"}));
}

TEST_F(PairForms, ArenaResponses) {
  const std::string begin = R"({"id": "x", "prompt": "q", "model_a": "m1", "language": "en", )";
  const auto pairs = read(
      "arena-responses",
      begin + R"("response_a": "good", "response_b": "bad", "winner": "model_a"})" + "\n" + begin +
          R"("response_a": "bad", "response_b": "good", "winner": "model_b"})" + "\n" + begin +
          R"x("response_a": "[\"x\"]", "response_b": "[\"y\"]", "winner": "both_bad"})x");
  EXPECT_EQ(labels(pairs), "A B tie");
  EXPECT_EQ(pairs[2].answer_a, "x");
  EXPECT_EQ(meta(pairs[0], "language"), "en");
}

TEST_F(PairForms, AnthropicHh) {
  const std::string begin = R"(\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant: )";
  const std::string row =
      R"({"chosen": ")" + begin + R"(good", "rejected": ")" + begin + "bad\"}\n";
  const auto pairs = read("hh-rlhf", row);
  ASSERT_EQ(pairs.size(), 1u);
  labels(pairs);
  EXPECT_EQ(pairs[0].question, "User: q\n\nAssistant: a\n\nUser: r");
  // The order is drawn: both come, the same for the same seed.
  std::string many, other;
  for (int i = 0; i < 40; ++i)
    many += R"({"chosen": "\n\nHuman: q)" + std::to_string(i) +
            R"(\n\nAssistant: good", "rejected": "\n\nHuman: q)" + std::to_string(i) +
            R"(\n\nAssistant: bad"})" + "\n";
  const std::string drawn = labels(read("hh-rlhf", many));
  EXPECT_NE(drawn.find('A'), std::string::npos);
  EXPECT_NE(drawn.find('B'), std::string::npos);
  EXPECT_EQ(drawn, labels(read("hh-rlhf", many)));
  EXPECT_NE(drawn, labels(read("hh-rlhf", many, {.seed = 1})));
}

TEST_F(PairForms, BetterAndWorse) {
  const std::string user = R"([{"role": "user", "content": "q"}, )";
  const auto chat = [](const std::string& text) {
    return R"({"role": "assistant", "content": ")" + text + R"("}])";
  };
  const std::string whole =
      R"("chosen": )" + user + chat("good") + R"(, "rejected": )" + user + chat("bad");
  // UltraFeedback binarized, Skywork, Orca DPO, TRL's explicit prompt.
  const auto pairs =
      read("preference",
           R"({"prompt": "q", )" + whole + R"(, "score_chosen": 8.5, "score_rejected": 3})" + "\n" +
               "{" + whole + R"(, "source": "s"})" + "\n" +
               R"({"system": "Be kind.", "question": "q", "chosen": "good", "rejected": "bad"})" +
               "\n" + R"({"prompt": [{"role": "user", "content": "q"}], "chosen": [)" +
               chat("good") + R"(, "rejected": [)" + chat("bad") + "}\n" + R"({"prompt": "q", )" +
               whole + R"(, "score_chosen": 4, "score_rejected": 4})" + "\n" +
               R"({"chosen": "good", "rejected": "bad"})" + "\n");
  ASSERT_EQ(pairs.size(), 5u);
  labels(pairs);
  EXPECT_EQ(pairs[0].question, "q");
  EXPECT_EQ(meta(pairs[0], pairs[0].label == Verdict::a ? "score_a" : "score_b"), "8.5");
  EXPECT_EQ(pairs[1].question, "q");
  EXPECT_EQ(pairs[1].category, "s");
  EXPECT_EQ(pairs[2].question, "System: Be kind.\n\nUser: q");
  EXPECT_EQ(pairs[3].question, "q");
  EXPECT_EQ(pairs[4].label, Verdict::tie);
  EXPECT_EQ(faults_, std::vector<std::string>{"empty question"});
}

TEST_F(PairForms, HelpSteer) {
  const auto row = [](const std::string& a, const std::string& b, int strength) {
    return R"({"prompt": "q\n<extra_id_1>Assistant\na\n<extra_id_1>User\nr", "response_1": ")" + a +
           R"(", "response_2": ")" + b + R"(", "preference_strength": )" +
           std::to_string(strength) +
           R"(, "preference_statement": "Response 1 is right.", "preference_elaboration": ""})" +
           "\n";
  };
  const auto pairs = read("helpsteer2", row("good", "bad", -3) + row("bad", "good", 1) +
                                            row("x", "y", 0) + row("x", "y", 4));
  EXPECT_EQ(labels(pairs), "A B tie");
  EXPECT_EQ(meta(pairs[0], "strength"), "3");
  EXPECT_EQ(pairs[0].question, "User: q\n\nAssistant: a\n\nUser: r");
  EXPECT_EQ(faults_, std::vector<std::string>{"bad label"});
  EXPECT_EQ(labels(read("helpsteer3",
                        R"({"domain": "code", "language": "c++", "context": [{"role": "user", )"
                        R"("content": "q"}], "response1": "bad", "response2": "good", )"
                        R"("overall_preference": 2, "individual_preference": []})")),
            "B");
}

TEST_F(PairForms, SetsWithNumberedLabels) {
  const auto shp = [](const std::string& a, const std::string& b, int label) {
    return R"({"post_id": "p", "domain": "d", "history": "q", "human_ref_A": ")" + a +
           R"(", "human_ref_B": ")" + b + R"(", "labels": )" + std::to_string(label) + "}\n";
  };
  EXPECT_EQ(labels(read("shp", shp("good", "bad", 1) + shp("bad", "good", 0))), "A B");
  const std::string webgpt =
      R"({"question": {"dataset": "eli5", "id": "i", "full_text": "q"}, "answer_0": )";
  const auto pairs =
      read("webgpt", webgpt +
                         R"("bad", "score_0": -0.5, "answer_1": "good", )"
                         R"("score_1": 0.5})" +
                         "\n" + webgpt + R"("x", "score_0": 0, "answer_1": "y", "score_1": 0})");
  EXPECT_EQ(labels(pairs), "B tie");
  EXPECT_EQ(pairs[0].question, "q");
  EXPECT_EQ(pairs[0].category, "eli5");
  const std::string summaries =
      R"({"info": {"id": "i", "post": "q", "subreddit": "r"}, "worker": "w", "summaries": )";
  EXPECT_EQ(labels(read("summaries", summaries +
                                         R"([{"text": "bad", "policy": "p0"}, {"text": )"
                                         R"("good", "policy": "p1"}], "choice": 1})" +
                                         "\n" + summaries +
                                         R"([{"text": "good"}, {"text": "bad"}], "choice": 0})")),
            "B A");
  const auto auto_j = [](const std::string& a, const std::string& b, int label) {
    return R"({"scenario": "s", "prompt": "q", "response 1": ")" + a + R"(", "response 2": ")" + b +
           R"(", "label": )" + std::to_string(label) + "}\n";
  };
  EXPECT_EQ(labels(read("auto-j",
                        auto_j("good", "bad", 0) + auto_j("bad", "good", 1) + auto_j("x", "y", 2))),
            "A B tie");
  const std::string llmbar = R"({"input": "q", "output_1": )";
  EXPECT_EQ(labels(read("llmbar", llmbar + R"("good", "output_2": "bad", "label": 1})" + "\n" +
                                      llmbar + R"("bad", "output_2": "good", "label": 2})")),
            "A B");
}

TEST_F(PairForms, PkuSafeRlhfIsAskedForItsLabel) {
  const std::string row =
      R"({"prompt": "q", "response_0": "good", "response_1": "bad", "is_response_0_safe": true, )"
      R"("is_response_1_safe": false, "response_0_severity_level": 0, "response_1_severity_level": )"
      R"(2, "prompt_source": "s", "better_response_id": 1, "safer_response_id": 0})";
  try {
    read("pku-saferlhf", row);
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find("--field label=better_response_id or --field "
                                         "label=safer_response_id"),
              std::string::npos)
        << e.what();
  }
  const auto pairs = read("pku-saferlhf", row, {.field_mappings = {"label=safer_response_id"}});
  EXPECT_EQ(labels(pairs), "A");
  EXPECT_EQ(meta(pairs[0], "safe_b"), "false");
  EXPECT_EQ(meta(pairs[0], "severity_b"), "2");
  EXPECT_EQ(read("pku-saferlhf", row, {.field_mappings = {"label=better_response_id"}})[0].label,
            Verdict::b);
}

TEST_F(PairForms, RankedAnswers) {
  const std::string nectar =
      R"({"prompt": "\n\nHuman: q\n\nAssistant: ", "source": "s", "answers": [{"answer": "bad 3", )"
      R"("model": "m3", "rank": 3.0}, {"answer": "good 1", "model": "m1", "rank": 1.0}, )"
      R"({"answer": "bad 2", "model": "m2", "rank": 2.0}, {"answer": "bad 2b", "rank": 2.0}]})";
  const auto all = read("nectar", nectar);
  ASSERT_EQ(all.size(), 6u);
  int ties = 0, best = 0;
  for (const JudgePair& pair : all) {
    EXPECT_EQ(pair.question, "q");
    ties += pair.label == Verdict::tie ? 1 : 0;
    const bool a = pair.label == Verdict::a;
    best += (a ? pair.answer_a : pair.answer_b) == "good 1" ? 1 : 0;
    const auto rank = [](const std::string& text) { return text.at(text.find(' ') + 1); };
    const int apart = rank(pair.answer_a) - rank(pair.answer_b);
    EXPECT_EQ(pair.label, apart < 0 ? Verdict::a : apart > 0 ? Verdict::b : Verdict::tie);
  }
  EXPECT_EQ(ties, 1);
  EXPECT_EQ(best, 3);
  EXPECT_EQ(read("nectar", nectar, {.neighbours_only = true}).size(), 3u);
  const auto scored =
      read("ultrafeedback",
           R"({"source": "s", "instruction": "q", "completions": [{"model": "m1", "response": )"
           R"("bad", "overall_score": 4}, {"model": "m2", "response": "good", "overall_score": )"
           R"(8.5}]})");
  ASSERT_EQ(scored.size(), 1u);
  labels(scored);
  EXPECT_EQ(meta(scored[0], scored[0].label == Verdict::a ? "model_a" : "model_b"), "m2");
  EXPECT_EQ(meta(scored[0], scored[0].label == Verdict::a ? "score_a" : "score_b"), "8.5");
  // Ratings by criterion are texts, and an answer may have none.
  const auto rated = [](const std::string& response, const std::string& honesty) {
    return R"({"model": "m", "response": ")" + response +
           R"(", "overall_score": 1, "annotations": {"honesty": {"Rating": ")" + honesty +
           R"(", "Rationale": "r"}}})";
  };
  const std::string row = R"({"instruction": "q", "completions": [)" + rated("bad", "2") + ", " +
                          rated("x", "N/A") + ", " + rated("good", "4") + "]}";
  const RawOptions honesty{.field_mappings = {"score=annotations.honesty.Rating"}};
  const auto by_honesty = read("ultrafeedback", row, honesty);
  ASSERT_EQ(by_honesty.size(), 1u);
  labels(by_honesty);
  EXPECT_TRUE(read("ultrafeedback",
                   R"({"instruction": "q", "completions": [)" + rated("x", "N/A") + ", " +
                       rated("y", "4") + "]}",
                   honesty)
                  .empty());
  EXPECT_EQ(faults_, std::vector<std::string>{"no label"});
}

TEST_F(PairForms, Benchmarks) {
  const std::string begin = R"({"id": 5, "prompt": "q", "subset": "c", )";
  const auto one = read("rewardbench", begin + R"("chosen": "good", "chosen_model": "m1", )"
                                               R"("rejected": "bad", "rejected_model": "m2"})");
  ASSERT_EQ(one.size(), 1u);
  labels(one);
  EXPECT_EQ(one[0].category, "c");
  const auto three = read("rewardbench2", begin + R"("chosen": ["good"], "num_correct": 1, )"
                                                  R"("rejected": ["bad", "bad!", "bad?"]})");
  ASSERT_EQ(three.size(), 3u);
  labels(three);
  const auto nine = read("rm-bench", R"({"id": 5, "prompt": "q", "domain": "d", "chosen": )"
                                     R"(["good 1", "good 2", "good 3"], "rejected": )"
                                     R"(["bad 1", "bad 2", "bad 3"]})");
  ASSERT_EQ(nine.size(), 9u);
  labels(nine);
  EXPECT_EQ(nine[1].id, "5/0-1");
  EXPECT_EQ(nine[1].category, "d");
  const std::string judgebench =
      R"({"pair_id": "p", "source": "mmlu-pro", "response_model": "m", "question": "q", )";
  EXPECT_EQ(
      labels(read("judgebench",
                  judgebench + R"("response_A": "good", "response_B": "bad", "label": "A>B"})" +
                      "\n" + judgebench +
                      R"("response_A": "bad", "response_B": "good", "label": "B>A"})")),
      "A B");
  const auto rubric =
      read("prometheus-preference",
           R"({"orig_instruction": "q", "orig_response_A": "bad", "orig_response_B": "good", )"
           R"("orig_criteria": "Is it right?", "orig_reference_answer": "r", "orig_feedback": )"
           R"("Response B is right.", "orig_preference": "B", "orig_score_A": "2"})");
  EXPECT_EQ(labels(rubric), "B");
  EXPECT_EQ(rubric[0].question, "q\n\nCriterion: Is it right?");
  EXPECT_EQ(rubric[0].reference, "r");
}

TEST_F(PairForms, PlainPairsWithTheWinnersName) {
  const std::string begin = R"({"question": "q", "model_a": "gpt", "model_b": "llama", )";
  const std::string rows =
      begin + R"("answer_a": "good", "answer_b": "bad", "winner": "gpt"})" + "\n" + begin +
      R"("answer_a": "bad", "answer_b": "good", "winner": "llama"})" + "\n" + begin +
      R"("answer_a": "x", "answer_b": "y", "winner": "tie"})" + "\n" + begin +
      R"("answer_a": "x", "answer_b": "y", "winner": "other"})" + "\n" + begin +
      R"("answer_a": "x", "answer_b": "y", "winner": 1})" + "\n";
  EXPECT_EQ(labels(read("pairs", rows)), "A B tie");
  EXPECT_EQ(faults_, (std::vector<std::string>{"bad label", "bad label"}));
  EXPECT_EQ(labels(read("pairs", rows, {.label_meanings = {"other=tie", "1=tie"}})),
            "A B tie tie tie");
}

TEST_F(PairForms, TwoAnswersArePairsWhateverElseIsThere) {
  read("pairs", R"({"question": "q", "answer": "gold", "answer_a": "good", "answer_b": "bad", )"
                R"("label": "A"})");
  read("preference", R"({"prompt": "q", "response": "r", "chosen": "good", "rejected": "bad"})");
}

TEST_F(PairForms, AnswersThatAreJsonStayText) {
  const auto pairs = read("pairs", R"({"question": "q", "answer_a": "[\"x\", \"y\"]", )"
                                   R"("answer_b": "[1]", "label": "A"})");
  EXPECT_EQ(pairs[0].answer_a, "[\"x\", \"y\"]");
}

TEST_F(PairForms, HostileRecordsAreFaults) {
  for (const char* row :
       {R"({"prompt": "q", "answers": [{"rank": 1}, {"answer": 5}]})",
        R"({"prompt": "q", "chosen": ["x"], "rejected": [], "subset": "s"})",
        R"({"chosen": [{"role": 5, "content": "x"}], "rejected": [{}]})",
        R"({"chosen": [], "rejected": []})", R"({"prompt": "q", "chosen": [[]], "rejected": 5})",
        R"({"conversation_a": "[", "conversation_b": {}, "winner": "a"})",
        R"({"prompt": "q", "chosen": [{"role": "tool", "content": ""}], "rejected": "x"})"}) {
    write_file_atomic(dir_ / "rows.jsonl", std::string(row));
    PairReader reader(dir_ / "rows.jsonl", {});
    for (const RawRow& r : reader.next(10)) EXPECT_FALSE(r.pair) << row;
  }
}

}  // namespace
}  // namespace gavel
