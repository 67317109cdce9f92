// What `gavel watch` shows of its runs: the report of the files as they are now, and above it how
// far each run is.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "report/report.h"

namespace gavel {

struct WatchedPage {
  uint64_t version = 0;  // of the contents: the same for the same
  std::vector<ReportSection> sections;
};

class WatchedRuns {
 public:
  // Directories of runs, or their logs. Throws Error for one that is not there, unless `only_new`:
  // then what lies there now is an older run's, and the run to come is waited for.
  WatchedRuns(const std::vector<std::string>& paths, bool only_new);
  ~WatchedRuns();

  // Looks at the files, if the last look is not just past or `surely`; from any thread.
  std::shared_ptr<const WatchedPage> now(bool surely = false);
  // All of it as one file.
  std::string report();

 private:
  struct Watched;
  bool look();
  std::vector<ReportSection> sections() const;
  std::vector<ReportRun> runs() const;

  std::mutex mutex_;
  std::vector<std::unique_ptr<Watched>> watched_;
  std::chrono::steady_clock::time_point looked_, made_;
  std::shared_ptr<const WatchedPage> page_;
};

// How far a run is, as HTML. `now`, `written` (of its last line): Unix seconds.
std::string run_status(const std::string& name, const RunHistory* run, int64_t written,
                       int64_t now);

}  // namespace gavel
