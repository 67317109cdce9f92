#include "watch/watched_runs.h"

#include <fmt/format.h>

#include <array>
#include <ctime>

#include "base/error.h"
#include "base/random.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;

constexpr auto kPause = std::chrono::milliseconds(200);  // between two looks at the files
constexpr auto kSilence = std::chrono::seconds(30);
constexpr const char* kTitle = "gavel watch";

// What tells whether the files of an evaluation are others now.
using Signature = std::array<std::pair<uintmax_t, fs::file_time_type>, 2>;
Signature signature_of(const fs::path& directory) {
  Signature signature{};
  const char* names[] = {"eval.json", "judgements.jsonl"};
  for (size_t i = 0; i < signature.size(); ++i) {
    std::error_code error;
    const auto size = fs::file_size(directory / names[i], error);
    if (error) continue;
    signature[i] = {size + 1, fs::last_write_time(directory / names[i], error)};
  }
  return signature;
}

std::string name_of(const fs::path& directory) {
  fs::path whole = fs::absolute(directory).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  return whole.filename().string();
}

}  // namespace

struct WatchedRuns::Watched {
  Watched(const fs::path& folder, const fs::path& file, bool only_new)
      : directory(folder), log(file, only_new) {
    run.name = name_of(folder);
    if (only_new) evaluation = signature_of(directory);
  }

  fs::path directory;
  RunLogFollower log;
  Signature evaluation{};
  ReportRun run;  // without its log
};

WatchedRuns::WatchedRuns(const std::vector<std::string>& paths, bool only_new) {
  for (const fs::path given : paths) {
    std::error_code ignored;
    const bool is_file = fs::is_regular_file(given, ignored);
    if (!only_new && !is_file && !fs::is_directory(given, ignored))
      fail("{} is not there: give the directory of a run, gavel train's --adapter-path",
           given.string());
    const fs::path folder = is_file ? fs::absolute(given).parent_path() : given;
    watched_.push_back(
        std::make_unique<Watched>(folder, is_file ? given : given / "metrics.jsonl", only_new));
  }
}

WatchedRuns::~WatchedRuns() = default;

bool WatchedRuns::look() {
  bool changed = false;
  for (const auto& watched : watched_) {
    changed = watched->log.poll() || changed;
    const Signature now = signature_of(watched->directory);
    if (now == watched->evaluation) continue;
    watched->evaluation = now;
    changed = true;
    try {
      read_evaluation(watched->directory, watched->run);
    } catch (const Error&) {  // being written; what was read before stays
    }
  }
  return changed;
}

std::vector<ReportRun> WatchedRuns::runs() const {
  std::vector<ReportRun> runs;
  for (const auto& watched : watched_) {
    runs.push_back(watched->run);
    if (watched->log.is_there()) {
      runs.back().log = watched->log.history();
      runs.back().log->name = watched->run.name;
    }
  }
  return runs;
}

std::vector<ReportSection> WatchedRuns::sections() const {
  std::string status;
  const auto now = static_cast<int64_t>(std::time(nullptr));
  for (const auto& watched : watched_) {
    const RunHistory* log = watched->log.is_there() ? &watched->log.history() : nullptr;
    if (log != nullptr || !watched->run.eval)
      status += run_status(watched->run.name, log, watched->log.written(), now);
  }
  std::vector<ReportSection> sections = report_sections(runs(), kTitle);
  if (!status.empty()) sections.insert(sections.begin() + 1, {"status", std::move(status)});
  return sections;
}

std::shared_ptr<const WatchedPage> WatchedRuns::now(bool surely) {
  const std::lock_guard lock(mutex_);
  const auto time = std::chrono::steady_clock::now();
  if (page_ && !surely && time - looked_ < kPause) return page_;
  looked_ = time;
  // Silence, too, is told after a while.
  if (!look() && page_ && time - made_ < kSilence) return page_;
  made_ = time;
  auto page = std::make_shared<WatchedPage>();
  page->sections = sections();
  for (const ReportSection& section : page->sections)
    page->version = stable_hash(section.id + section.html, page->version);
  return page_ = std::move(page);
}

std::string WatchedRuns::report() {
  const std::lock_guard lock(mutex_);
  look();
  return render_html(runs(), kTitle);
}

}  // namespace gavel
