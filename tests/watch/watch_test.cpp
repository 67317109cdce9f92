// gavel watch without a browser: the page, its events, and a run that begins, ends and goes on.
#include "watch/watch.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "folder_test.h"
#include "http_support.h"

namespace gavel {
namespace {

using nlohmann::json;

std::string line(const json& entry) { return entry.dump() + "\n"; }
std::string config(int iters = 40) {
  return line({{"event", "config"}, {"step", 0}, {"iters", iters}});
}
std::string train(int step, double loss) {
  return line({{"event", "train"}, {"step", step}, {"loss", loss}, {"seconds_left", 75.0}});
}

class WatchTest : public FolderTest {
 protected:
  void add(const std::string& text, const std::string& run = "judge") {
    std::filesystem::create_directories(dir_ / run);
    std::ofstream(dir_ / run / "metrics.jsonl", std::ios::app | std::ios::binary) << text;
  }
  void start(const std::vector<std::string>& runs = {"judge"}, bool only_new = false) {
    WatchRequest request;
    for (const std::string& run : runs) request.runs.push_back((dir_ / run).string());
    request.only_new = only_new;
    server.emplace(std::make_unique<Watch>(request));
  }
  std::string get(const std::string& path) {
    httplib::Client client("127.0.0.1", server->port());
    const auto answer = client.Get(path);
    return answer && answer->status == 200 ? answer->body : "";
  }

  std::optional<testing::OnThread<Watch>> server;
};

// The page's connection for events.
class Events {
 public:
  Events(int port, const std::string& version) : client_(port) {
    client_.send("GET /events/" + version + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    const std::string got = client_.read("\r\n\r\n");
    text_ = got.substr(got.find("\r\n\r\n") + 4);  // perhaps the first event, too
  }
  // The next event, of one chunk.
  std::string next() {
    while (text_.find("\n\n") == std::string::npos) {
      const std::string more = client_.read("\n\n\r\n");
      if (more.empty()) return "";
      text_ += more;
    }
    const size_t from = text_.find("data: "), end = text_.find("\n\n");
    if (from == std::string::npos || from > end) return "";
    std::string event = text_.substr(from + 6, end - from - 6);
    text_.erase(0, end + 2);
    return event;
  }

 private:
  gavel::testing::RawClient client_;
  std::string text_;
};

std::string version_of(const std::string& page) {
  const size_t at = page.find("data-version=\"") + 14;
  return page.substr(at, page.find('"', at) - at);
}

TEST_F(WatchTest, ThePageHoldsWhatIsThereAndEventsWhatComes) {
  add(config() + train(10, 2.5));
  start();
  const std::string page = get("/");
  EXPECT_NE(page.find("step <b>10</b> of 40"), std::string::npos) << page;
  EXPECT_NE(page.find("<b data-ends="), std::string::npos);
  EXPECT_NE(page.find("running"), std::string::npos);
  EXPECT_EQ(page.find("<script>"), std::string::npos);  // its policy would not run one
  Events events(server->port(), version_of(page));
  add(train(20, 1.5));
  const json first = json::parse(events.next());
  EXPECT_NE(first["changed"]["status"].get<std::string>().find("<b>20</b> of 40"),
            std::string::npos);
  EXPECT_NE(std::find(first["order"].begin(), first["order"].end(), "training"),
            first["order"].end());
  // A part that stays as it is is sent once.
  add(train(30, 1.0) + line({{"event", "valid"}, {"step", 30}, {"loss", 1.25}}));
  const json second = json::parse(events.next());
  EXPECT_FALSE(second["changed"].contains("head"));
  EXPECT_NE(second["changed"]["status"].get<std::string>().find("validation <b>1.25</b>"),
            std::string::npos);
}

TEST_F(WatchTest, OpenedLateOrTwiceItSaysTheSame) {
  add(config() + train(10, 2.5) + train(20, 1.5));
  start();
  Events stale(server->port(), "0"), other(server->port(), "0");
  const std::string one = stale.next();
  EXPECT_EQ(one, other.next());
  EXPECT_NE(json::parse(one)["changed"]["training"].get<std::string>().find("<svg"),
            std::string::npos);
}

TEST_F(WatchTest, ARunEndsAndGoesOn) {
  add(config() + train(10, 2.5));
  start();
  Events events(server->port(), version_of(get("/")));
  add(line({{"event", "end"}, {"step", 10}, {"reason", "interrupted"}}));
  EXPECT_NE(json::parse(events.next())["changed"]["status"].get<std::string>().find(
                "gavel train --resume goes on"),
            std::string::npos);
  file("judge/metrics.jsonl", config() + train(10, 2.5));  // replaced, as a resumed run does
  std::string status = json::parse(events.next())["changed"]["status"];
  EXPECT_NE(status.find("running"), std::string::npos) << status;
  add(line({{"event", "resume"}, {"step", 10}, {"iters", 40}}) + train(40, 1.0) +
      line({{"event", "end"}, {"step", 40}, {"reason", "finished"}}));
  status = json::parse(events.next())["changed"]["status"];
  EXPECT_NE(status.find("finished"), std::string::npos) << status;
  EXPECT_EQ(status.find("data-ends"), std::string::npos);
  const std::string report = get("/report.html");
  EXPECT_NE(report.find("Content-Security-Policy"), std::string::npos);
  EXPECT_EQ(report.find("src="), std::string::npos);  // one file
}

TEST_F(WatchTest, SeveralRunsStandBesideEachOtherAndEvaluationsComeLater) {
  add(config() + train(10, 2.5), "a");
  std::filesystem::create_directories(dir_ / "b");
  start({"a", "b/"});
  const std::string page = get("/");
  EXPECT_NE(page.find("<b>b</b> <span class=\"muted\">waiting"), std::string::npos) << page;
  Events events(server->port(), version_of(page));
  file("b/eval.json", R"({"judges":[{"name":"tuned","metrics":{"agreement":{"value":0.5}}}]})");
  const json event = json::parse(events.next());
  EXPECT_NE(event["changed"]["evaluation1"].get<std::string>().find("50.0%"), std::string::npos);
}

TEST_F(WatchTest, AtItsEndThePagesHearHowThingsStand) {
  std::filesystem::create_directories(dir_ / "judge");
  add(config() + line({{"event", "end"}, {"step", 40}, {"reason", "finished"}}));
  start({"judge"}, true);
  const std::string page = get("/");
  EXPECT_NE(page.find("waiting for the first line"), std::string::npos);
  Events events(server->port(), version_of(page));
  file("judge/metrics.jsonl", config() + line({{"event", "end"}, {"step", 40}, {"reason", "x"}}));
  server->stop();
  EXPECT_NE(events.next().find("finished"), std::string::npos);
  EXPECT_EQ(events.next(), "{}");
}

TEST_F(WatchTest, RefusesWhatIsNotThereAndOtherNames) {
  WatchRequest request;
  request.runs = {(dir_ / "nothing").string()};
  EXPECT_THROW(Watch{request}, Error);
  add(config());
  start();
  testing::RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: pages.example\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(testing::status_of(client.read()), 403);
}

TEST(RunStatus, ToldByTheLog) {
  RunHistory run;
  run.iters = 40;
  run.train.push_back({10, 2.5, 1e-4, 100, 1, 1, 10, 300});
  run.train.push_back({20, 2.5, 1e-4, 100, 1, 1, 10, 200});
  const auto status = [&](int64_t silent) { return run_status("<a>", &run, 1000, 1000 + silent); };
  EXPECT_NE(status(10).find("&lt;a&gt;"), std::string::npos);
  EXPECT_NE(status(10).find("data-ends=\"1200\">3 min 20 s"), std::string::npos) << status(10);
  EXPECT_NE(status(400).find("running"), std::string::npos);
  EXPECT_NE(status(600).find("silent"), std::string::npos);
}

}  // namespace
}  // namespace gavel
