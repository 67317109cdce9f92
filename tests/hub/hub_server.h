// A small hub on the loopback that speaks the API of huggingface.co, and can be told to misbehave.
#pragma once

#include <httplib.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace gavel::testing {

class HubServer {
 public:
  struct File {
    std::string contents;
    std::string etag;    // as the hub computes it
    bool large = false;  // kept on the second host, by redirect, under its SHA-256
  };
  std::string repo = "org/tiny";
  std::string commit = std::string(40, 'a');
  std::map<std::string, File> files;
  bool data_set = false;
  std::map<std::string, File> converted;  // of the revision refs/convert/parquet

  // Misbehaviour. Each is asked before the ordinary answer and returns true where it answered.
  std::function<bool(const httplib::Request&, httplib::Response&)> interfere;
  // Bytes after which the connection of a download is cut, for so many times.
  std::atomic<int> cuts{0};
  size_t cut_after = 0;

  HubServer() {
    for (httplib::Server* s : {&hub_, &store_}) {
      s->set_keep_alive_max_count(1000);
      s->Get(".*", [this, s](const httplib::Request& q, httplib::Response& r) {
        {
          std::lock_guard lock(mutex_);
          requests_.push_back(q);
        }
        if (interfere && interfere(q, r)) return;
        s == &hub_ ? answer(q, r) : answer_store(q, r);
      });
    }
    hub_port_ = hub_.bind_to_any_port("127.0.0.1");
    store_port_ = store_.bind_to_any_port("127.0.0.1");
    threads_.emplace_back([this] { hub_.listen_after_bind(); });
    threads_.emplace_back([this] { store_.listen_after_bind(); });
    while (!hub_.is_running() || !store_.is_running()) std::this_thread::yield();
  }
  ~HubServer() {
    hub_.stop();
    store_.stop();
    for (auto& t : threads_) t.join();
  }

  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(hub_port_); }
  std::string store() const { return "http://localhost:" + std::to_string(store_port_); }
  std::vector<httplib::Request> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  // Requests for contents (GET) of a file, on either host.
  int downloads(const std::string& file) {
    int n = 0;
    for (const auto& q : requests())
      n += q.method == "GET" && (q.path.ends_with("/" + file) || q.path == "/blob/" + file);
    return n;
  }

  // What the hub itself answers.
  void answer(const httplib::Request& q, httplib::Response& r) {
    const std::string api =
        std::string(data_set ? "/api/datasets/" : "/api/models/") + repo + "/revision/";
    const std::string resolve = (data_set ? "/datasets/" : "/") + repo + "/resolve/";
    const std::string parquet_commit(40, 'c');
    if (q.path.starts_with(api)) {
      const std::string revision = q.path.substr(api.size());
      const bool of_parquet = revision == "refs/convert/parquet" && !converted.empty();
      if (revision != "main" && revision != "refs/pr/1" && revision != commit && !of_parquet)
        return error(r, 404, "RevisionNotFound");
      std::string list;
      for (const auto& [name, file] : of_parquet ? converted : files)
        list += (list.empty() ? "" : ",") + ("{\"rfilename\":\"" + name + "\"}");
      r.set_content("{\"sha\":\"" + (of_parquet ? parquet_commit : commit) + "\",\"siblings\":[" +
                        list + "]}",
                    "application/json");
      return;
    }
    if (!q.path.starts_with(resolve)) return error(r, 401, "RepoNotFound");
    const size_t slash = q.path.find('/', resolve.size());
    const std::string name = q.path.substr(slash + 1);
    const bool of_parquet = q.path.substr(resolve.size(), slash - resolve.size()) == parquet_commit;
    const auto& here = of_parquet ? converted : files;
    const auto it = here.find(name);
    if (it == here.end()) return error(r, 404, "EntryNotFound");
    r.set_header("X-Repo-Commit", of_parquet ? parquet_commit : commit);
    if (it->second.large) {
      r.set_header("X-Linked-Etag", "\"" + it->second.etag + "\"");
      r.set_header("X-Linked-Size", std::to_string(it->second.contents.size()));
      r.set_redirect(store() + "/blob/" + name + "?Signature=a%2Fb%2B%22c%20d%22", 302);
      return;
    }
    r.set_header("ETag", "\"" + it->second.etag + "\"");
    send(it->second, r);
  }

 private:
  void answer_store(const httplib::Request& q, httplib::Response& r) {
    const auto it = files.find(q.path.substr(std::string("/blob/").size()));
    if (it == files.end()) return error(r, 404, "");
    r.set_header("ETag", "\"another\"");
    send(it->second, r);
  }

  void send(const File& file, httplib::Response& r) {
    if (cuts <= 0) {
      r.set_content(file.contents, "application/octet-stream");
      return;
    }
    r.set_content_provider(file.contents.size(), "application/octet-stream",
                           [this, &file](size_t offset, size_t length, httplib::DataSink& sink) {
                             const size_t n = std::min(length, cut_after);
                             sink.write(file.contents.data() + offset, n);
                             return --cuts < 0 && n == length;
                           });
  }

  static void error(httplib::Response& r, int status, const std::string& code) {
    r.status = status;
    if (!code.empty()) r.set_header("X-Error-Code", code);
  }

  httplib::Server hub_, store_;
  int hub_port_ = 0, store_port_ = 0;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::vector<httplib::Request> requests_;
};

}  // namespace gavel::testing
