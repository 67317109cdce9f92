// The API on the embedded model: OpenAI's shapes, judging, and what hostile bodies get.
#include "serve/service.h"

#include <httplib.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "serve_support.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;
using testing::post;
using testing::RawClient;
using testing::status_of;

const std::string kChat = "/v1/chat/completions", kText = "/v1/completions", kJudge = "/v1/judge";

class ServiceTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::string path =
        std::string(GAVEL_SOURCE_DIR) + "/models/SmolLM2-135M-Instruct.Q4_1.gguf";
    if (!std::filesystem::exists(path)) return;
    session = open_session(path, cpu_backend());
    ServeRequest request;
    request.model = path;
    request.base_name = "org/base";
    request.http.port = 0;
    request.limits.max_tokens = 600;
    // Kept prompts change the order of reading, which rounded activations would show.
    request.limits.max_pairs = 3;
    server = new testing::OnThread<Service>(std::make_unique<Service>(session, request));
  }
  static void TearDownTestSuite() {
    delete server;
    server = nullptr;
    session.reset();
  }
  void SetUp() override {
    ASSERT_NE(server, nullptr) << "the embedded model is missing: ./run setup brings it";
  }

  static std::string send(const std::string& path, const std::string& body, int status = 200) {
    httplib::Client client("127.0.0.1", server->port());
    client.set_read_timeout(600);
    const auto answer = client.Post(path, body, "application/json");
    EXPECT_TRUE(answer) << path;
    if (!answer) return "{}";
    EXPECT_EQ(answer->status, status) << answer->body;
    return answer->body;
  }
  static Json ask(const std::string& path, const Json& body, int status = 200) {
    return Json::parse(send(path, body.dump(), status));
  }
  // The events of a stream, the last of which must be [DONE].
  static std::vector<Json> events(const std::string& path, Json body) {
    body["stream"] = true;
    std::vector<Json> events;
    std::string text = send(path, body.dump());
    EXPECT_TRUE(text.ends_with("data: [DONE]\n\n")) << text;
    for (size_t end; (end = text.find("\n\n")) != std::string::npos; text.erase(0, end + 2)) {
      EXPECT_TRUE(text.starts_with("data: ") || text.starts_with(": ")) << text;
      const std::string data = text.substr(6, end - 6);
      if (text.starts_with("data: ") && data != "[DONE]") events.push_back(Json::parse(data));
    }
    return events;
  }
  static std::string get(const std::string& path) {
    httplib::Client client("127.0.0.1", server->port());
    const auto answer = client.Get(path.c_str());
    EXPECT_TRUE(answer && answer->status == 200) << path;
    return answer ? answer->body : "";
  }
  // What a bad request's error says, after its shape was checked.
  static Json refused(const std::string& path, const Json& body, int status = 400) {
    const Json error = ask(path, body, status).at("error");
    EXPECT_EQ(error.size(), 4u);
    EXPECT_TRUE(error.at("message").is_string());
    EXPECT_TRUE(error.at("type").is_string());
    return error;
  }
  static Json chat(int tokens = 8) {
    return {{"messages", {{{"role", "user"}, {"content", "Name three colours."}}}},
            {"temperature", 0},
            {"max_tokens", tokens}};
  }
  static Json pair() {
    return {{"question", "What is 2 + 2?"}, {"answer_a", "4"}, {"answer_b", "It is 5."}};
  }

  inline static std::shared_ptr<Session> session;
  inline static testing::OnThread<Service>* server = nullptr;
};

TEST_F(ServiceTest, ChatGivesWhatTheEngineGives) {
  const Json answer = ask(kChat, chat());
  GenerateOptions options;
  options.max_tokens = 8;
  options.eos_token_ids = session->loaded.eos_token_ids;
  const auto prompt =
      encode_chat(session->encoder, std::vector<Message>{{"user", "Name three colours."}}, true);
  const auto expected = generate(session->model, nullptr, {prompt}, options)[0];
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(choice["message"]["content"],
            session->encoder.tokenizer.decode(expected->tokens, true));
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_TRUE(choice["logprobs"].is_null());
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["model"], "org/base");
  EXPECT_EQ(answer["usage"]["prompt_tokens"], prompt.size());
  EXPECT_EQ(answer["usage"]["completion_tokens"], 8);
  EXPECT_EQ(answer["usage"]["total_tokens"], prompt.size() + 8);
  // The same prompt again comes from the kept one.
  const Json again = ask(kChat, chat());
  EXPECT_EQ(again["usage"]["prompt_tokens_details"]["cached_tokens"], prompt.size() - 1);
  EXPECT_EQ(again["choices"], answer["choices"]);
}

TEST_F(ServiceTest, StreamsHaveTheSameTextAndLogprobs) {
  Json body = chat();
  body["logprobs"] = true;
  body["top_logprobs"] = 3;
  const Json whole = ask(kChat, body)["choices"][0];
  body["stream_options"] = {{"include_usage", true}};
  const auto chunks = events(kChat, body);
  std::string text;
  Json logprobs = Json::array(), reasons = Json::array();
  for (const Json& chunk : chunks) {
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    EXPECT_EQ(chunk["id"], chunks[0]["id"]);
    if (chunk["choices"].empty()) continue;
    EXPECT_TRUE(chunk.at("usage").is_null());
    const Json& choice = chunk["choices"][0];
    text += choice["delta"].value("content", "");
    if (!choice["finish_reason"].is_null()) reasons.push_back(choice["finish_reason"]);
    if (!choice["logprobs"].is_null())
      for (const Json& token : choice["logprobs"]["content"]) logprobs.push_back(token);
  }
  EXPECT_EQ(chunks[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(chunks.back()["usage"]["completion_tokens"], 8);
  EXPECT_EQ(text, whole["message"]["content"]);
  EXPECT_EQ(reasons, Json::array({"length"}));
  ASSERT_EQ(logprobs.size(), 8u);
  ASSERT_EQ(whole["logprobs"]["content"].size(), 8u);
  for (size_t i = 0; i < 8; ++i) {
    const Json& same = whole["logprobs"]["content"][i];
    EXPECT_EQ(logprobs[i]["token"], same["token"]);
    EXPECT_NEAR(logprobs[i]["logprob"].get<double>(), same["logprob"].get<double>(), 1e-4);
  }
  std::string from_bytes;
  for (const Json& token : logprobs) {
    ASSERT_EQ(token["top_logprobs"].size(), 3u);
    EXPECT_EQ(token["logprob"], token["top_logprobs"][0]["logprob"]);  // greedy
    EXPECT_LE(token["logprob"].get<double>(), 0);
    for (const Json& byte : token["bytes"]) from_bytes += static_cast<char>(byte.get<int>());
  }
  EXPECT_EQ(from_bytes, text);
}

TEST_F(ServiceTest, CompletionsAndTheirLogprobs) {
  const Json answer =
      ask(kText, {{"prompt", "The capital of France is"}, {"temperature", 0}, {"logprobs", 2}});
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(answer["object"], "text_completion");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 16);  // as OpenAI's default
  const Json& logprobs = choice["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), 16u);
  std::string joined;
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(logprobs["text_offset"][i], joined.size());  // the text is ASCII
    joined += logprobs["tokens"][i].get<std::string>();
    EXPECT_EQ(logprobs["top_logprobs"][i].size(), 2u);
    EXPECT_EQ(logprobs["top_logprobs"][i].begin().value(), logprobs["token_logprobs"][i]);
  }
  EXPECT_EQ(choice["text"], joined);
  const auto ids = session->encoder.tokenizer.encode("The capital of France is", true);
  const std::vector<double> whole(ids.begin(), ids.end());  // 5.0 is an integer in JSON's schemas
  for (const Json& prompt : {Json(ids), Json(whole)})
    EXPECT_EQ(ask(kText, {{"prompt", prompt}, {"temperature", 0}})["choices"][0]["text"], joined);
  std::string streamed;
  for (const Json& e :
       events(kText, {{"prompt", {"The capital of France is"}}, {"temperature", 0}}))
    streamed += e["choices"][0]["text"].get<std::string>();
  EXPECT_EQ(streamed, joined);
}

TEST_F(ServiceTest, StopStringsAndSeeds) {
  const auto text = ask(kChat, chat(20))["choices"][0]["message"]["content"].get<std::string>();
  const std::string stop = text.substr(text.size() / 2, 3);
  Json body = chat(20);
  body["stop"] = {"never in it", stop};
  const Json stopped = ask(kChat, body)["choices"][0];
  EXPECT_EQ(stopped["message"]["content"], text.substr(0, text.find(stop)));
  EXPECT_EQ(stopped["finish_reason"], "stop");
  std::string streamed;
  for (const Json& e : events(kChat, body))
    streamed += e["choices"][0]["delta"].value("content", "");
  EXPECT_EQ(streamed, stopped["message"]["content"]);
  body = chat(12);
  body["temperature"] = 1.5;
  std::set<std::string> texts;
  for (const int seed : {1, 1, 2, 3}) {
    body["seed"] = seed;
    texts.insert(ask(kChat, body)["choices"].dump());
  }
  EXPECT_GE(texts.size(), 2u);
  EXPECT_LE(texts.size(), 3u);
}

TEST_F(ServiceTest, MoreTokensThanFitAreAsManyAsFit) {
  const std::string text =
      ask(kChat, chat(20))["choices"][0]["message"]["content"].get<std::string>();
  Json body = chat();
  body["stop"] = text.substr(text.size() / 2, 4);
  for (const Json& count : {Json(601), Json(1'000'000'000'000), Json(UINT64_MAX), Json(-1), Json()})
    for (const char* name : {"max_tokens", "max_completion_tokens"}) {
      Json some = body;
      some.erase("max_tokens");
      some[name] = count;
      EXPECT_EQ(ask(kChat, some)["choices"][0]["finish_reason"], "stop") << count;
    }
  // A prompt that leaves room for four tokens.
  auto& context = session->model.config.max_position_embeddings;
  const auto whole = std::exchange(context, 54);
  const Json answer =
      ask(kText, {{"prompt", std::vector<int>(50, 28)}, {"max_tokens", 4096}, {"temperature", 0}});
  context = whole;
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 4);
}

TEST_F(ServiceTest, ToolsThatAreNotToBeUsedChangeNothing) {
  const Json expected = ask(kChat, chat())["choices"];
  Json body = chat();
  body["tools"] = {{{"type", "function"}, {"function", {{"name", "f"}}}}};
  body["tool_choice"] = "none";
  EXPECT_EQ(ask(kChat, body)["choices"], expected);
}

TEST_F(ServiceTest, SeveralChoices) {
  const Json one = ask(kChat, chat())["choices"][0];
  Json body = chat();
  body["n"] = 3;
  const Json three = ask(kChat, body);
  ASSERT_EQ(three["choices"].size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(three["choices"][i]["index"], i);
    EXPECT_EQ(three["choices"][i]["message"], one["message"]);
  }
  EXPECT_EQ(three["usage"]["completion_tokens"], 24);
  EXPECT_EQ(three["usage"]["total_tokens"], three["usage"]["prompt_tokens"].get<int>() + 24);
  // Choice i draws as a request with seed + i would.
  body["temperature"] = 1.2;
  body["seed"] = 5;
  const Json drawn = ask(kChat, body);
  std::set<std::string> texts;
  for (const Json& choice : drawn["choices"]) texts.insert(choice["message"]["content"]);
  EXPECT_GT(texts.size(), 1u);
  body["stream_options"] = {{"include_usage", true}};
  std::vector<std::string> streamed(3);
  Json reasons = Json::object();
  const auto chunks = events(kChat, body);
  for (const Json& e : chunks)
    for (const Json& choice : e["choices"]) {
      streamed[choice["index"].get<size_t>()] += choice["delta"].value("content", "");
      if (!choice["finish_reason"].is_null())
        reasons[choice["index"].dump()] = choice["finish_reason"];
    }
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(streamed[i], drawn["choices"][i]["message"]["content"]);
  EXPECT_EQ(reasons.size(), 3u);
  EXPECT_EQ(chunks.back()["usage"]["completion_tokens"], drawn["usage"]["completion_tokens"]);
  const Json texts_of = ask(
      kText,
      {{"prompt", "One, two,"}, {"n", 2}, {"temperature", 0}, {"max_tokens", 3}, {"logprobs", 0}});
  EXPECT_EQ(texts_of["choices"][0]["text"], texts_of["choices"][1]["text"]);
  EXPECT_EQ(texts_of["choices"][1]["logprobs"]["text_offset"][0], 0);
}

TEST_F(ServiceTest, APenaltyOfPresenceKeepsTokensFromComingAgain) {
  const Json repeat = {{"prompt", "a a a a a a a a a a"}, {"temperature", 0}, {"logprobs", 0}};
  const auto distinct = [](const Json& answer) {
    const Json& tokens = answer["choices"][0]["logprobs"]["tokens"];
    return std::set<std::string>(tokens.begin(), tokens.end()).size();
  };
  Json penalized = repeat;
  penalized["presence_penalty"] = 2;
  penalized["frequency_penalty"] = 2;
  EXPECT_LT(distinct(ask(kText, repeat)), distinct(ask(kText, penalized)));
}

TEST_F(ServiceTest, AnswersHaveThePrescribedForm) {
  const Json schema = Json::parse(R"({"type":"object","properties":{
      "colour":{"type":"string","maxLength":12},"verdict":{"enum":["A","B"]},
      "sure":{"type":"boolean"}},"required":["colour","verdict","sure"],
      "additionalProperties":false})");
  Json body = chat(200);
  body["response_format"] = {
      {"type", "json_schema"},
      {"json_schema", {{"name", "x"}, {"schema", schema}, {"strict", true}}}};
  for (const double temperature : {0.0, 1.5}) {
    body["temperature"] = temperature;
    body["n"] = 2;
    body["logprobs"] = true;
    const Json answer = ask(kChat, body);
    for (const Json& choice : answer["choices"]) {
      EXPECT_EQ(choice["finish_reason"], "stop");
      const Json value = Json::parse(choice["message"]["content"].get<std::string>());
      ASSERT_EQ(value.size(), 3u);
      EXPECT_LE(value["colour"].get<std::string>().size(), 48u);
      EXPECT_TRUE(value["verdict"] == "A" || value["verdict"] == "B");
      EXPECT_TRUE(value["sure"].is_boolean());
    }
  }
  std::string streamed;
  body = chat(40);
  body["response_format"] = {{"type", "json_object"}};
  for (const Json& e : events(kChat, body))
    streamed += e["choices"][0]["delta"].value("content", "");
  EXPECT_TRUE(streamed.starts_with("{")) << streamed;
}

TEST_F(ServiceTest, AMaskOfTheWholeVocabularyIsQuick) {
  const TokenTrie tokens(session->encoder.tokenizer);
  JsonMatcher matcher(JsonGrammar::any_object());
  std::vector<bool> allowed;
  double slowest = 0;
  for (const char byte : std::string(R"({"name": "a text\n", "list": [1, 2.5, null, {"x":)")) {
    ASSERT_TRUE(matcher.advance(static_cast<uint8_t>(byte)));
    const auto start = std::chrono::steady_clock::now();
    matcher.mask(tokens, allowed);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    slowest = std::max(slowest, took.count());
  }
  RecordProperty("slowest_ms", std::to_string(slowest));
  EXPECT_LT(slowest, 50) << "milliseconds";  // 0.1 on an idle machine
}

TEST_F(ServiceTest, JudgesAsTheJudgeLayerDoes) {
  JudgePair expected_pair;
  expected_pair.question = "What is 2 + 2?";
  expected_pair.answer_a = "4";
  expected_pair.answer_b = "It is 5.";
  const auto judge = make_judge_model(session->model, nullptr, session->encoder,
                                      JudgeTemplate::standard(), session->loaded.eos_token_ids);
  for (const JudgeMode mode : {JudgeMode::verdict, JudgeMode::reason}) {
    JudgeOptions options;
    options.mode = mode;
    options.both_orders = true;
    options.max_tokens = 24;
    const auto expected = judge_pairs(judge, {&expected_pair, 1}, options)[0];
    Json body = pair();
    body["mode"] = mode_name(mode);
    body["both_orders"] = true;
    body["max_tokens"] = 24;
    body["id"] = "x1";
    const Json answer = ask(kJudge, body);
    EXPECT_EQ(answer["id"], "x1");
    EXPECT_EQ(answer["verdict"], to_string(expected.verdict));
    EXPECT_EQ(answer["explanation"], expected.first.text);
    ASSERT_EQ(answer["orders"].size(), 2u);
    EXPECT_EQ(answer["orders"][1]["order"], "ba");
    EXPECT_EQ(answer["orders"][1]["explanation"], expected.second->text);
    EXPECT_EQ(answer["orders"][1]["verdict"], to_string(expected.second->verdict));
    EXPECT_FALSE(answer["calibrated"]);
    ASSERT_EQ(answer["confidence"].is_null(), !confidence(expected).has_value());
    if (confidence(expected)) {
      EXPECT_NEAR(answer["confidence"].get<double>(), *confidence(expected), 1e-4);
    }
    std::map<std::string, std::string> texts;
    const auto streamed = events(kJudge, body);
    for (const Json& e : streamed)
      if (e["object"] == "judgement.delta")
        texts[e["order"].get<std::string>()] += e["text"].get<std::string>();
    EXPECT_EQ(streamed.back()["object"], "judgement");
    EXPECT_EQ(streamed.back()["verdict"], answer["verdict"]);
    EXPECT_EQ(streamed.back()["explanation"], answer["explanation"]);
    if (mode == JudgeMode::verdict) continue;
    EXPECT_EQ(texts["ab"], expected.first.text);
    EXPECT_EQ(texts["ba"], expected.second->text);
  }
}

TEST_F(ServiceTest, JudgesAListOfPairs) {
  Json second = pair();
  second["reference"] = "Four.";
  second["id"] = "two";
  const Json answer = ask(kJudge, {{"pairs", {pair(), second}}, {"mode", "verdict"}});
  ASSERT_EQ(answer["data"].size(), 2u);
  EXPECT_EQ(answer["object"], "list");
  EXPECT_FALSE(answer["data"][0].contains("id"));
  EXPECT_EQ(answer["data"][1]["id"], "two");
  for (const Json& judged : answer["data"]) {
    double sum = 0;
    for (const auto& p : judged["probabilities"]) sum += p.get<double>();
    EXPECT_NEAR(sum, 1, 1e-9);
  }
  Json single = pair();
  single["mode"] = "verdict";
  EXPECT_EQ(ask(kJudge, single)["verdict"], answer["data"][0]["verdict"]);
}

TEST_F(ServiceTest, ErrorsNameTheField) {
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
  EXPECT_EQ(param(kText, {{"prompt", "x"}, {"echo", true}}), "echo");
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

TEST_F(ServiceTest, TemplatesWithoutASystemRole) {
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

TEST_F(ServiceTest, PromptsThatAreTooLong) {
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

TEST_F(ServiceTest, HostileBodies) {
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

TEST_F(ServiceTest, AClientThatLeavesFreesItsPlace) {
  const auto value = [](const std::string& name) {
    const std::string text = get("/metrics");
    return std::stod(text.substr(text.find("\n" + name + " ") + name.size() + 2));
  };
  const double before = value("gavel_cancelled_total");
  Json body = chat(600);
  body["temperature"] = 1;
  {
    RawClient whole(server->port()), streaming(server->port());
    whole.send(post(kChat, body.dump(), ""));
    body["stream"] = true;
    streaming.send(post(kChat, body.dump(), ""));
    streaming.read("\"content\"");
    while (value("gavel_active_sequences") < 2 && value("gavel_cancelled_total") == before)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  for (int i = 0; i < 1500 && value("gavel_cancelled_total") < before + 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(value("gavel_cancelled_total"), before + 2);
}

TEST_F(ServiceTest, ModelsPagesAndDescription) {
  const Json models = Json::parse(get("/v1/models"));
  EXPECT_EQ(models["data"][0]["id"], "org/base");
  EXPECT_EQ(Json::parse(get("/v1/models/org/base"))["object"], "model");
  httplib::Client client("127.0.0.1", server->port());
  EXPECT_EQ(client.Get("/v1/models/other")->status, 404);
  EXPECT_EQ(Json::parse(get("/health"))["status"], "ok");
  const auto page = client.Get("/");
  EXPECT_NE(page->get_header_value("Content-Security-Policy").find("default-src 'none'"),
            std::string::npos);
  for (const std::string& text : {page->body, get("/style.css"), get("/app.js")}) {
    EXPECT_FALSE(text.empty());
    EXPECT_EQ(text.find("http://"), std::string::npos);  // nothing from elsewhere
    EXPECT_EQ(text.find("https://"), std::string::npos);
    EXPECT_EQ(text.find("innerHTML"), std::string::npos);
  }
  // Each path that is described answers to its method, with this server's own limits.
  const Json described = Json::parse(get("/openapi.json"));
  for (const auto& [path, methods] : described["paths"].items()) {
    if (methods.contains("get") && path.find('{') == std::string::npos) get(path);
    if (methods.contains("post")) send(path, "{}", 400);
  }
  const Json& schemas = described["components"]["schemas"];
  EXPECT_EQ(schemas["JudgeOne"]["properties"]["max_tokens"]["maximum"], 600);
  EXPECT_EQ(schemas["JudgeMany"]["properties"]["pairs"]["maxItems"], 3);
}

TEST(ServedModels, NamesAreCheckedBeforeAnythingIsServed) {
  for (const char* wrong : {"noequals", "=path", "name="})
    EXPECT_THROW(load_served_models(nullptr, "m", "", {wrong}, ""), UsageError);
}

}  // namespace
}  // namespace gavel
