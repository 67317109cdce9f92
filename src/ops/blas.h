// The BLAS that libmlx calls: OpenBLAS on Linux, Accelerate on macOS.
#pragma once

#include <string>

namespace gavel {

// Gives it as many threads as our own pool has. Throws Error where libmlx would use another.
void prepare_blas();

std::string blas_name();
// The processor whose kernels OpenBLAS chose; empty for Accelerate, which says nothing.
std::string blas_core();

}  // namespace gavel
