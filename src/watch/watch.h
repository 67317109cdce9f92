// `gavel watch` and `gavel train --watch`: a page on this machine that follows training runs, by
// Server-Sent Events, and is their report afterwards.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "http/metrics.h"
#include "http/server.h"
#include "watch/watched_runs.h"

namespace gavel {

struct WatchRequest {
  std::vector<std::string> runs;
  int port = 0;           // 0: any that is free
  bool only_new = false;  // of each run what lies there now is an older one's
};

class Watch {
 public:
  // Throws Error where a run is not there or the port cannot be bound.
  explicit Watch(const WatchRequest& request);

  std::string address() const;  // "http://127.0.0.1:41234/"
  int port() const { return http_.port(); }
  void run() { http_.run(); }  // until stop()
  void stop();                 // tells the pages how things stand at last; from any thread

 private:
  std::vector<Route> routes();
  void follow(const std::string& version, const Reply::Write& write, Client& client);

  WatchedRuns runs_;
  std::atomic<bool> ended_{false};
  HttpMetrics metrics_;
  HttpServer http_;
};

// Serves until stop_requested says so.
void run_watch(const WatchRequest& request, const std::function<bool()>& stop_requested);

// Serves beside other work, until it is destroyed.
class WatchBeside {
 public:
  explicit WatchBeside(const WatchRequest& request);
  ~WatchBeside();

 private:
  Watch watch_;
  std::thread thread_;
};

}  // namespace gavel
