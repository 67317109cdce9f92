#include "model/mapped_array.h"

#include <cstring>
#include <utility>

#include "base/threads.h"
#include "mlx/allocator.h"

namespace gavel {
namespace mx = mlx::core;
namespace {

// MLX's CPU allocator hands out buffers that begin with their size, 8 bytes before the data; its
// own constructor from a pointer therefore copies. On that layout a buffer can be made over foreign
// memory by pointing 8 bytes before it: MLX reads the "size" there only to decide whether an input
// may be overwritten in place, and the map is private and writable (copy-on-write), so that even
// then nothing but this process's own copy of a page changes.
bool cpu_buffer_layout() {
  static const bool yes = [] {
    mx::allocator::Data probe = mx::allocator::malloc(16);
    mx::allocator::Buffer buffer = probe.buffer();
    const char* raw = static_cast<const char*>(buffer.raw_ptr());
    const char* base = static_cast<const char*>(std::as_const(buffer).ptr());
    return raw - base == 8;
  }();
  return yes;
}

}  // namespace

mx::array mapped_array(const std::shared_ptr<const MappedFile>& file, size_t offset,
                       mx::Shape shape, mx::Dtype dtype) {
  char* data = reinterpret_cast<char*>(const_cast<std::byte*>(file->bytes().data())) + offset;
  const size_t item = mx::size_of(dtype);
  if (offset >= 8 && cpu_buffer_layout() && reinterpret_cast<uintptr_t>(data) % item == 0)
    return mx::array(
        mx::allocator::Data(mx::allocator::Buffer(data - 8), [file](mx::allocator::Buffer) {}),
        std::move(shape), dtype);
  size_t bytes = item;
  for (const auto n : shape) bytes *= static_cast<size_t>(n);
  mx::allocator::Data copy = mx::allocator::malloc(bytes);
  // Pages are read and made by as many threads as there are: one takes a second for 4 GB.
  auto* to = static_cast<char*>(copy.buffer().raw_ptr());
  parallel_for(static_cast<int64_t>(bytes), int64_t{1} << 20, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, data + begin, static_cast<size_t>(end - begin));
  });
  file->release(offset, bytes);
  return mx::array(std::move(copy), std::move(shape), dtype);
}

}  // namespace gavel
