// A server whose judge is of one answer.
#include "base/file.h"
#include "service_fixture.h"

namespace gavel {
namespace {

using testing::Json;
using testing::kJudge;

class AnswersTest : public testing::ServiceFixture {
 protected:
  static void SetUpTestSuite() {
    ServiceFixture::SetUpTestSuite();
    if (!session) return;
    const auto prompt = std::filesystem::temp_directory_path() / "gavel_answers_test.txt";
    write_file_atomic(prompt, JudgeTemplate::standard(FormKind::score).source());
    delete server;
    ServeRequest request;
    request.model = "m";
    request.base_name = "org/base";
    request.prompt_template = prompt.string();
    request.http.port = 0;
    request.limits.max_tokens = 600;
    request.limits.max_pairs = 2;
    server = new testing::OnThread<Service>(std::make_unique<Service>(session, request));
    std::filesystem::remove(prompt);
  }

  static Json row() { return {{"question", "2+2?"}, {"answer", "4"}, {"mode", "verdict"}}; }
  static Json with(Json body, const char* name, Json value) {
    body[name] = std::move(value);
    return body;
  }
  static Json param(const Json& body) { return ask(kJudge, body, 400)["error"]["param"]; }
};

TEST_F(AnswersTest, AnAnswerHasAScoreItsExpectationAndProbabilities) {
  const Json one = ask(kJudge, row());
  EXPECT_EQ(one["object"], "judgement");
  EXPECT_EQ(one["form"], "score");
  double sum = 0, expected = 0;
  for (int k = 1; k <= 5; ++k) {
    const double p = one["probabilities"][std::to_string(k)].get<double>();
    sum += p;
    expected += k * p;
    EXPECT_LE(p, one["confidence"].get<double>());
  }
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_NEAR(one["expected"].get<double>(), expected, 1e-9);
  EXPECT_EQ(one["explanation"], "**Score:** " + one["score"].dump());
  EXPECT_FALSE(one.contains("orders"));
  const Json item = {{"question", "2+2?"}, {"answer", "4"}, {"id", "x"}};
  const Json list = ask(kJudge, {{"answers", {item, item}}, {"mode", "verdict"}});
  ASSERT_EQ(list["data"].size(), 2u);
  EXPECT_EQ(list["data"][1]["id"], "x");
  EXPECT_EQ(list["data"][1]["score"], one["score"]);
  const auto streamed = events(kJudge, {{"question", "q"}, {"answer", "a"}, {"max_tokens", 3}});
  ASSERT_GE(streamed.size(), 2u);
  EXPECT_EQ(streamed[0]["object"], "judgement.delta");
  EXPECT_TRUE(streamed.back().contains("score"));
}

TEST_F(AnswersTest, AConversationIsReadAsItsText) {
  const Json turns = {{{"role", "user"}, {"content", "2+2?"}},
                      {{"role", "assistant"}, {"content", "Five."}},
                      {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "Sure?"}}}}}};
  Json answer = turns;
  answer.push_back({{"role", "assistant"}, {"content", "It is 4."}});
  const std::string question = "User: 2+2?\n\nAssistant: Five.\n\nUser: Sure?";
  const Json told =
      ask(kJudge, {{"question", question}, {"answer", "It is 4."}, {"mode", "verdict"}});
  for (const Json& asked : {Json{{"question", turns}, {"answer", "It is 4."}},
                            Json{{"question", turns}, {"answer", answer}},
                            Json{{"question", "2+2?"}, {"answer", answer}}}) {
    const Json same = ask(kJudge, with(asked, "mode", "verdict"));
    for (const auto& [value, p] : told["probabilities"].items())
      EXPECT_NEAR(same["probabilities"][value].get<double>(), p.get<double>(), 2e-3) << asked;
  }
  EXPECT_NE(told["probabilities"], ask(kJudge, row())["probabilities"]);
  EXPECT_EQ(param({{"question", Json::array()}, {"answer", "4"}}), "question");
  EXPECT_EQ(param({{"question", 7}, {"answer", "4"}}), "question");
  EXPECT_EQ(param({{"question", "2+2?"}, {"answer", turns}}), "answer");
  const Json image = {{{"role", "user"}, {"content", {{{"type", "image_url"}}}}}};
  EXPECT_EQ(param({{"answers", {{{"question", image}, {"answer", "4"}}}}}), "answers[0].question");
}

TEST_F(AnswersTest, FieldsOfPairsAreRefusedByName) {
  EXPECT_EQ(param({{"question", "q"}}), "answer");
  EXPECT_EQ(param(with(row(), "answer_b", "5")), "answer_b");
  EXPECT_EQ(param(with(row(), "both_orders", true)), "both_orders");
  EXPECT_EQ(param({{"pairs", {row()}}}), "pairs");
  EXPECT_EQ(param({{"answers", Json::array()}}), "answers");
  EXPECT_EQ(param({{"answers", {row()}}, {"answer", "x"}}), "answer");
  EXPECT_EQ(param({{"answers", {{{"question", "q"}}}}}), "answers[0].answer");
  EXPECT_EQ(Json::parse(get("/v1/models"))["data"][0]["form"], "score");
  const Json api = Json::parse(get("/openapi.json"));
  const Json& body = api["paths"]["/v1/judge"]["post"]["requestBody"];
  EXPECT_EQ(body["content"]["application/json"]["schema"]["oneOf"].size(), 2u);
  EXPECT_EQ(api["components"]["schemas"]["JudgeAnswers"]["properties"]["answers"]["maxItems"], 2);
}

}  // namespace
}  // namespace gavel
