#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/progress.h"
#include "report/svg.h"
#include "watch/watched_runs.h"

namespace gavel {
namespace {

using svg::escape;
using svg::number;

// Seconds that the run took between its last two lines of figures; 0 where not known.
double usual_pause(const RunHistory& run) {
  if (run.train.size() < 2) return 0;
  const double pause = run.train[run.train.size() - 2].seconds_left - run.train.back().seconds_left;
  return std::isfinite(pause) ? std::max(pause, 0.0) : 0;
}

std::string state_of(const RunHistory& run, int64_t silent_seconds) {
  if (run.end) {
    const std::string reason = text_or_empty(*run.end, "reason");
    if (reason == "early_stopped") return "stopped early";
    if (reason == "interrupted") return "stopped; gavel train --resume goes on with it";
    return "finished";
  }
  constexpr double kPatience = 300;
  if (static_cast<double>(silent_seconds) > std::max(kPatience, 5 * usual_pause(run)))
    return "silent for long: if it was killed, gavel train --resume goes on with it";
  return run.train.empty() && run.valid.empty() ? "starting" : "running";
}

void add(std::string& tags, const char* name, double value, const char* unit = "") {
  if (std::isfinite(value))
    tags += fmt::format("<span>{} <b>{}{}</b></span>", name, number(value), unit);
}

}  // namespace

std::string run_status(const std::string& name, const RunHistory* run, int64_t written,
                       int64_t now) {
  const auto line = [&](const std::string& state) {
    return fmt::format("<div class=\"run\"><b>{}</b> <span class=\"muted\">{}</span>", escape(name),
                       escape(state));
  };
  if (run == nullptr) return line("waiting for the first line of its log") + "</div>\n";
  int64_t step = run->train.empty() ? 0 : run->train.back().step;
  if (!run->valid.empty()) step = std::max(step, run->valid.back().step);
  std::string out = line(state_of(*run, now - written)), tags;
  if (run->iters > 0)
    out += fmt::format("<progress max=\"{}\" value=\"{}\" aria-label=\"steps done\"></progress>",
                       run->iters, std::min(step, run->iters));
  tags += fmt::format("<span>step <b>{}</b>{}</span>", step,
                      run->iters > 0 ? fmt::format(" of {}", run->iters) : "");
  if (!run->train.empty()) {
    const TrainPoint& last = run->train.back();
    // The page counts on from there, to the moment at which the run should be done.
    if (!run->end && std::isfinite(last.seconds_left) && last.seconds_left < 1e9)
      tags += fmt::format("<span><b data-ends=\"{}\">{}</b> left</span>",
                          written + static_cast<int64_t>(last.seconds_left),
                          duration_text(last.seconds_left));
    add(tags, "loss", last.loss);
    if (!run->valid.empty()) add(tags, "validation", run->valid.back().loss);
    add(tags, "learning rate", last.lr);
    add(tags, "gradient norm", last.grad_norm);
    add(tags, "tokens/s", last.tokens_per_second);
    add(tags, "memory", last.peak_memory_gb, " GB");
  }
  return out + "<div class=\"tags\">" + tags + "</div></div>\n";
}

}  // namespace gavel
