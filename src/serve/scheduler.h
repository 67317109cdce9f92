// The engine's thread: the work of all requests goes through one model, in running batches.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "generate/engine.h"
#include "generate/prefix_cache.h"
#include "serve/metrics.h"

namespace gavel {

// Text of a sequence that became certain, and the tokens that came since the last piece.
struct Piece {
  size_t sequence = 0;
  std::string text;
  std::vector<std::pair<int, TokenLogprobs>> tokens;  // filled where logprobs were asked for
};

// The work of one request: sequences to generate, or continuations to score.
struct Job {
  using Clock = std::chrono::steady_clock;
  enum class Outcome { done, cancelled, expired, failed };

  std::vector<SequencePtr> sequences;
  std::vector<ScoreRequest> scores;
  std::vector<std::vector<double>> scored;  // results of `scores`
  // Prompts whose own log-probabilities are wanted, with so many of the most likely tokens each;
  // the job's sequences begin when they are known.
  std::vector<std::vector<int>> to_read;
  int read_top = 0;
  std::vector<std::vector<TokenLogprobs>> read;  // results of `to_read`
  const ModelLora* lora = nullptr;               // null: the base model
  Clock::time_point deadline = Clock::time_point::max();
  size_t together = 2;  // sequences that are admitted in one turn, their common prefix read once

  // Called by sequences' on_token, on the engine's thread.
  void push(Piece piece);

 private:
  friend class Scheduler;
  friend class SubmittedJob;
  std::atomic<bool> cancelled_{false};
  size_t admitted_ = 0;  // of the sequences: given to the engine
  bool started_ = false;
  Clock::time_point submitted_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::vector<Piece> pieces_;
  std::optional<Outcome> outcome_;
  std::string error_;
};
using JobPtr = std::shared_ptr<Job>;

struct SchedulerOptions {
  int max_batch = 16;      // sequences that run together
  size_t max_queue = 128;  // requests that may wait for their first token
  size_t prefix_bytes = size_t{512} << 20;
  int64_t prefill_tokens = 512;  // of prompts in one step: what running sequences wait for
};

class Scheduler {
 public:
  // Model and metrics must outlive it.
  Scheduler(const Model& model, const SchedulerOptions& options, ServeMetrics& metrics);
  // Finishes what was accepted.
  ~Scheduler();

  // Throws ApiError: 429 where the queue is full, 503 where the server is stopping.
  void submit(const JobPtr& job);
  // Throws what submit() would throw now.
  void check_room();
  void cancel(Job& job);
  // No new jobs from now on; what was accepted goes on.
  void refuse_new();

 private:
  void run();
  void sweep();
  std::vector<std::vector<SequencePtr>> admit(size_t room);
  JobPtr next_scores();  // of a job that has something to score or to read
  void start(Job& job);
  void check_room_locked() const;
  // How long a client that is refused should wait, from how long jobs took lately.
  int retry_seconds() const;
  void step(std::vector<std::vector<SequencePtr>> added, const JobPtr& scores);
  void finish_done();
  void measure();
  void end(Job& job, Job::Outcome outcome, const std::string& error = "");

  const Model& model_;
  const SchedulerOptions options_;
  ServeMetrics& metrics_;
  PrefixCache prefixes_;          // the thread's
  std::optional<Engine> engine_;  // the thread's
  std::mutex mutex_;              // guards jobs_ and stopping_
  std::condition_variable work_;
  std::list<JobPtr> jobs_;  // all that are not ended, those served last at the back
  bool stopping_ = false;
  std::atomic<double> job_seconds_{1.0};
  std::thread thread_;
};

// A job that was submitted, waited for by the thread of its request. Leaving early, by an exception
// too, cancels the job and waits until the engine has let go of it.
class SubmittedJob {
 public:
  // Throws as submit().
  SubmittedJob(Scheduler& scheduler, JobPtr job);
  ~SubmittedJob();
  SubmittedJob(const SubmittedJob&) = delete;
  SubmittedJob& operator=(const SubmittedJob&) = delete;

  // Waits for the end, giving out pieces as they come; `tick` is called several times a second
  // meanwhile, and both may throw. Throws ApiError where the job failed or its time was over.
  void wait(const std::function<void(const Piece&)>& on_piece, const std::function<void()>& tick);

 private:
  Scheduler& scheduler_;
  JobPtr job_;
};

}  // namespace gavel
