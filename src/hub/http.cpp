#include "hub/http.h"

#include <httplib.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "hub/head.h"
#include "hub/near.h"

namespace gavel::hub {
namespace {

struct Url {
  std::string origin;  // scheme://host[:port]
  std::string path;
};

Url split(const std::string& url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos || (!url.starts_with("http://") && !url.starts_with("https://")))
    fail("\"{}\" is not an http:// or https:// address", url);
  const size_t slash = url.find('/', scheme + 3);
  if (slash == std::string::npos) return {url, "/"};
  return {url.substr(0, slash), url.substr(slash)};
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Answer to_answer(const httplib::Response& r, const std::string& url) {
  Answer a;
  a.status = r.status;
  a.url = url;
  for (const auto& [name, value] : r.headers) a.headers.emplace(lower(name), value);
  return a;
}

constexpr int kMaxRedirects = 8;
constexpr size_t kMaxText = size_t{64} << 20;

}  // namespace

struct HttpClient::Impl {
  explicit Impl(const HubOptions& o) : options(o), home(split(o.endpoint).origin) {}

  httplib::Client& client(const std::string& origin) {
    auto& c = clients[origin];
    if (!c) {
      c = std::make_unique<httplib::Client>(origin);
      c->set_connection_timeout(10);
      c->set_read_timeout(30);
      c->set_keep_alive(true);
      c->set_url_encode(false);
      c->set_decompress(false);
    }
    return *c;
  }

  httplib::Headers headers_for(const std::string& origin) const {
    httplib::Headers h{{"User-Agent", "gavel"}, {"Accept-Encoding", "identity"}};
    if (!options.token.empty() && origin == home)
      h.emplace("Authorization", "Bearer " + options.token);
    return h;
  }

  // The next address of a redirect; relative ones are resolved. What cpp-httplib decoded and cannot
  // stand in a request line is encoded again.
  std::string location(const Answer& a) const {
    std::string to;
    for (const char c : a.header("location")) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte <= ' ' || byte >= 127 || c == '"' || c == '<' || c == '>')
        to += fmt::format("%{:02X}", byte);
      else
        to += c;
    }
    if (to.empty()) fail("{} redirects without saying where to", a.url);
    if (to.starts_with("/")) return split(a.url).origin + to;
    return to;
  }

  HubOptions options;
  std::string home;
  std::map<std::string, std::unique_ptr<httplib::Client>> clients;
};

HttpClient::HttpClient(const HubOptions& options) : impl_(std::make_unique<Impl>(options)) {}
HttpClient::~HttpClient() = default;

bool HttpClient::wait_to_repeat(int attempt, const Answer& answer) const {
  auto wait = impl_->options.retry_delay * (1 << std::min(attempt, 6));
  const std::string asked = answer.header("retry-after");
  if (!asked.empty() && asked.size() < 9 &&
      asked.find_first_not_of("0123456789") == std::string::npos) {
    const std::chrono::seconds seconds(std::stol(asked));
    if (seconds > impl_->options.longest_wait) return false;
    wait = std::max<std::chrono::milliseconds>(wait, seconds);
  }
  std::this_thread::sleep_for(wait);
  return true;
}

bool HttpClient::get_range(const std::string& url, uint64_t from, const Receiver& receiver,
                           Answer& answer, std::string& error) {
  std::string at = url;
  for (int redirects = 0; redirects <= kMaxRedirects; ++redirects) {
    const Url u = split(at);
    httplib::Headers headers = impl_->headers_for(u.origin);
    if (from > 0) headers.emplace("Range", "bytes=" + std::to_string(from) + "-");
    const auto result = impl_->client(u.origin).Get(
        u.path, headers,
        [&](const httplib::Response& r) {
          answer = to_answer(r, at);
          return is_redirect(r.status) || receiver.begin(answer);
        },
        [&](const char* data, size_t length) {
          return is_redirect(answer.status) || receiver.bytes({data, length});
        });
    if (!result) {
      error = httplib::to_string(result.error());
      return false;
    }
    if (!is_redirect(answer.status)) return true;
    at = impl_->location(answer);
  }
  fail("{} redirects more than {} times", url, kMaxRedirects);
}

Answer HttpClient::get(const std::string& url) {
  for (int attempt = 0;; ++attempt) {
    Answer answer;
    std::string body, error;
    bool too_long = false;
    const Receiver receiver{[&](const Answer&) {
                              body.clear();
                              return true;
                            },
                            [&](std::string_view bytes) {
                              too_long = body.size() + bytes.size() > kMaxText;
                              if (!too_long) body.append(bytes);
                              return !too_long;
                            }};
    const bool whole = get_range(url, 0, receiver, answer, error);
    if (too_long) fail("the answer of {} is absurdly long", url);
    if (whole && !may_pass(answer.status)) {
      answer.body = std::move(body);
      return answer;
    }
    if (!whole) answer.headers.clear();
    if (attempt + 1 >= impl_->options.attempts || !wait_to_repeat(attempt, answer)) {
      if (whole) return answer;
      fail("cannot reach {}: {}", url, error);
    }
  }
}

Answer HttpClient::head(const std::string& url) {
  std::string at = url;
  int redirects = 0;
  for (int attempt = 0;;) {
    const Url u = split(at);
    const auto headers = impl_->headers_for(u.origin);
    Answer answer;
    std::string error;
    try {
      RawHead raw = raw_head(u.origin, u.path, {headers.begin(), headers.end()});
      answer = {raw.status, std::move(raw.headers), "", at};
    } catch (const Error& e) {
      error = e.what();
    }
    // A renamed repository redirects within the host; a file kept elsewhere to another host, and
    // its answer here has all that is wanted.
    if (is_redirect(answer.status)) {
      const std::string to = impl_->location(answer);
      if (split(to).origin != u.origin || !answer.header("x-linked-etag").empty()) {
        answer.url = to;
        return answer;
      }
      if (++redirects > kMaxRedirects) fail("{} redirects more than {} times", url, kMaxRedirects);
      at = to;
      continue;
    }
    if (error.empty() && !may_pass(answer.status)) return answer;
    if (attempt + 1 >= impl_->options.attempts || !wait_to_repeat(attempt, answer)) {
      if (error.empty()) return answer;
      fail("{}", error);
    }
    ++attempt;
  }
}

void fail_for(const Answer& a, const HubName& name, const HubOptions& o, const std::string& file) {
  const std::string code = a.header("x-error-code");
  const std::string token = o.token.empty() ? "HF_TOKEN is not set" : "with the token that is set";
  if (code == "GatedRepo")
    fail("{} is gated: accept its terms at {}/{} and set HF_TOKEN ({})", name.repo, o.endpoint,
         name.repo, token);
  if (code == "RevisionNotFound")
    fail("{} has no revision \"{}\" at {}", name.repo, name.revision, o.endpoint);
  if (!file.empty() && (code == "EntryNotFound" || a.status == 404))
    fail("{}@{} has no file {} at {}", name.repo, name.revision, file, o.endpoint);
  const std::string near = name.data_set ? "" : near_model(name.repo, o);
  if (a.status == 401 || a.status == 403)
    fail("{} is not open at {} ({}): it does not exist, is private, or needs HF_TOKEN; {}{}",
         name.repo, o.endpoint, a.status, token, near);
  if (a.status == 404)
    fail("there is no {} {} at {}{}", name.data_set ? "data set" : "model", name.repo, o.endpoint,
         near);
  if (a.status == 429)
    fail("{} asks for fewer requests (429){}: try again later, or set HF_TOKEN", o.endpoint,
         a.header("retry-after").empty() ? "" : " for " + a.header("retry-after") + " seconds");
  fail("{} answered with status {}", a.url, a.status);
}

}  // namespace gavel::hub
