# Files named *_portable.cpp, *_avx2.cpp and *_avx512.cpp get the flags of their instruction set.
file(GLOB_RECURSE avx2_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*_avx2.cpp)
file(GLOB_RECURSE avx512_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*_avx512.cpp)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(
    ${avx2_sources} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c" SKIP_PRECOMPILE_HEADERS ON)
  set_source_files_properties(
    ${avx512_sources}
    PROPERTIES COMPILE_OPTIONS
               "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vnni;-mfma;-mf16c;-mprefer-vector-width=512"
               SKIP_PRECOMPILE_HEADERS ON)
endif()
# Kernels, and what launches those of cards, are compiled one by one: what the compiler makes of one
# depends on no other.
file(GLOB kernel_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/cpu/*.cpp
     ${CMAKE_SOURCE_DIR}/src/ops/cuda/*.cpp)
set_source_files_properties(${kernel_sources} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
