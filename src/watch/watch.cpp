#include "watch/watch.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "http/events.h"
#include "report/page.h"
#include "watch/web.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

// Texts of the runs stand in the page; nothing of them may act, and nothing goes elsewhere.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

HttpOptions options_for(const WatchRequest& request) {
  HttpOptions options;
  options.port = request.port;
  options.max_connections = 64;
  options.local_names_only = true;
  return options;
}

std::string page_html(const WatchedPage& page) {
  std::string body = fmt::format("<div id=\"live\" data-version=\"{}\">\n", page.version);
  for (const ReportSection& section : page.sections)
    body += fmt::format("<section id=\"{}\">{}</section>\n", section.id, section.html);
  body +=
      "</div>\n<p class=\"muted small\"><a href=\"/report.html\">This page as one file</a></p>\n";
  return html_page("gavel watch", body, {"/page.js", "/watch.js"});
}

Reply html(std::string body) {
  Reply reply;
  reply.body = std::move(body);
  reply.content_type = "text/html; charset=utf-8";
  reply.headers = {{"Content-Security-Policy", kPolicy},
                   {"Referrer-Policy", "no-referrer"},
                   {"Cache-Control", "no-store"}};
  return reply;
}

}  // namespace

Watch::Watch(const WatchRequest& request)
    : runs_(request.runs, request.only_new), http_(options_for(request), routes(), metrics_) {}

std::string Watch::address() const { return fmt::format("http://127.0.0.1:{}/", port()); }

void Watch::stop() {
  ended_ = true;
  http_.stop();
}

std::vector<Route> Watch::routes() {
  constexpr const char* kJavaScript = "text/javascript; charset=utf-8";
  return {{"GET", "/", true,
           [this](const HttpRequest&, Client&) { return html(page_html(*runs_.now())); }},
          {"GET", "/report.html", true,
           [this](const HttpRequest&, Client&) {
             Reply reply = html(runs_.report());
             reply.headers.erase(reply.headers.begin());  // it brings its own policy
             return reply;
           }},
          file_route("/page.js", kJavaScript, std::string(page_script()), kPolicy),
          file_route("/watch.js", kJavaScript, std::string(web::kWatch), kPolicy),
          {"GET", "/favicon.ico", true,
           [](const HttpRequest&, Client&) {
             return Reply{204, ""};
           }},
          {"GET", "/events/", true, [this](const HttpRequest& request, Client& client) {
             Reply reply;
             reply.stream = [this, version = request.argument, &client](const Reply::Write& write) {
               follow(version, write, client);
             };
             return reply;
           }}};
}

// Sends what is another than in the page's `version`, and then whatever changes.
void Watch::follow(const std::string& version, const Reply::Write& write, Client& client) {
  run_stream(write, client, [&](EventWriter& out) {
    std::map<std::string, uint64_t> sent;
    std::string current = version;
    for (;;) {
      const bool last = ended_;
      const auto page = runs_.now(last);
      if (current != std::to_string(page->version)) {
        current = std::to_string(page->version);
        Json order = Json::array(), changed = Json::object();
        for (const ReportSection& section : page->sections) {
          order.push_back(section.id);
          const uint64_t hash = stable_hash(section.html);
          if (const auto it = sent.find(section.id); it != sent.end() && it->second == hash)
            continue;
          sent[section.id] = hash;
          changed[section.id] = section.html;
        }
        out.send(sse({{"order", std::move(order)}, {"changed", std::move(changed)}}));
      }
      if (last) return out.send("event: end\ndata: {}\n\n");
      out.tick();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  });
}

void run_watch(const WatchRequest& request, const std::function<bool()>& stop_requested) {
  Watch watch(request);
  fmt::print(stderr, "Watching at {}. Ctrl-C ends.\n", watch.address());
  run_until([&] { watch.run(); }, [&] { watch.stop(); }, stop_requested);
}

WatchBeside::WatchBeside(const WatchRequest& request)
    : watch_(request), thread_([this] { watch_.run(); }) {
  fmt::print(stderr, "Watch the run at {}\n", watch_.address());
}

WatchBeside::~WatchBeside() {
  watch_.stop();
  thread_.join();
}

}  // namespace gavel
