// The engine's thread: many jobs at once give what each would give alone.
#include "serve/scheduler.h"

#include <future>

#include "adapter/lora.h"
#include "embedded_model.h"
#include "http/api_error.h"
#include "serve/models.h"

namespace gavel {
namespace {

class SchedulerTest : public EmbeddedModelTest {
 protected:
  static std::vector<int> prompt(int seed, size_t length) {
    std::vector<int> tokens;
    for (size_t i = 0; i < length; ++i)
      tokens.push_back(1000 + static_cast<int>((i * 37 + static_cast<size_t>(seed) * 101) % 5000));
    return tokens;
  }
  static JobPtr job(std::vector<std::vector<int>> prompts, int tokens,
                    const ModelLora* lora = nullptr) {
    auto made = std::make_shared<Job>();
    for (auto& p : prompts) {
      auto s = std::make_shared<Sequence>();
      s->prompt = std::move(p);
      s->options.max_tokens = tokens;
      made->sequences.push_back(std::move(s));
    }
    made->lora = lora;
    return made;
  }
  static void finish(Scheduler& scheduler, const JobPtr& job) {
    SubmittedJob(scheduler, job).wait([](const Piece&) {}, [] {});
  }
  static std::vector<int> alone(const std::vector<int>& prompt, int tokens,
                                const ModelLora* lora = nullptr) {
    GenerateOptions options;
    options.max_tokens = tokens;
    return generate(*model, lora, {prompt}, options)[0]->tokens;
  }
  static int status_of_failure(const std::function<void()>& call) {
    try {
      call();
    } catch (const ApiError& e) {
      return e.status;
    }
    return 0;
  }
  // A prompt that takes long enough to be caught running.
  static JobPtr long_job() { return job({prompt(9, 20)}, 2000); }

  ServeMetrics metrics;
};

TEST_F(SchedulerTest, ConcurrentJobsOfTwoAdaptersGiveWhatEachGivesAlone) {
  auto adapter = make_adapter(*model, {.rank = 4, .num_layers = -1}, LoraInit::gaussian, 3);
  for (auto& m : adapter.matrices)
    m.b = mx::multiply(mx::random::normal(m.b.shape(), mx::float32, 0, 1, mx::random::key(5)),
                       mx::array(0.02f));
  const ModelLora lora = bind(*model, adapter);
  evaluate(lora);
  Scheduler scheduler(*model, {.max_batch = 3}, metrics);
  std::vector<JobPtr> jobs;
  std::vector<std::future<void>> running;
  for (int i = 0; i < 6; ++i)
    jobs.push_back(job({prompt(i % 3, 30), prompt(i + 10, 25)}, 5, i % 2 == 0 ? nullptr : &lora));
  for (const auto& j : jobs)
    running.push_back(std::async(std::launch::async, [&, j] { finish(scheduler, j); }));
  for (auto& r : running) r.get();
  bool differs = false;
  for (const auto& j : jobs)
    for (const auto& s : j->sequences) {
      EXPECT_EQ(s->tokens, alone(s->prompt, 5, j->lora));
      differs |= j->lora != nullptr && s->tokens != alone(s->prompt, 5);
      EXPECT_EQ(s->finish, FinishReason::length);
    }
  EXPECT_TRUE(differs);  // the adapter is one that shows
  EXPECT_EQ(metrics.waiting, 0);
  EXPECT_EQ(metrics.generated_tokens, 60);
}

TEST_F(SchedulerTest, PromptsThatBeginAlikeAreReadOnce) {
  Scheduler scheduler(*model, {}, metrics);
  auto first = prompt(1, 60), second = first;
  second.back() += 1;
  const auto a = job({first}, 4), b = job({second}, 4), c = job({first}, 4);
  finish(scheduler, a);
  EXPECT_EQ(a->sequences[0]->reused, 0);
  finish(scheduler, b);
  EXPECT_EQ(b->sequences[0]->reused, 59);
  finish(scheduler, c);
  EXPECT_EQ(c->sequences[0]->reused, 59);  // one token is left to run
  EXPECT_EQ(a->sequences[0]->tokens, alone(first, 4));
  EXPECT_EQ(b->sequences[0]->tokens, alone(second, 4));
  EXPECT_EQ(c->sequences[0]->tokens, a->sequences[0]->tokens);
  EXPECT_EQ(metrics.reused_tokens, 118);
}

TEST_F(SchedulerTest, ScoresAreThoseOfScore) {
  Scheduler scheduler(*model, {}, metrics);
  const std::vector<ScoreRequest> requests = {{prompt(1, 40), {{5}, {6, 7}, {8}}},
                                              {prompt(2, 30), {{9, 10, 11}}}};
  const auto expected = score(*model, nullptr, requests);
  for (int round = 0; round < 2; ++round) {  // the second from the kept prefixes
    auto j = std::make_shared<Job>();
    j->scores = requests;
    finish(scheduler, j);
    ASSERT_EQ(j->scored.size(), 2u);
    for (size_t i = 0; i < 2; ++i)
      for (size_t k = 0; k < expected[i].size(); ++k)
        EXPECT_NEAR(j->scored[i][k], expected[i][k], 1e-3);
  }
}

TEST_F(SchedulerTest, AFullQueueRefuses) {
  Scheduler scheduler(*model, {.max_batch = 1, .max_queue = 1}, metrics);
  SubmittedJob running(scheduler, long_job());
  while (metrics.waiting > 0) std::this_thread::yield();
  SubmittedJob waiting(scheduler, long_job());
  EXPECT_EQ(status_of_failure([&] { SubmittedJob(scheduler, long_job()); }), 429);
  EXPECT_EQ(status_of_failure([&] { scheduler.check_room(); }), 429);
}

TEST_F(SchedulerTest, LeavingCancels) {
  Scheduler scheduler(*model, {.max_batch = 1}, metrics);
  const auto j = long_job();
  EXPECT_THROW(SubmittedJob(scheduler, j)
                   .wait([](const Piece&) {}, [] { throw std::runtime_error("left"); }),
               std::runtime_error);
  EXPECT_EQ(j->sequences[0]->finish, FinishReason::cancelled);
  EXPECT_LT(j->sequences[0]->tokens.size(), 2000u);
  EXPECT_EQ(metrics.cancelled, 1);
  const auto next = job({prompt(4, 20)}, 3);
  finish(scheduler, next);  // the place is free again
  EXPECT_EQ(next->sequences[0]->tokens.size(), 3u);
}

TEST_F(SchedulerTest, TimeLimitsHoldWhileWaitingAndWhileRunning) {
  Scheduler scheduler(*model, {.max_batch = 1}, metrics);
  const auto running = long_job(), waiting = long_job();
  running->deadline = Job::Clock::now() + std::chrono::milliseconds(300);
  waiting->deadline = running->deadline;
  SubmittedJob first(scheduler, running), second(scheduler, waiting);
  const auto wait = [](SubmittedJob& s) { s.wait([](const Piece&) {}, [] {}); };
  EXPECT_EQ(status_of_failure([&] { wait(first); }), 504);
  EXPECT_EQ(status_of_failure([&] { wait(second); }), 504);
}

TEST_F(SchedulerTest, WhatCannotRunFailsAloneAndTheRestGoesOn) {
  Scheduler scheduler(*model, {}, metrics);
  EXPECT_EQ(status_of_failure([&] { finish(scheduler, job({{}}, 3)); }), 500);
  EXPECT_EQ(status_of_failure([&] { finish(scheduler, job({{-1}}, 3)); }), 500);
  const auto next = job({prompt(4, 20)}, 3);
  finish(scheduler, next);
  EXPECT_EQ(next->sequences[0]->tokens.size(), 3u);
}

TEST_F(SchedulerTest, TheEndFinishesWhatWasAccepted) {
  const auto j = job({prompt(1, 20), prompt(2, 20), prompt(3, 20)}, 4);
  {
    Scheduler scheduler(*model, {.max_batch = 1}, metrics);
    SubmittedJob submitted(scheduler, j);
    scheduler.refuse_new();
    EXPECT_EQ(status_of_failure([&] { SubmittedJob(scheduler, long_job()); }), 503);
    submitted.wait([](const Piece&) {}, [] {});
  }
  for (const auto& s : j->sequences) EXPECT_EQ(s->tokens.size(), 4u);
}

}  // namespace
}  // namespace gavel
