// Connections, limits and routes, without a model: what hostile and broken clients get.
#include "http/server.h"

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "http_support.h"

namespace gavel {
namespace {

using testing::post;
using testing::RawClient;
using testing::status_of;

class HttpTest : public ::testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    options.port = 0;
    std::vector<Route> routes = {
        {"GET", "/open", true,
         [](const HttpRequest&, Client&) {
           return Reply{200, "{}"};
         }},
        {"GET", "/part/", false,
         [](const HttpRequest& r, Client&) {
           return Reply{200, r.argument, "text/plain"};
         }},
        {"POST", "/echo", false,
         [](const HttpRequest& r, Client&) {
           return Reply{200, r.body};
         }},
        {"POST", "/wait", false,
         [this](const HttpRequest&, Client& client) {
           waiting = true;
           while (!client.gone() && !released) std::this_thread::sleep_for(kNap);
           saw_gone = client.gone();
           waiting = false;
           return Reply{200, "{}"};
         }},
        {"POST", "/stream", false,
         [this](const HttpRequest&, Client&) {
           Reply reply;
           reply.stream = [this](const Reply::Write& write) {
             while (write("data: 1\n\n") && !released) std::this_thread::sleep_for(kNap);
             streamed = true;
           };
           return reply;
         }},
        {"POST", "/throw", false,
         [](const HttpRequest&, Client&) -> Reply { throw std::runtime_error("broken"); }},
        {"POST", "/busy", false, [](const HttpRequest&, Client&) -> Reply {
           ApiError error(429, "rate_limit_error", "later", "", "queue_full");
           error.retry_seconds = 7;
           throw error;
         }}};
    server.emplace(std::make_unique<HttpServer>(options, std::move(routes), metrics));
  }
  void TearDown() override { released = true; }

  std::string ask(const std::string& bytes) {
    RawClient client(server->port());
    client.send(bytes);
    return client.read();
  }
  template <typename Condition>
  void until(Condition condition) {
    for (int i = 0; i < 3000 && !condition(); ++i) std::this_thread::sleep_for(kNap);
    EXPECT_TRUE(condition());
  }

  static constexpr auto kNap = std::chrono::milliseconds(10);
  std::atomic<bool> waiting{false}, saw_gone{false}, released{false}, streamed{false};
  HttpMetrics metrics;
  std::optional<testing::OnThread<HttpServer>> server;
};

TEST_F(HttpTest, RoutesAndMethods) {
  start();
  httplib::Client client("127.0.0.1", server->port());
  EXPECT_EQ(client.Get("/open")->status, 200);
  EXPECT_EQ(client.Get("/part/org/name")->body, "org/name");
  EXPECT_EQ(client.Get("/part/")->status, 404);
  EXPECT_EQ(client.Get("/nothing")->status, 404);
  const auto wrong = client.Get("/echo");
  EXPECT_EQ(wrong->status, 405);
  EXPECT_EQ(wrong->get_header_value("Allow"), "POST");
  EXPECT_EQ(client.Post("/open", "{}", "application/json")->status, 405);
  EXPECT_EQ(client.Delete("/echo")->status, 405);
  const auto unheard_of = ask("QUERY /echo?x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(status_of(unheard_of), 405);
  EXPECT_NE(unheard_of.find("Allow: POST\r\n"), std::string::npos) << unheard_of;
  EXPECT_EQ(client.Options("/echo")->status, 405);  // no CORS unless asked
  const auto head = client.Head("/open");
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(client.Post("/echo", R"({"a":1})", "application/json; charset=utf-8")->body,
            R"({"a":1})");
  const auto failed = client.Post("/throw", "{}", "application/json");
  EXPECT_EQ(failed->status, 500);
  EXPECT_EQ(nlohmann::json::parse(failed->body)["error"]["message"], "broken");
  const auto busy = client.Post("/busy", "{}", "application/json");
  EXPECT_EQ(busy->status, 429);
  EXPECT_EQ(busy->get_header_value("Retry-After"), "7");
  // A request is counted once its answer is sent: perhaps after the client has read it.
  const std::string counted[] = {"gavel_requests_total{route=\"/busy\",status=\"429\"} 1",
                                 "gavel_request_seconds_count{route=\"/echo\"} 1"};
  for (const std::string& line : counted) {
    std::string text = metrics.text();
    for (int i = 0; i < 1000 && text.find(line) == text.npos; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      text = metrics.text();
    }
    EXPECT_NE(text.find(line), text.npos) << text;
  }
}

TEST_F(HttpTest, BodiesThatAreRefusedUnread) {
  HttpOptions options;
  options.max_body = 1000;
  start(options);
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  const std::string json = "Content-Type: application/json\r\n";
  EXPECT_EQ(status_of(ask(post("/echo", std::string(1000, ' ')))), 200);
  EXPECT_EQ(status_of(ask(post("/echo", std::string(1001, ' ')))), 413);
  EXPECT_EQ(status_of(ask(post("/echo", std::string(900'000, ' ')))), 413);
  EXPECT_EQ(status_of(ask(head + json + "Content-Length: 99999999999999999999\r\n\r\n")), 413);
  EXPECT_EQ(status_of(ask(head + json + "Content-Length: -1\r\n\r\n")), 400);
  EXPECT_EQ(status_of(ask(head + json + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}")), 400);
  EXPECT_EQ(status_of(ask(head + json + "Connection: close\r\n\r\n")), 411);
  EXPECT_EQ(status_of(ask(head + json + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")),
            415);
  EXPECT_EQ(status_of(ask(head + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}")), 415);
  EXPECT_EQ(status_of(ask(head + "Content-Length: 2\r\n\r\n{}")), 415);
  EXPECT_EQ(status_of(ask(head + "Content-Type: multipart/form-data; boundary=x\r\n"
                                 "Content-Length: 2\r\n\r\n{}")),
            415);
  // A client that asks first is told at once.
  EXPECT_EQ(status_of(ask(head + json + "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n")),
            413);
}

TEST_F(HttpTest, ChunkedBodiesAreReadLikeOthers) {
  HttpOptions options;
  options.max_body = 1000;
  start(options);
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  const auto chunk = [](size_t size) {
    return fmt::format("{:x}\r\n{}\r\n", size, std::string(size, ' '));
  };
  const auto send = [&](const std::string& body) {
    return ask(head + chunked + "Connection: close\r\n\r\n" + body);
  };
  const auto body_of = [](const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
  };
  const std::string answer = send("1\r\n{\r\n03;name=\"a b\"\r\n\"a\"\r\n3 \r\n:1}\r\n0\r\n\r\n");
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_EQ(body_of(answer), "{\"a\":1}");
  EXPECT_EQ(body_of(send("2\r\n{}\r\n0\r\nDigest: x\r\nMore: y\r\n\r\n")), "{}");
  EXPECT_EQ(status_of(send("0\r\n\r\n")), 200);
  EXPECT_EQ(status_of(send(chunk(600) + chunk(400) + "0\r\n\r\n")), 200);
  EXPECT_EQ(status_of(send(chunk(600) + chunk(401) + "0\r\n\r\n")), 413);
  EXPECT_EQ(status_of(send("ffffffffffffffff\r\n")), 413);
  for (const char* broken : {"", "2\r\n{", "2\n{}\n0\n\n", "2\r\n{}0\r\n\r\n",
                             "2\r\n{}}\r\n0\r\n\r\n", "x\r\n", "-1\r\n{", "0x2\r\n{}\r\n0\r\n\r\n",
                             "\r\n{}", "2 2\r\n{}\r\n0\r\n\r\n", "1ffffffffffffffff\r\n"}) {
    RawClient client(server->port());
    client.send(head + chunked + "\r\n" + broken);
    client.half_close();
    EXPECT_EQ(status_of(client.read()), 400) << broken;
  }
  EXPECT_EQ(status_of(send("1" + std::string(5000, '0') + "\r\n")), 400);
  std::string trailers;
  for (int i = 0; i < 100; ++i) trailers += "A: b\r\n";
  EXPECT_EQ(status_of(send("0\r\n" + trailers + "\r\n")), 400);
  // Two tellings of the body's end, other encodings, and an older protocol.
  EXPECT_EQ(status_of(ask(head + chunked + "Content-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n")), 400);
  EXPECT_EQ(status_of(ask(head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")), 501);
  EXPECT_EQ(status_of(ask(head + chunked + chunked + "\r\n0\r\n\r\n")), 501);
  EXPECT_EQ(status_of(ask("POST /echo HTTP/1.0\r\nContent-Type: application/json\r\n" + chunked +
                          "\r\n0\r\n\r\n")),
            400);
  // The next request of the connection begins where the body ends, and 100 is said first.
  RawClient client(server->port());
  client.send(head + chunked + "Expect: 100-continue\r\n\r\n");
  client.read("100 Continue\r\n\r\n");
  client.send("2\r\n[]\r\n0\r\n\r\n" + post("/echo", "{\"b\":2}"));
  const std::string both = client.read();
  EXPECT_NE(both.find("[]HTTP/1.1 200"), std::string::npos) << both;
  EXPECT_TRUE(both.ends_with("{\"b\":2}")) << both;
}

// A refused body must not be read as the next request of the connection.
TEST_F(HttpTest, NoRequestIsSmuggledInABody) {
  HttpOptions options;
  options.api_key = "secret";
  start(options);
  const std::string inner = "GET /open HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string answer = ask(post("/echo", inner, ""));
  EXPECT_EQ(status_of(answer), 401);
  EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << answer;
  const std::string get =
      ask("GET /open HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(inner.size()) +
          "\r\n\r\n" + inner);
  EXPECT_EQ(status_of(get), 200);
  EXPECT_EQ(get.find("HTTP/1.1", 1), std::string::npos) << get;
}

TEST_F(HttpTest, ApiKey) {
  HttpOptions options;
  options.api_key = "secret";
  start(options);
  httplib::Client client("127.0.0.1", server->port());
  const auto status = [&](const std::string& authorization) {
    const auto answer =
        client.Post("/echo", {{"Authorization", authorization}}, "{}", "application/json");
    return answer->status;
  };
  EXPECT_EQ(client.Get("/open")->status, 200);
  const auto without = client.Post("/echo", "{}", "application/json");
  EXPECT_EQ(without->status, 401);
  EXPECT_EQ(without->get_header_value("WWW-Authenticate"), "Bearer");
  const auto error = nlohmann::json::parse(without->body)["error"];
  EXPECT_EQ(error["code"], "invalid_api_key");
  EXPECT_EQ(error["type"], "authentication_error");
  EXPECT_TRUE(error["param"].is_null());
  EXPECT_EQ(status("Bearer secret"), 200);
  for (const char* wrong :
       {"Bearer secre", "Bearer secrets", "Bearer ", "secret", "Basic secret", "Bearer Secret"})
    EXPECT_EQ(status(wrong), 401) << wrong;
}

TEST_F(HttpTest, CorsOnlyWhenAsked) {
  start();
  {
    httplib::Client client("127.0.0.1", server->port());
    EXPECT_FALSE(
        client.Get("/open", {{"Origin", "http://a"}})->has_header("Access-Control-Allow-Origin"));
    const auto preflight = client.Options(
        "/echo", {{"Origin", "http://a"}, {"Access-Control-Request-Method", "POST"}});
    EXPECT_EQ(preflight->status, 405);
    EXPECT_NE(preflight->body.find("--cors"), std::string::npos);
    EXPECT_FALSE(preflight->has_header("Access-Control-Allow-Origin"));
  }
  server.reset();
  HttpOptions options;
  options.cors = "http://a";
  start(options);
  httplib::Client client("127.0.0.1", server->port());
  for (const char* path : {"/echo", "/wait", "/open", "/part/x"})
    EXPECT_EQ(client.Options(path)->status, 204) << path;
  const auto preflight = client.Options("/echo");
  EXPECT_EQ(preflight->get_header_value("Access-Control-Allow-Methods"), "POST, OPTIONS");
  const auto names = preflight->get_header_value("Access-Control-Allow-Headers");
  for (const char* name : {"authorization", "content-type", "x-stainless-os"})
    EXPECT_NE(names.find(name), names.npos) << names;
  EXPECT_EQ(preflight->get_header_value("Access-Control-Max-Age"), "600");
  const auto echoed =
      client.Options("/echo", {{"Access-Control-Request-Headers", "X-Mine, content-type"}});
  EXPECT_EQ(echoed->get_header_value("Access-Control-Allow-Headers"), "x-mine, content-type");
  // Errors, too, are for the page to read.
  EXPECT_EQ(client.Post("/busy", "{}", "application/json")
                ->get_header_value("Access-Control-Allow-Origin"),
            "http://a");
  EXPECT_EQ(preflight->get_header_value("Access-Control-Allow-Origin"), "http://a");
  EXPECT_EQ(client.Get("/open")->get_header_value("Access-Control-Allow-Origin"), "http://a");
}

TEST_F(HttpTest, MalformedRequestsAreAnsweredOrDropped) {
  HttpOptions options;
  options.read_seconds = 1;
  start(options);
  EXPECT_EQ(status_of(ask("nonsense\r\n\r\n")), 400);
  EXPECT_EQ(status_of(ask("GET /open\r\n\r\n")), 400);
  EXPECT_EQ(status_of(ask("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n")), 414);
  ask("GET /open HTTP/1.1\r\n" + std::string(40'000, 'h') + ": x\r\n\r\n");
  std::string many = "GET /open HTTP/1.1\r\n";
  for (int i = 0; i < 5000; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_NE(status_of(ask(many + "\r\n")), 200);
  ask(std::string(100'000, '\0'));
  ask("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");  // a TLS client's first words
  ask("GET /part/%zz%00%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_of(ask("GET /open HTTP/1.1\r\nHost: x\r\nRange: bytes=9-1,5-99999999999999\r\n"
                          "Connection: close\r\n\r\n")),
            416);
  EXPECT_EQ(status_of(ask("GET /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), 200);
}

TEST_F(HttpTest, SlowAndHalfClosedClientsAreDropped) {
  HttpOptions options;
  options.read_seconds = 1;
  options.idle_seconds = 1;
  start(options);
  RawClient silent(server->port()), slow(server->port()), half(server->port());
  slow.send(
      "POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
  half.send("POST /echo HTTP/1.1\r\nContent-Len");
  half.half_close();
  EXPECT_EQ(silent.read(), "");
  EXPECT_NE(status_of(slow.read()), 200);
  EXPECT_NE(status_of(half.read()), 200);
  EXPECT_EQ(status_of(ask("GET /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), 200);
}

TEST_F(HttpTest, AClientThatLeavesIsSeen) {
  start();
  RawClient client(server->port());
  client.send(post("/wait", "{}"));
  until([&] { return waiting.load(); });
  client.close();
  until([&] { return !waiting; });
  EXPECT_TRUE(saw_gone);
  RawClient reader(server->port());
  reader.send(post("/stream", "{}"));
  reader.read("data: 1");
  EXPECT_FALSE(streamed);
  reader.close();
  until([&] { return streamed.load(); });
}

TEST_F(HttpTest, MoreConnectionsThanThreadsAreRefused) {
  HttpOptions options;
  options.max_connections = 2;
  start(options);
  std::optional<RawClient> first, second;
  first.emplace(server->port()).send(post("/wait", "{}"));
  second.emplace(server->port()).send(post("/wait", "{}"));
  until([&] { return metrics.connections == 2; });
  EXPECT_EQ(status_of(ask("GET /open HTTP/1.1\r\nHost: x\r\n\r\n")), 503);
  EXPECT_EQ(metrics.refused_connections, 1);
  released = true;
  EXPECT_EQ(status_of(first->read()), 200);
  first.reset();
  until([&] { return metrics.connections < 2; });
  EXPECT_EQ(status_of(ask("GET /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), 200);
}

TEST_F(HttpTest, StopFinishesWhatIsRunning) {
  start();
  RawClient idle(server->port()), client(server->port());
  client.send(post("/wait", "{}"));
  until([&] { return waiting.load(); });
  const int port = server->port();
  auto stopped = std::async(std::launch::async, [&] { server->stop(); });
  EXPECT_EQ(idle.read(), "");  // an idle connection is closed at once
  EXPECT_EQ(stopped.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  released = true;
  EXPECT_EQ(status_of(client.read()), 200);
  stopped.get();
  httplib::Client late("127.0.0.1", port);
  EXPECT_FALSE(late.Get("/open"));
}

TEST_F(HttpTest, OnlyTheNamesThatAMachineHasForItself) {
  HttpOptions options;
  options.local_names_only = true;
  start(options);
  const auto status = [&](const std::string& host) {
    return status_of(ask("GET /open HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"));
  };
  EXPECT_EQ(status("Host: localhost:8080\r\n"), 200);
  EXPECT_EQ(status("Host: 127.0.0.1\r\n"), 200);
  EXPECT_EQ(status("Host: evil.example:8080\r\n"), 403);
  EXPECT_EQ(status("Host: localhost.evil.example\r\n"), 403);
  EXPECT_EQ(status(""), 403);
}

TEST_F(HttpTest, TheSamePortTwiceIsAnError) {
  start();
  HttpOptions options;
  options.port = server->port();
  EXPECT_THROW(HttpServer(options, {}, metrics), Error);
}

}  // namespace
}  // namespace gavel
