#include "ops/cuda/queue.h"

#include <dlfcn.h>

#include <map>
#include <mutex>

#include "base/error.h"
#include "ops/cuda/find_function.h"

namespace gavel::cuda {
namespace {

// CUDA's driver functions (cuda.h), found in the process or opened.
struct Driver {
  int (*device_get)(int*, int);
  int (*device_attribute)(int*, int, int);
  int (*context_retain)(void**, int);
  int (*context_set)(void*);
  int (*stream_create)(void**, unsigned);
  int (*stream_destroy)(void*);
  int (*stream_wait)(void*);
  int (*begin_capture)(void*, int);
  int (*end_capture)(void*, void**);
  int (*graph_destroy)(void*);
  int (*module_load)(void**, const void*);
  int (*module_function)(void**, void*, const char*);
  int (*function_attribute)(void*, int, int);
  int (*launch)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*,
                void**, void**);
  int (*launch_with)(const void*, void*, void**, void**);
  int (*upload)(uint64_t, const void*, size_t, void*);
  int (*download)(void*, uint64_t, size_t, void*);
  int (*fill)(uint64_t, unsigned char, size_t, void*);
  int (*host_alloc)(void**, size_t, unsigned);
  int (*host_free)(void*);
  int (*error_text)(int, const char**);
};

const Driver& driver() {
  static const Driver found = [] {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    if (library == nullptr) fail("NVIDIA's driver (libcuda.so.1) was not found");
    const auto get = [&](auto& function, const char* name) {
      find_function(library, "NVIDIA's driver (libcuda.so.1)", function, name);
    };
    Driver d;
    get(d.device_get, "cuDeviceGet");
    get(d.device_attribute, "cuDeviceGetAttribute");
    get(d.context_retain, "cuDevicePrimaryCtxRetain");
    get(d.context_set, "cuCtxSetCurrent");
    get(d.stream_create, "cuStreamCreate");
    get(d.stream_destroy, "cuStreamDestroy_v2");
    get(d.stream_wait, "cuStreamSynchronize");
    get(d.begin_capture, "cuStreamBeginCapture_v2");
    get(d.end_capture, "cuStreamEndCapture");
    get(d.graph_destroy, "cuGraphDestroy");
    get(d.module_load, "cuModuleLoadData");
    get(d.module_function, "cuModuleGetFunction");
    get(d.function_attribute, "cuFuncSetAttribute");
    get(d.launch, "cuLaunchKernel");
    get(d.launch_with, "cuLaunchKernelEx");
    get(d.upload, "cuMemcpyHtoDAsync_v2");
    get(d.download, "cuMemcpyDtoHAsync_v2");
    get(d.fill, "cuMemsetD8Async");
    get(d.host_alloc, "cuMemHostAlloc");
    get(d.host_free, "cuMemFreeHost");
    get(d.error_text, "cuGetErrorString");
    return d;
  }();
  return found;
}

void check(int status, const char* what) {
  if (status == 0) return;
  const char* text = nullptr;
  driver().error_text(status, &text);
  fail("the card failed {}: {} (CUDA error {})", what, text != nullptr ? text : "unknown", status);
}

// The first field of what MLX keeps for a buffer of the card.
void* first_field(const mx::array& a) {
  const auto* buffer = static_cast<void* const*>(a.buffer().ptr());
  return buffer == nullptr ? nullptr : *buffer;
}

// Asks the card itself once, so that another layout of MLX's buffers is noticed.
void check_layout() {
  const mx::array probe = mx::contiguous(mx::add(mx::arange(1024), mx::array(1)));
  mx::array told = launch(kernel(Source::inference, "tell_address"), {.threads = 1}, {probe}, {{1}},
                          {mx::uint64}, {})[0];
  mx::eval(probe, told);
  if (told.item<uint64_t>() != reinterpret_cast<uint64_t>(first_field(probe)))
    fail("this version of MLX keeps arrays on the card otherwise than gavel knows");
}

}  // namespace

void* address(const mx::array& a) {
  static std::once_flag once;
  std::call_once(once, check_layout);
  return static_cast<char*>(first_field(a)) + a.offset();
}

mx::array device_memory(size_t bytes) {
  // A result of a kernel lies in the card's own memory; this one writes nothing. Its shape is
  // counted in kilobytes, since one side of an array has 31 bits.
  const auto kilobytes = static_cast<int>((bytes + 1023) / 1024);
  auto memory = launch(kernel(Source::inference, "leave_as_it_is"), {.threads = 1}, {mx::array(0)},
                       {{kilobytes, 1024}}, {mx::uint8}, {})[0];
  mx::eval(memory);
  mx::synchronize();
  return memory;
}

Queue::Queue() {
  int device = 0;
  check(driver().device_get(&device, 0), "to be found");
  check(driver().context_retain(&context_, device), "to be set up");
  enter();
  early_ = compute_capability() >= 90;
  constexpr int kMultiprocessors = 16;
  check(driver().device_attribute(&multiprocessors_, kMultiprocessors, device), "to be asked");
  constexpr unsigned kNonBlocking = 1;
  check(driver().stream_create(&stream_, kNonBlocking), "to make a stream");
}

Queue::~Queue() {
  if (stream_ != nullptr) driver().stream_destroy(stream_);
}

void Queue::enter() const { check(driver().context_set(context_), "to be used by a thread"); }

Function Queue::function(Source source, const std::string& expression, int shared_bytes) {
  static std::mutex mutex;
  static std::map<std::pair<Source, std::string>, void*> loaded;  // for as long as the process
  const std::lock_guard lock(mutex);
  void*& handle = loaded[{source, expression}];
  if (handle == nullptr) {
    const Kernel& k = kernel(source, expression);
    void* module = nullptr;
    check(driver().module_load(&module, k.cubin.data()), "to load a kernel");
    check(driver().module_function(&handle, module, k.name.c_str()), "to find a kernel");
  }
  constexpr int kMaxDynamicShared = 8;
  if (shared_bytes > 48000)
    check(driver().function_attribute(handle, kMaxDynamicShared, shared_bytes),
          "to give a kernel shared memory");
  return {handle};
}

void Queue::launch_pointers(const Function& f, const Launch& l,
                            std::span<const void* const> args) const {
  const auto n = [](int x) { return static_cast<unsigned>(x); };
  if (l.early && early_) {
    struct Attribute {  // CUlaunchAttribute
      int id;
      int padding;
      int value[16];
    } attribute{.id = 6, .padding = 0, .value = {1}};  // programmatic stream serialization
    const struct {                                     // CUlaunchConfig
      unsigned grid[3], block[3], shared_bytes;
      void* stream;
      Attribute* attributes;
      unsigned attribute_count;
    } config{{n(l.blocks_x), n(l.blocks_y), 1},
             {n(l.threads), 1, 1},
             n(l.shared_bytes),
             stream_,
             &attribute,
             1};
    check(driver().launch_with(&config, f.handle, const_cast<void**>(args.data()), nullptr),
          "to start a kernel");
    return;
  }
  check(driver().launch(f.handle, n(l.blocks_x), n(l.blocks_y), 1, n(l.threads), 1, 1,
                        n(l.shared_bytes), stream_, const_cast<void**>(args.data()), nullptr),
        "to start a kernel");
}

void Queue::upload(void* to, const void* from, size_t bytes) const {
  check(driver().upload(reinterpret_cast<uint64_t>(to), from, bytes, stream_), "to take data");
}

void Queue::download(void* to, const void* from, size_t bytes) const {
  check(driver().download(to, reinterpret_cast<uint64_t>(from), bytes, stream_), "to give data");
}

void Queue::clear(void* memory, size_t bytes) const {
  check(driver().fill(reinterpret_cast<uint64_t>(memory), 0, bytes, stream_), "to clear memory");
}

void* Queue::captured(const std::function<void()>& work) const {
  constexpr int kOfThisThread = 1;
  check(driver().begin_capture(stream_, kOfThisThread), "to record work");
  void* graph = nullptr;
  try {
    work();
  } catch (...) {
    driver().end_capture(stream_, &graph);
    if (graph != nullptr) free_graph(graph);
    throw;
  }
  check(driver().end_capture(stream_, &graph), "to record work");
  return graph;
}

void Queue::free_graph(void* graph) { driver().graph_destroy(graph); }

void Queue::wait() const { check(driver().stream_wait(stream_), "while computing"); }

PinnedMemory::~PinnedMemory() {
  if (data_ != nullptr) driver().host_free(data_);
}

std::byte* PinnedMemory::reserve(size_t bytes) {
  if (bytes <= size_) return data_;
  if (data_ != nullptr) check(driver().host_free(data_), "to free memory of the host");
  data_ = nullptr;
  size_ = 0;
  void* made = nullptr;
  check(driver().host_alloc(&made, bytes + bytes / 2, 0), "to map memory of the host");
  data_ = static_cast<std::byte*>(made);
  size_ = bytes + bytes / 2;
  return data_;
}

}  // namespace gavel::cuda
