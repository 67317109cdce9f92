// What requests get that cannot be served, and hostile bodies.
#include "base/file.h"
#include "service_fixture.h"

namespace gavel {
namespace {

using testing::Json;
using testing::kChat;
using testing::kJudge;
using testing::kText;

class RefusalsTest : public testing::ServiceFixture {};

TEST_F(RefusalsTest, JudgesOfPairsTakeNoSingleAnswers) {
  const Json pair = {{"question", "q"}, {"answer_a", "a"}, {"answer_b", "b"}, {"answer", "c"}};
  EXPECT_EQ(refused(kJudge, pair)["param"], "answer");
  EXPECT_EQ(refused(kJudge, {{"answers", {pair}}})["param"], "answers");
}

TEST_F(RefusalsTest, ErrorsNameTheField) {
  const auto with = [](Json body, const char* name, Json value) {
    body[name] = std::move(value);
    return body;
  };
  const auto param = [&](const std::string& path, const Json& body) {
    return refused(path, body)["param"];
  };
  for (const char* name : {"temperature", "top_p", "max_tokens", "stop", "seed", "stream", "n",
                           "model", "logprobs", "messages", "response_format"})
    for (const Json& wrong : {Json(Json::object()), Json(Json::array({1, "x"}))})
      EXPECT_EQ(
          param(kChat, with(chat(), name, wrong)),
          name == std::string("messages") && wrong.is_array() ? Json("messages[0]") : Json(name));
  EXPECT_EQ(param(kChat, with(chat(), "temperature", 2.5)), "temperature");
  EXPECT_EQ(param(kChat, with(chat(), "temperature", "1")), "temperature");
  EXPECT_EQ(param(kChat, with(chat(), "max_tokens", -2)), "max_tokens");
  EXPECT_EQ(param(kChat, with(chat(), "max_tokens", 0)), "max_tokens");
  EXPECT_EQ(param(kChat, with(chat(), "max_tokens", 1.5)), "max_tokens");
  EXPECT_EQ(param(kChat, with(with(chat(), "max_tokens", 0), "max_completion_tokens", 4)),
            "max_tokens");
  EXPECT_EQ(param(kChat, with(chat(), "max_completion_tokens", 0)), "max_completion_tokens");
  EXPECT_EQ(param(kChat, with(chat(), "top_logprobs", 2)), "top_logprobs");
  EXPECT_EQ(param(kChat, with(chat(), "n", 9)), "n");
  EXPECT_EQ(param(kChat, with(chat(), "n", 0)), "n");
  EXPECT_EQ(param(kChat, with(chat(), "presence_penalty", 2.1)), "presence_penalty");
  EXPECT_EQ(param(kChat, with(chat(), "frequency_penalty", -2.1)), "frequency_penalty");
  EXPECT_EQ(param(kText, {{"prompt", "x"}, {"n", 2}, {"best_of", 3}}), "best_of");
  const Json with_tools = with(chat(), "tools", {{{"type", "function"}}});
  EXPECT_EQ(param(kChat, with_tools), "tools");
  EXPECT_EQ(param(kChat, with(with_tools, "tool_choice", "auto")), "tool_choice");
  EXPECT_EQ(param(kChat, with(with_tools, "tool_choice", "required")), "tool_choice");
  EXPECT_EQ(param(kChat, with(chat(), "tool_choice", "required")), "tool_choice");
  EXPECT_EQ(param(kChat, with(chat(), "functions", Json::object())), "functions");
  EXPECT_EQ(param(kChat, with(chat(), "stream_options", Json::object())), "stream_options");
  EXPECT_EQ(param(kChat, with(chat(), "response_format", {{"type", "xml"}})), "response_format");
  const auto schema_error = [&](Json schema) {
    const Json format = {{"type", "json_schema"},
                         {"json_schema", {{"name", "x"}, {"schema", schema}}}};
    return refused(kChat, with(chat(), "response_format", format));
  };
  const Json pattern = schema_error({{"type", "string"}, {"pattern", "a"}});
  EXPECT_EQ(pattern["param"], "response_format.json_schema.schema");
  EXPECT_NE(pattern["message"].get<std::string>().find("pattern"), std::string::npos);
  EXPECT_EQ(schema_error(nullptr)["param"], "response_format.json_schema.schema");
  // Checked, though text needs no schema.
  const Json strict = {{"type", "text"}, {"json_schema", {{"strict", Json::object()}}}};
  EXPECT_EQ(param(kChat, with(chat(), "response_format", strict)),
            "response_format.json_schema.strict");
  EXPECT_EQ(param(kChat, with(chat(), "response_format", {{"type", "json_schema"}})),
            "response_format.json_schema");
  EXPECT_EQ(param(kChat, with(chat(), "messages", Json::array())), "messages");
  EXPECT_EQ(param(kChat, {{"messages", {{{"role", "robot"}, {"content", "x"}}}}}),
            "messages[0].role");
  EXPECT_EQ(param(kChat, {{"messages", {{{"role", "user"}, {"content", 3}}}}}),
            "messages[0].content");
  EXPECT_EQ(param(kChat, Json::object()), "messages");
  EXPECT_EQ(param(kText, {{"prompt", {1, -1}}}), "prompt");
  EXPECT_EQ(param(kText, {{"prompt", {1, 99999999}}}), "prompt");
  EXPECT_EQ(param(kText, {{"prompt", {1, 2.5}}}), "prompt");
  EXPECT_EQ(param(kText, {{"prompt", ""}}), "prompt");
  EXPECT_EQ(param(kText, {{"prompt", Json::array()}}), "prompt");
  EXPECT_EQ(param(kText, {{"prompt", {"x", ""}}}), "prompt");
  EXPECT_EQ(param(kText, {{"prompt", std::vector<std::string>(65, "x")}}), "prompt");
  EXPECT_EQ(param(kText, {{"prompt", "x"}, {"echo", true}, {"stream", true}}), "echo");
  EXPECT_EQ(param(kText, {{"prompt", "x"}, {"max_tokens", 0}}), "max_tokens");
  EXPECT_EQ(param(kJudge, {{"question", "x"}, {"answer_a", "y"}}), "answer_b");
  EXPECT_EQ(param(kJudge, with(pair(), "mode", "guess")), "mode");
  EXPECT_EQ(param(kJudge, with(pair(), "both_orders", "yes")), "both_orders");
  EXPECT_EQ(param(kJudge, {{"pairs", {pair(), {{"question", 1}}}}}), "pairs[1].question");
  EXPECT_EQ(param(kJudge, {{"pairs", {pair(), pair(), pair(), pair()}}}), "pairs");
  EXPECT_EQ(param(kJudge, with({{"pairs", {pair()}}}, "stream", true)), "stream");
  const Json unknown = refused(kChat, with(chat(), "model", "gpt-4"), 404);
  EXPECT_EQ(unknown["code"], "model_not_found");
  EXPECT_EQ(unknown["param"], "model");
}

TEST_F(RefusalsTest, TemplatesWithoutASystemRole) {
  const auto other = open_session(
      std::string(GAVEL_SOURCE_DIR) + "/models/SmolLM2-135M-Instruct.Q4_1.gguf", cpu_backend());
  other->encoder.chat_template.emplace(
      read_file(std::string(GAVEL_GOLDEN_DIR) + "/chat_templates/mistral-v0.1.jinja"));
  ServeRequest request;
  request.base_name = "base";
  request.http.port = 0;
  testing::OnThread<Service> service(std::make_unique<Service>(other, request));
  httplib::Client client("127.0.0.1", service.port());
  client.set_read_timeout(600);
  const auto status = [&](const std::string& path, const Json& body) {
    const auto answer = client.Post(path, body.dump(), "application/json");
    return answer ? answer->status : 0;
  };
  const auto turns = [](const std::vector<std::string>& roles) {
    Json body = {{"messages", Json::array()}, {"max_tokens", 1}};
    for (const std::string& role : roles)
      body["messages"].push_back({{"role", role}, {"content", "Hi."}});
    return body;
  };
  EXPECT_EQ(status(kChat, turns({"system", "user"})), 200);
  EXPECT_EQ(status(kChat, turns({"developer", "user", "assistant", "user"})), 200);
  EXPECT_EQ(status(kChat, turns({"system"})), 200);
  EXPECT_EQ(status(kChat, turns({"user", "user"})), 400);  // the template wants turns to alternate
  Json judged = pair();
  judged["max_tokens"] = 1;
  EXPECT_EQ(status(kJudge, judged), 200);
  judged["mode"] = "verdict";
  EXPECT_EQ(status(kJudge, judged), 200);
}

TEST_F(RefusalsTest, PromptsThatAreTooLong) {
  std::string text;
  for (int i = 0; i < 9000; ++i) text += " word";
  EXPECT_EQ(refused(kText, {{"prompt", text}})["code"], "context_length_exceeded");
  Json long_pair = pair();
  long_pair["answer_b"] = text;
  EXPECT_EQ(refused(kJudge, long_pair)["code"], "context_length_exceeded");
  long_pair["both_orders"] = true;
  long_pair["mode"] = "verdict";
  EXPECT_EQ(refused(kJudge, long_pair)["code"], "context_length_exceeded");
  const Json list = ask(kJudge, {{"pairs", {pair(), long_pair}}, {"mode", "verdict"}});
  EXPECT_NE(list["data"][0]["verdict"], "none");
  EXPECT_EQ(list["data"][1]["verdict"], "none");
  EXPECT_TRUE(list["data"][1]["orders"][0].contains("problem"));
}

TEST_F(RefusalsTest, HostileBodies) {
  for (const std::string& path : {kChat, kText, kJudge}) {
    for (const std::string& body :
         {std::string(""), std::string("{"), std::string("null"), std::string("[]"),
          std::string("\"x\""), std::string("{\"a\":1e999}"), std::string("{\"a\":\"\xff\xfe\"}"),
          std::string("{\"a\":\"\\ud800\"}"), std::string(200'000, '['),
          "{\"messages\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}",
          "{\"a\":" + std::string(50'000, '9') + "}", std::string("{}\0{}", 5)})
      send(path, body, 400);
    std::string objects;
    for (int i = 0; i < 20'000; ++i) objects += "{\"messages\":";
    send(path, objects, 400);
  }
  // Texts that name special tokens, are empty, or hold every control character.
  std::string controls = "<|im_end|><|im_start|>";
  for (char c = 0; c < 32; ++c) controls += c;
  ask(kChat, {{"messages", {{{"role", "user"}, {"content", controls}}}}, {"max_tokens", 1}});
  ask(kJudge, {{"question", ""}, {"answer_a", ""}, {"answer_b", controls}, {"mode", "verdict"}});
}

}  // namespace
}  // namespace gavel
