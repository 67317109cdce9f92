#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace gavel {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainLine = std::chrono::seconds(10);

bool is_terminal() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

int terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

std::string grouped_digits(int64_t n) {
  std::string digits = std::to_string(n), out;
  const size_t sign = n < 0 ? 1 : 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > sign && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string counted(int64_t n, std::string_view thing) {
  return fmt::format("{} {}{}", grouped_digits(n), thing, n == 1 ? "" : "s");
}

std::string percent(int64_t part, int64_t whole) {
  return whole == 0 ? "-"
                    : fmt::format("{:.1f}%",
                                  100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string rate_text(double per_second) {
  if (per_second >= 100) return grouped_digits(std::llround(std::min(per_second, 1e15)));
  return fmt::format("{:.{}f}", per_second, per_second >= 10 ? 0 : per_second >= 1 ? 1 : 2);
}

std::string duration_text(double seconds) {
  const int64_t s = std::llround(std::max(0.0, std::min(seconds, 1e9)));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
}

Progress::Progress(std::string label, int64_t total, std::string unit, int64_t before,
                   PlainLines plain)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      before_(before),
      done_(before),
      terminal_(is_terminal()),
      silent_(!terminal_ && plain == PlainLines::none),
      start_(Clock::now()),
      next_draw_(start_ + (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kPlainLine))) {}

Progress::~Progress() {
  if (!finished_ && drawn_ && terminal_) std::fputc('\n', stderr);
}

void Progress::update(int64_t done, std::optional<double> seconds_left) {
  done_ = done;
  seconds_left_ = seconds_left;
  const auto now = Clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kPlainLine));
  draw(false);
}

void Progress::clear() {
  if (!drawn_ || !terminal_ || finished_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

void Progress::finish() {
  if (std::exchange(finished_, true)) return;
  draw(true);
}

void Progress::draw(bool last) {
  if (silent_) return;
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double rate = elapsed > 0 ? static_cast<double>(done_ - before_) / elapsed : 0.0;
  std::string tail = fmt::format("{} {}", grouped_digits(done_), unit_);
  if (total_ > 0 && !last)
    tail = fmt::format("{} of {} {}", grouped_digits(done_), grouped_digits(total_), unit_);
  tail += fmt::format(", {}/s", rate_text(rate));
  if (last) {
    tail += fmt::format(", {}", duration_text(elapsed));
  } else if (total_ > 0 && (seconds_left_ || rate > 0)) {
    const double left = seconds_left_.value_or(static_cast<double>(total_ - done_) / rate);
    tail += fmt::format(", {} left", duration_text(left));
  }
  if (!terminal_) {
    std::fprintf(stderr, "%s: %s\n", label_.c_str(), tail.c_str());
    return;
  }
  std::string bar;
  const int room = terminal_width() - static_cast<int>(label_.size() + tail.size()) - 5;
  if (total_ > 0 && room >= 8) {
    const int width = std::min(room, 40);
    const auto filled = static_cast<int>(std::clamp<int64_t>(done_ * width / total_, 0, width));
    bar = fmt::format("[{:=<{}}{: <{}}] ", "", filled, "", width - filled);
  }
  std::fprintf(stderr, "\r%s %s%s\x1b[K%s", label_.c_str(), bar.c_str(), tail.c_str(),
               last ? "\n" : "");
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace gavel
