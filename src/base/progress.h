// Progress of long work on stderr: a bar with rate and remaining time on a terminal, and a plain
// line now and then where stderr is a file or a pipe, or nothing there.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gavel {

// What is written where stderr is no terminal.
enum class PlainLines : uint8_t { now_and_then, none };

class Progress {
 public:
  // `unit` is what is counted ("rows", "pairs"); total < 0: not known. `before`: how many an
  // earlier run did, which say nothing of this one's speed.
  Progress(std::string label, int64_t total, std::string unit, int64_t before = 0,
           PlainLines plain = PlainLines::now_and_then);
  // Leaves a finished line behind on success, and a broken-off bar's line end otherwise.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap: draws at most ten times a second. `seconds_left`: where it is known better than from the
  // rate so far.
  void update(int64_t done, std::optional<double> seconds_left = std::nullopt);
  // Takes the bar off the terminal's line, so that something else can be written there.
  void clear();
  void finish();  // the last line, with the time all took

 private:
  using Clock = std::chrono::steady_clock;
  void draw(bool last);

  std::string label_, unit_;
  int64_t total_, before_, done_;
  std::optional<double> seconds_left_;
  bool terminal_, silent_, finished_ = false, drawn_ = false;
  Clock::time_point start_, next_draw_;
};

// "1,234,567"
std::string grouped_digits(int64_t n);
// "1 question", "1,200 questions": things whose plural takes an s.
std::string counted(int64_t n, std::string_view thing);
// "12.5%"; "-" of nothing.
std::string percent(int64_t part, int64_t whole);
// "0.42", "7.5", "1,234": a rate with as many digits as say something.
std::string rate_text(double per_second);
// "7 s", "3 min 20 s", "2 h 5 min"
std::string duration_text(double seconds);

}  // namespace gavel
