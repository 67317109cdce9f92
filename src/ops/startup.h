// What must be right before any computing.
#pragma once

namespace gavel {

// Sets up the heap and the number of BLAS threads, and checks (on Linux) that libmlx reaches
// OpenBLAS and not the slow reference BLAS of its wheel. Throws Error where it does not.
void start_up();

}  // namespace gavel
