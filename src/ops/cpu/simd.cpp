// Choosing the instruction set, once.
#include "ops/cpu/simd.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace gavel::kernels {
namespace {

#if defined(__x86_64__)
bool has_f16c() {  // clang's __builtin_cpu_supports did not know it before 19
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

const Simd* by_name(const char* name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  if (std::strcmp(name, "avx512") == 0) return avx512 ? &kSimdAvx512 : nullptr;
  if (std::strcmp(name, "avx2") == 0) return avx2 ? &kSimdAvx2 : nullptr;
#endif
  return std::strcmp(name, "portable") == 0 ? &kSimdPortable : nullptr;
}

const Simd* best() {
  // GAVEL_SIMD names the highest set to use; what it names but the processor lacks is passed over.
  const char* limit = std::getenv("GAVEL_SIMD");
  bool allowed = limit == nullptr || by_name(limit) == nullptr;
  for (const char* name : {"avx512", "avx2"}) {
    allowed = allowed || std::strcmp(limit, name) == 0;
    if (const Simd* found = by_name(name); found && allowed) return found;
  }
  return &kSimdPortable;
}

std::atomic<const Simd*> chosen{nullptr};

}  // namespace

const Simd& simd() {
  const Simd* s = chosen.load(std::memory_order_acquire);
  if (!s) {
    s = best();
    chosen.store(s, std::memory_order_release);
  }
  return *s;
}

bool set_simd(const char* name) {
  const Simd* s = by_name(name);
  if (s) chosen.store(s, std::memory_order_release);
  return s != nullptr;
}

const char* precision_name(Precision precision) {
  switch (precision) {
    case Precision::int16:
      return "int16";
    case Precision::int8:
      return "int8";
    case Precision::float32:
      break;
  }
  return "float32";
}

const char* simd_name() { return simd().name; }

}  // namespace gavel::kernels
