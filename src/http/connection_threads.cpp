#include "http/connection_threads.h"

namespace gavel {
namespace {

thread_local bool refusing_now = false;

}  // namespace

bool ConnectionThreads::refusing() { return refusing_now; }

void ConnectionThreads::enqueue(std::function<void()> serve) {
  {
    const std::lock_guard lock(mutex_);
    const bool enough = jobs_.size() < idle_;
    if (enough || threads_.size() < most_) {
      jobs_.push_back(std::move(serve));
      if (!enough) threads_.emplace_back([this] { work(); });
      wake_.notify_one();
      return;
    }
  }
  refusing_now = true;
  serve();
  refusing_now = false;
}

void ConnectionThreads::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    wake_.notify_all();
  }
  for (auto& thread : threads_) thread.join();
}

void ConnectionThreads::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [&] { return ended_ || !jobs_.empty(); });
    --idle_;
    if (jobs_.empty()) return;
    auto serve = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    serve();
    lock.lock();
  }
}

}  // namespace gavel
