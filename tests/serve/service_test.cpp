// The API on the embedded model: OpenAI's shapes and judging.
#include <set>

#include "service_fixture.h"

namespace gavel {
namespace {

using testing::Json;
using testing::kChat;
using testing::kJudge;
using testing::kText;
using testing::post;
using testing::RawClient;
using testing::status_of;

class ServiceTest : public testing::ServiceFixture {};

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

TEST_F(ServiceTest, AModelWithoutAnEvaluationSaysSo) {
  const Json model = Json::parse(get("/v1/models/org/base"));
  EXPECT_EQ(model["evaluated"], false);
  httplib::Client client("127.0.0.1", server->port());
  const auto answer = client.Get("/v1/models/org/base/evaluation");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(Json::parse(answer->body)["error"]["code"], "not_evaluated");
  EXPECT_EQ(client.Get("/v1/models/nobody/evaluation")->status, 404);
}

// What lm-eval-harness asks for: the log-probabilities of the prompt's own tokens.
TEST_F(ServiceTest, AnEchoedPromptHasLogProbabilities) {
  const std::string text = "The capital of France is Paris";
  const auto& encoder = session->encoder;
  const std::vector<int> ids = encoder.tokenizer.encode(text, true);
  const Json answer = ask(kText, {{"prompt", {ids, {ids[0], ids[1]}}},
                                  {"max_tokens", 1},
                                  {"temperature", 0},
                                  {"logprobs", 1},
                                  {"echo", true}});
  ASSERT_EQ(answer["choices"].size(), 2u);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], ids.size() + 2);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 2);
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(choice["text"].get<std::string>().substr(0, text.size()), text);
  const Json& logprobs = choice["logprobs"];
  for (const char* list : {"tokens", "token_logprobs", "top_logprobs", "text_offset"})
    ASSERT_EQ(logprobs[list].size(), ids.size() + 1) << list;
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  // Each is what scoring it behind the ones before gives, and at most that of the likeliest token.
  double sum = 0;
  for (size_t t = 1; t < ids.size(); ++t) {
    const double value = logprobs["token_logprobs"][t].get<double>();
    ASSERT_EQ(logprobs["top_logprobs"][t].size(), 1u);
    EXPECT_LE(value, logprobs["top_logprobs"][t].front().get<double>());
    sum += value;
  }
  const std::vector<int> rest(ids.begin() + 1, ids.end());
  const ScoreRequest request{{ids[0]}, {rest}};
  const double scored = score(session->model, nullptr, std::span(&request, 1))[0][0];
  EXPECT_NEAR(sum, scored, 0.02 * static_cast<double>(rest.size()));
  EXPECT_EQ(logprobs["token_logprobs"][1], answer["choices"][1]["logprobs"]["token_logprobs"][1]);
  // Nothing needs to be generated, and without logprobs the text alone is repeated.
  const Json none =
      ask(kText, {{"prompt", text}, {"max_tokens", 0}, {"logprobs", 0}, {"echo", true}});
  EXPECT_EQ(none["choices"][0]["text"], text);
  EXPECT_EQ(none["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(none["choices"][0]["logprobs"]["tokens"].size(), ids.size());
  const Json plain = ask(kText, {{"prompt", text}, {"max_tokens", 0}, {"echo", true}});
  EXPECT_EQ(plain["choices"][0]["text"], text);
  EXPECT_TRUE(plain["choices"][0]["logprobs"].is_null());
}

TEST_F(ServiceTest, SeveralPromptsHaveTheirChoicesInTurn) {
  const Json alone = ask(kText, {{"prompt", "One, two,"}, {"temperature", 0}, {"max_tokens", 4}});
  const Json both = ask(
      kText,
      {{"prompt", {"The sky is", "One, two,"}}, {"temperature", 0}, {"max_tokens", 4}, {"n", 2}});
  ASSERT_EQ(both["choices"].size(), 4u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(both["choices"][i]["index"], i);
  EXPECT_EQ(both["choices"][0]["text"], both["choices"][1]["text"]);
  EXPECT_EQ(both["choices"][3]["text"], alone["choices"][0]["text"]);
  EXPECT_EQ(both["usage"]["completion_tokens"], 16);
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
  body = chat(100);  // llama.cpp's way
  body["response_format"] = {{"type", "json_object"}, {"schema", schema}};
  const Json own =
      Json::parse(ask(kChat, body)["choices"][0]["message"]["content"].get<std::string>());
  EXPECT_EQ(own.size(), 3u);
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

TEST_F(ServiceTest, PairsMayBeConversationsWithARubric) {
  const auto turn = [](const char* role, const char* text) {
    return Json{{"role", role}, {"content", text}};
  };
  Json whole = {
      {"question", "User: 2+2?\n\nAssistant: Five.\n\nUser: Sure?\n\nCriterion: Is it right?"},
      {"answer_a", "4"},
      {"answer_b", "5"},
      {"mode", "verdict"}};
  const Json expected = ask(kJudge, whole)["probabilities"];
  const Json begin = {turn("user", "2+2?"), turn("assistant", "Five."), turn("user", "Sure?")};
  const auto with_answer = [&](const char* text) {
    Json all = begin;
    all.push_back(turn("assistant", text));
    return all;
  };
  for (const auto& [a, b] :
       {std::pair(Json("4"), Json("5")), std::pair(with_answer("4"), with_answer("5"))}) {
    const Json body = {{"question", begin},
                       {"answer_a", a},
                       {"answer_b", b},
                       {"mode", "verdict"},
                       {"rubric", "Is it right?"}};
    const Json same = ask(kJudge, body)["probabilities"];
    for (const auto& [label, p] : expected.items())
      EXPECT_NEAR(same[label].get<double>(), p.get<double>(), 2e-3) << a;
  }
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
    EXPECT_THROW(load_served_models(nullptr, "m", "", {wrong}, {}, ""), UsageError);
}

}  // namespace
}  // namespace gavel
