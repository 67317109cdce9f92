#include "base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace gavel {

void prefer_large_pages([[maybe_unused]] void* address, [[maybe_unused]] size_t bytes) {
#ifdef MADV_HUGEPAGE
  constexpr uintptr_t kLarge = uintptr_t{1} << 21;
  const auto from = reinterpret_cast<uintptr_t>(address);
  const uintptr_t begin = (from + kLarge - 1) / kLarge * kLarge,
                  end = (from + bytes) / kLarge * kLarge;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

void prepare_heap() {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);              // threads too allocate from this heap
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest it takes
  mallopt(M_TRIM_THRESHOLD, 0x7fffffff);
  // The heap grows once by a gigabyte of addresses, whose pages come as they are touched.
  constexpr int kReserve = 1 << 30;
  mallopt(M_TOP_PAD, kReserve);
  void* const before = ::sbrk(0);
  void* volatile grown = std::malloc(16 << 20);  // volatile: or the compiler leaves both out
  std::free(grown);
  void* const after = ::sbrk(0);
  mallopt(M_TOP_PAD, 64 << 20);
  if (before != reinterpret_cast<void*>(-1) && after > before)
    prefer_large_pages(before,
                       static_cast<size_t>(static_cast<char*>(after) - static_cast<char*>(before)));
#endif
}

}  // namespace gavel
