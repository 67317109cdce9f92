// A queue of work on the card beside MLX's own: kernels of ours launched one after another on plain
// device memory. Inference uses it, since making a graph of a token's operations takes MLX longer
// than the card takes for them. CUDA's driver is found in the process, as NVRTC is.
#pragma once

#include <functional>
#include <span>

#include "ops/cuda/program.h"

namespace gavel::cuda {

// Where an evaluated array's values lie on the card. They must not be written or read by MLX
// meanwhile. Throws Error where MLX keeps its arrays otherwise than is known here.
void* address(const mx::array& a);

// Memory of the card, uninitialized, of MLX's pool: it counts as MLX's, and goes back with the
// array. Throws Error where there is not so much.
mx::array device_memory(size_t bytes);

// A kernel on the card, for a queue's launches.
struct Function {
  void* handle = nullptr;
};

class Queue {
 public:
  Queue();
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Makes the card current for this thread; to be called before the others from a new thread.
  void enter() const;
  // The kernel `expression` of a source (ops/cuda/program.h), with room for so much shared memory.
  Function function(Source source, const std::string& expression, int shared_bytes = 0);

  // The arguments are passed as they are and must have the types of the kernel's parameters.
  template <typename... Args>
  void launch(const Function& function, const Launch& launch, const Args&... args) const {
    const void* pointers[] = {static_cast<const void*>(&args)...};
    launch_pointers(function, launch, pointers);
  }
  // `from` must stay as it is until wait().
  void upload(void* to, const void* from, size_t bytes) const;
  void download(void* to, const void* from, size_t bytes) const;
  void clear(void* memory, size_t bytes) const;
  // What `work` would do on the stream, as a graph (CUgraph), which free_graph() takes.
  void* captured(const std::function<void()>& work) const;
  static void free_graph(void* graph);
  // Until everything so far is done. Throws Error where something failed.
  void wait() const;
  void* stream() const { return stream_; }
  int multiprocessors() const { return multiprocessors_; }

 private:
  void launch_pointers(const Function& function, const Launch& launch,
                       std::span<const void* const> args) const;
  void* context_ = nullptr;
  void* stream_ = nullptr;
  int multiprocessors_ = 0;
  bool early_ = false;  // whether the card can start kernels early
};

// Memory of the host that the card copies from and to without a detour.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  // At least so many bytes; what was there is lost.
  std::byte* reserve(size_t bytes);
  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace gavel::cuda
