// How memory is laid out: large pages, and a heap that keeps what it has.
#pragma once

#include <cstddef>

namespace gavel {

// Asks for large pages where [address, address + bytes) covers some whole ones. Only a wish.
void prefer_large_pages(void* address, size_t bytes);

// To be called once, before other threads run. Makes the heap one region that grows in large pages
// and is never given back: weights and activations are read faster (fewer address translations,
// above all on virtual machines), and a training step need not have its memory cleared anew by the
// kernel. Reserves address space only. Does nothing where the C library is not glibc.
void prepare_heap();

}  // namespace gavel
