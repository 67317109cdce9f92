#include "report/run_log.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <utility>

#include "base/error.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kLongestLine = size_t{4} << 20;

// In order of steps; what is written last of a step holds.
template <typename Point>
void put(std::vector<Point>& points, Point point) {
  const auto before = [](const Point& p, int64_t step) { return p.step < step; };
  const auto at = points.empty() || points.back().step < point.step
                      ? points.end()
                      : std::lower_bound(points.begin(), points.end(), point.step, before);
  if (at != points.end() && at->step == point.step)
    *at = std::move(point);
  else
    points.insert(at, std::move(point));
}

std::optional<ValidPoint> least_loss(const RunHistory& run) {
  std::optional<ValidPoint> best;
  for (const ValidPoint& p : run.valid)
    if (std::isfinite(p.loss) && (!best || p.loss < best->loss)) best = p;
  return best;
}

// Mean train loss of the points in (after, until].
double mean_loss(const RunHistory& run, int64_t after, int64_t until) {
  double sum = 0;
  int64_t count = 0;
  for (const TrainPoint& p : run.train)
    if (p.step > after && p.step <= until && std::isfinite(p.loss)) {
      sum += p.loss;
      ++count;
    }
  return count > 0 ? sum / static_cast<double>(count) : std::nan("");
}

}  // namespace

double number_or_nan(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number()) return std::numeric_limits<double>::quiet_NaN();
  return it->get<double>();
}

std::string text_or_empty(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return "";
  if (it->is_string()) return it->get<std::string>();
  return it->dump(-1, ' ', false, Json::error_handler_t::replace);
}

namespace {

TrialJudgement judgement_of(const Json& entry) {
  TrialJudgement j;
  j.question = text_or_empty(entry, "question");
  j.single = entry.contains("answer");
  j.answer_a = text_or_empty(entry, j.single ? "answer" : "answer_a");
  j.answer_b = text_or_empty(entry, "answer_b");
  j.label = text_or_empty(entry, "label");
  Opinion& o = j.opinion;
  o.verdict = text_or_empty(entry, "verdict");
  o.text = text_or_empty(entry, "text");
  o.exchanged = text_or_empty(entry, "verdict_ba");
  if (o.exchanged == o.verdict)
    o.exchanged.clear();
  else
    o.exchanged_text = text_or_empty(entry, "text_ba");
  o.confidence = number_or_nan(entry, "confidence");
  const auto right = entry.find("right");
  o.right = right != entry.end() && right->is_boolean() && right->get<bool>();
  return j;
}

TrialPoint trial_of(int64_t step, const Json& event) {
  TrialPoint point{step, 0, {}, {}};
  if (const double pairs = number_or_nan(event, "pairs"); pairs >= 0 && pairs < 1e15)
    point.pairs = static_cast<int64_t>(pairs);
  if (const auto figures = event.find("figures"); figures != event.end() && figures->is_object())
    for (const auto& [name, value] : figures->items())
      if (value.is_number() && std::isfinite(value.get<double>()))
        point.figures.emplace_back(name, value.get<double>());
  if (const auto list = event.find("judgements"); list != event.end() && list->is_array())
    for (const Json& entry : *list)
      if (entry.is_object()) point.judgements.push_back(judgement_of(entry));
  return point;
}

void take_iters(RunHistory& run, const Json& event) {
  if (const double iters = number_or_nan(event, "iters"); iters >= 1 && iters < 1e15)
    run.iters = static_cast<int64_t>(iters);
}

void take_line(RunHistory& run, std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string::npos) return;
  const Json event = Json::parse(line, nullptr, false);
  const std::string kind = event.is_object() ? text_or_empty(event, "event") : "";
  const double at = event.is_object() ? number_or_nan(event, "step") : std::nan("");
  const bool has_step = at >= 0 && at < 1e15;
  const int64_t step = has_step ? static_cast<int64_t>(at) : 0;
  const bool of_a_step = kind == "train" || kind == "valid" || kind == "best" || kind == "judged";
  if (kind.empty() || (of_a_step && !has_step)) {
    ++run.skipped_lines;
  } else if (kind == "config") {
    run.config = event;
    run.config.erase("event");
    take_iters(run, event);
  } else if (kind == "resume") {
    run.end.reset();
    take_iters(run, event);
  } else if (kind == "train") {
    put(run.train,
        TrainPoint{step, number_or_nan(event, "loss"), number_or_nan(event, "lr"),
                   number_or_nan(event, "tokens_per_second"), number_or_nan(event, "grad_norm"),
                   number_or_nan(event, "peak_memory_gb"), number_or_nan(event, "trained_tokens"),
                   number_or_nan(event, "seconds_left")});
  } else if (kind == "valid") {
    put(run.valid, ValidPoint{step, number_or_nan(event, "loss"), number_or_nan(event, "gap"),
                              number_or_nan(event, "metric")});
  } else if (kind == "judged") {
    put(run.judged, trial_of(step, event));
  } else if (kind == "best") {
    run.best_step = step;
  } else if (kind == "end") {
    run.end = event;
    run.end->erase("event");
  }  // other events are a later version's
}

}  // namespace

RunHistory read_run_history(const fs::path& given) {
  std::error_code ignored;
  const fs::path path = fs::is_directory(given, ignored) ? given / "metrics.jsonl" : given;
  if (!std::ifstream(path, std::ios::binary))
    fail("cannot open {}: a run directory has a metrics.jsonl", path.string());
  RunLogFollower log(path);
  log.poll();
  log.finish();
  return log.history();
}

RunLogFollower::RunLogFollower(fs::path file, bool only_new) : file_(std::move(file)) {
  if (const auto now = look(file_); only_new && now) ignored_ = now->id;
  begin_anew();
}

std::optional<RunLogFollower::Look> RunLogFollower::look(const fs::path& file) {
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return std::nullopt;
  return Look{{static_cast<uint64_t>(s.st_dev), static_cast<uint64_t>(s.st_ino)},
              static_cast<uint64_t>(s.st_size),
              static_cast<int64_t>(s.st_mtime)};
}

void RunLogFollower::begin_anew() {
  read_ = 0;
  pending_.clear();
  skipping_ = false;
  history_ = {};
  history_.config = Json::object();
  history_.name = fs::absolute(file_).lexically_normal().parent_path().filename().string();
}

bool RunLogFollower::poll() {
  const auto now = look(file_);
  if (!now || now->id == ignored_) return false;
  bool changed = false;
  if (file_id_ != now->id || now->size < read_) {
    begin_anew();
    file_id_ = now->id;
    changed = true;
  }
  if (now->size == read_) return changed;
  written_ = now->written;
  std::ifstream in(file_, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(read_));
  std::string bytes(size_t{1} << 16, '\0');
  while (in.read(bytes.data(), static_cast<std::streamsize>(bytes.size())), in.gcount() > 0) {
    const auto got = static_cast<size_t>(in.gcount());
    take({bytes.data(), got});
    read_ += got;
    changed = true;
  }
  return changed;
}

void RunLogFollower::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (!skipping_) pending_ += part;
    if (pending_.size() > kLongestLine) {
      skipping_ = true;
      pending_.clear();
    }
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    finish();
  }
}

void RunLogFollower::finish() {
  if (std::exchange(skipping_, false)) ++history_.skipped_lines;
  take_line(history_, std::exchange(pending_, {}));
}

std::optional<ValidPoint> best_point(const RunHistory& run) {
  for (const ValidPoint& p : run.valid)
    if (p.step == run.best_step && std::isfinite(p.loss)) return p;
  return least_loss(run);
}

std::optional<int64_t> overfitting_onset(const RunHistory& run) {
  const auto best = least_loss(run);
  if (!best) return std::nullopt;
  std::vector<ValidPoint> after;
  double noise = 0;
  std::optional<double> last;
  for (const ValidPoint& p : run.valid) {
    if (!std::isfinite(p.loss)) continue;
    if (p.step > best->step) after.push_back(p);
    if (last) noise = std::max(noise, p.step > best->step ? *last - p.loss : p.loss - *last);
    last = p.loss;
  }
  if (after.size() < 3) return std::nullopt;
  const double rise = after.back().loss - best->loss;
  if (rise <= 0.01 * best->loss || rise <= 2 * noise) return std::nullopt;
  const int64_t stretch = after.back().step - best->step;
  const double train_before = mean_loss(run, best->step - stretch, best->step);
  const double train_after = mean_loss(run, best->step, after.back().step);
  if (train_after >= train_before) return std::nullopt;  // diverging or noise, not overfitting
  return best->step;
}

}  // namespace gavel
