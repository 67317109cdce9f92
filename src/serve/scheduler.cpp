#include "serve/scheduler.h"

#include <algorithm>
#include <utility>

#include "http/api_error.h"

namespace gavel {
namespace {

constexpr size_t kScoreTokens = 2048;  // scored between two steps

}  // namespace

void Job::push(Piece piece) {
  const std::lock_guard lock(mutex_);
  pieces_.push_back(std::move(piece));
  changed_.notify_all();
}

Scheduler::Scheduler(const Model& model, const SchedulerOptions& options, ServeMetrics& metrics)
    : model_(model), options_(options), metrics_(metrics), prefixes_(options.prefix_bytes) {
  thread_ = std::thread([this] { run(); });
}

Scheduler::~Scheduler() {
  refuse_new();
  thread_.join();
}

void Scheduler::refuse_new() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  work_.notify_all();
}

void Scheduler::check_room() {
  const std::lock_guard lock(mutex_);
  check_room_locked();
}

void Scheduler::check_room_locked() const {
  if (stopping_) throw ApiError(503, "server_error", "The server is stopping.", "", "stopping");
  if (metrics_.waiting < static_cast<int64_t>(options_.max_queue)) return;
  ApiError error(429, "rate_limit_error", "Too many requests are waiting: try again later.", "",
                 "queue_full");
  error.retry_seconds = retry_seconds();
  throw error;
}

void Scheduler::submit(const JobPtr& job) {
  const std::lock_guard lock(mutex_);
  check_room_locked();
  ++metrics_.waiting;
  job->submitted_ = Job::Clock::now();
  jobs_.push_back(job);
  work_.notify_all();
}

void Scheduler::cancel(Job& job) {
  job.cancelled_ = true;
  const std::lock_guard lock(mutex_);
  work_.notify_all();
}

int Scheduler::retry_seconds() const {
  const double turns = static_cast<double>(metrics_.waiting) / std::max(options_.max_batch, 1);
  return static_cast<int>(std::clamp(job_seconds_ * (1 + turns), 1.0, 60.0));
}

void Scheduler::run() {
  engine_.emplace(model_, options_.prefill_tokens, &prefixes_);
  for (;;) {
    std::vector<std::vector<SequencePtr>> added;
    JobPtr scores;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
      sweep();
      if (jobs_.empty()) {
        engine_->step();  // which lets go of what was cancelled
        measure();
        if (stopping_) return;
        continue;
      }
      const auto most = static_cast<size_t>(std::max(options_.max_batch, 1));
      added = admit(most - std::min(most, engine_->active()));
      scores = next_scores();
    }
    step(std::move(added), scores);
    const std::lock_guard lock(mutex_);
    finish_done();
    measure();
  }
}

void Scheduler::measure() {
  metrics_.active = static_cast<int64_t>(engine_->active());
  metrics_.prefix_bytes = static_cast<int64_t>(prefixes_.bytes());
  metrics_.prefix_entries = static_cast<int64_t>(prefixes_.entries());
}

// Ends the jobs whose client left or whose time is over.
void Scheduler::sweep() {
  const auto now = Job::Clock::now();
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    Job& job = **it;
    if (!job.cancelled_ && now < job.deadline) {
      ++it;
      continue;
    }
    for (const auto& s : job.sequences)
      if (s->finish == FinishReason::none) s->finish = FinishReason::cancelled;
    end(job, job.cancelled_ ? Job::Outcome::cancelled : Job::Outcome::expired);
    it = jobs_.erase(it);
  }
}

// The sequences that start now, those of one adapter together: jobs take turns.
std::vector<std::vector<SequencePtr>> Scheduler::admit(size_t room) {
  std::vector<std::pair<const ModelLora*, std::vector<SequencePtr>>> groups;
  size_t idle = 0;  // jobs in a row that had nothing to start
  while (room > 0 && idle < jobs_.size()) {
    Job& job = *jobs_.front();
    jobs_.splice(jobs_.end(), jobs_, jobs_.begin());
    const bool ready = job.read.size() == job.to_read.size();
    const size_t count =
        ready ? std::min({job.together, room, job.sequences.size() - job.admitted_}) : 0;
    idle = count == 0 ? idle + 1 : 0;
    if (count == 0) continue;
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const auto& g) { return g.first == job.lora; });
    if (group == groups.end()) group = groups.insert(group, {job.lora, {}});
    for (size_t i = 0; i < count; ++i) {
      group->second.push_back(job.sequences[job.admitted_ + i]);
      group->second.back()->lora = job.lora;
    }
    start(job);
    job.admitted_ += count;
    room -= count;
  }
  std::vector<std::vector<SequencePtr>> added;
  for (auto& group : groups) added.push_back(std::move(group.second));
  return added;
}

JobPtr Scheduler::next_scores() {
  const auto it = std::find_if(jobs_.begin(), jobs_.end(), [](const JobPtr& job) {
    return job->scored.size() < job->scores.size() || job->read.size() < job->to_read.size();
  });
  if (it == jobs_.end()) return nullptr;
  JobPtr job = *it;
  start(*job);
  jobs_.splice(jobs_.end(), jobs_, it);
  return job;
}

void Scheduler::start(Job& job) {
  if (!std::exchange(job.started_, true)) --metrics_.waiting;
}

// One step of the engine and a part of a job that scores or reads. What fails takes all running
// jobs with it, since the engine's state is not known then.
void Scheduler::step(std::vector<std::vector<SequencePtr>> added, const JobPtr& scores) {
  try {
    for (const auto& group : added) engine_->add(group, group.front()->lora);
    engine_->step();
    if (!scores) return;
    if (scores->read.size() < scores->to_read.size()) {
      const auto& prompt = scores->to_read[scores->read.size()];
      scores->read.push_back(
          read_logprobs(model_, scores->lora, prompt, scores->read_top, &prefixes_));
      metrics_.prompt_tokens += static_cast<int64_t>(prompt.size());
      return;
    }
    size_t count = 0, tokens = 0;
    const auto rest = std::span(scores->scores).subspan(scores->scored.size());
    while (count < rest.size() && (count == 0 || tokens + rest[count].prompt.size() < kScoreTokens))
      tokens += rest[count++].prompt.size();
    auto results = score(model_, scores->lora, rest.first(count), options_.max_batch, &prefixes_);
    for (auto& r : results) scores->scored.push_back(std::move(r));
    metrics_.prompt_tokens += static_cast<int64_t>(tokens);
  } catch (const std::exception& e) {
    engine_.emplace(model_, options_.prefill_tokens, &prefixes_);
    const std::lock_guard lock(mutex_);
    for (auto it = jobs_.begin(); it != jobs_.end();) {
      const bool started = (*it)->started_;
      if (started) end(**it, Job::Outcome::failed, e.what());
      it = started ? jobs_.erase(it) : std::next(it);
    }
  }
}

void Scheduler::finish_done() {
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    Job& job = **it;
    const bool done =
        job.scored.size() == job.scores.size() && job.read.size() == job.to_read.size() &&
        std::all_of(job.sequences.begin(), job.sequences.end(),
                    [](const SequencePtr& s) { return s->finish != FinishReason::none; });
    if (done) end(job, Job::Outcome::done);
    it = done ? jobs_.erase(it) : std::next(it);
  }
}

void Scheduler::end(Job& job, Job::Outcome outcome, const std::string& error) {
  start(job);  // it waits no longer
  for (size_t i = 0; i < job.sequences.size(); ++i) {
    Sequence& s = *job.sequences[i];
    s.cache.reset();
    s.on_token = nullptr;
    if (i >= job.admitted_) continue;
    metrics_.prompt_tokens += static_cast<int64_t>(s.prompt.size());
    metrics_.reused_tokens += s.reused;
    metrics_.generated_tokens += static_cast<int64_t>(s.tokens.size());
  }
  if (outcome == Job::Outcome::done)
    job_seconds_ = 0.8 * job_seconds_ +
                   0.2 * std::chrono::duration<double>(Job::Clock::now() - job.submitted_).count();
  if (outcome == Job::Outcome::cancelled || outcome == Job::Outcome::expired) ++metrics_.cancelled;
  const std::lock_guard lock(job.mutex_);
  job.outcome_ = outcome;
  job.error_ = error;
  job.changed_.notify_all();
}

SubmittedJob::SubmittedJob(Scheduler& scheduler, JobPtr job)
    : scheduler_(scheduler), job_(std::move(job)) {
  scheduler_.submit(job_);
}

SubmittedJob::~SubmittedJob() {
  std::unique_lock lock(job_->mutex_);
  if (job_->outcome_) return;
  lock.unlock();
  scheduler_.cancel(*job_);
  lock.lock();
  job_->changed_.wait(lock, [&] { return job_->outcome_.has_value(); });
}

void SubmittedJob::wait(const std::function<void(const Piece&)>& on_piece,
                        const std::function<void()>& tick) {
  std::unique_lock lock(job_->mutex_);
  for (;;) {
    job_->changed_.wait_for(lock, std::chrono::milliseconds(200),
                            [&] { return job_->outcome_.has_value() || !job_->pieces_.empty(); });
    const auto pieces = std::exchange(job_->pieces_, {});
    const auto outcome = job_->outcome_;
    lock.unlock();
    for (const Piece& piece : pieces) on_piece(piece);
    if (outcome) break;
    tick();
    lock.lock();
  }
  switch (*job_->outcome_) {
    case Job::Outcome::done:
      return;
    case Job::Outcome::expired:
      throw ApiError(504, "timeout_error", "The request's time limit is over.", "", "timeout");
    case Job::Outcome::cancelled:
      throw ApiError(499, "cancelled", "The request was cancelled.");
    case Job::Outcome::failed:
      throw ApiError(500, "server_error", "The request could not be computed: " + job_->error_);
  }
}

}  // namespace gavel
