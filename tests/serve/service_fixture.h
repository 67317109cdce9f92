// A server of the embedded model, for tests of its answers.
#pragma once

#include <httplib.h>

#include <nlohmann/json.hpp>

#include "http_support.h"
#include "serve/service.h"

namespace gavel::testing {

using Json = nlohmann::ordered_json;

inline const std::string kChat = "/v1/chat/completions", kText = "/v1/completions",
                         kJudge = "/v1/judge";

class ServiceFixture : public ::testing::Test {
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
    server = new OnThread<Service>(std::make_unique<Service>(session, request));
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
  inline static OnThread<Service>* server = nullptr;
};

}  // namespace gavel::testing
