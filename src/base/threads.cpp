#include "base/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/system.h"

namespace gavel {
namespace {

int default_threads() {
  for (const char* name : {"GAVEL_NUM_THREADS", "OMP_NUM_THREADS"}) {
    if (const char* value = std::getenv(name)) {
      const int n = std::atoi(value);
      if (n > 0) return std::min(n, 1024);
    }
  }
  return usable_processors();
}

inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // about as long; "yield" does nothing on most processors
#endif
}

// Workers spin for a moment after each job, since the next kernel usually follows within
// microseconds, and sleep on a condition variable after that.
constexpr int kSpins = 4000;

thread_local bool inside_pool = false;

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
  }

  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (auto& w : workers_) w.join();
  }

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs job(index) for index in [0, size()), index 0 in the caller.
  void run(const std::function<void(int)>& job) {
    std::lock_guard only_one_caller(callers_);
    job_ = &job;
    error_ = nullptr;
    pending_.store(size() - 1, std::memory_order_relaxed);
    {
      std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    if (sleepers_.load(std::memory_order_acquire) > 0) wake_.notify_all();
    inside_pool = true;
    call(0);
    inside_pool = false;
    for (int spins = 0; pending_.load(std::memory_order_acquire) > 0; ++spins) {
      if (spins < kSpins)
        spin_pause();
      else
        std::this_thread::yield();
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void call(int index) {
    try {
      (*job_)(index);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  void work(int index) {
    inside_pool = true;
    uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < kSpins && generation_.load(std::memory_order_acquire) == seen; ++i)
        spin_pause();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex_);
        sleepers_.fetch_add(1, std::memory_order_release);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
        sleepers_.fetch_sub(1, std::memory_order_release);
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_) return;
      call(index);
      pending_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> pending_{0};
  std::atomic<int> sleepers_{0};
  bool stop_ = false;
  const std::function<void(int)>* job_ = nullptr;
  std::exception_ptr error_;
};

std::mutex pool_mutex;
std::shared_ptr<Pool> the_pool;

std::shared_ptr<Pool> pool() {
  std::lock_guard lock(pool_mutex);
  if (!the_pool) the_pool = std::make_shared<Pool>(default_threads());
  return the_pool;
}

}  // namespace

int num_threads() { return pool()->size(); }

void set_num_threads(int n) {
  auto fresh = std::make_shared<Pool>(std::clamp(n, 1, 1024));
  std::lock_guard lock(pool_mutex);
  the_pool.swap(fresh);
}

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  const int64_t grains = (n + grain - 1) / grain;
  if (grains == 1 || inside_pool) return body(0, n);
  const auto threads = pool();
  if (threads->size() == 1) return body(0, n);
  const int64_t parts = std::min<int64_t>(threads->size(), grains);
  threads->run([&](int index) {
    if (index >= parts) return;
    const int64_t begin = grains * index / parts * grain;
    const int64_t end = std::min(n, grains * (index + 1) / parts * grain);
    if (begin < end) body(begin, end);
  });
}

void parallel_for_dynamic(int64_t n, int64_t grain,
                          const std::function<void(int64_t, int64_t)>& body) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (n <= grain || inside_pool) return body(0, n);
  const auto threads = pool();
  if (threads->size() == 1) return body(0, n);
  std::atomic<int64_t> next{0};
  threads->run([&](int) {
    for (;;) {
      const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= n) return;
      body(begin, std::min(n, begin + grain));
    }
  });
}

}  // namespace gavel
