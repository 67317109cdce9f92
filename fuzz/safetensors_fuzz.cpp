// A safetensors file: its header, and every tensor's first and last byte.
#include "fuzz.h"
#include "model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gavel;
  return fuzz::run([&] {
    const SafetensorsFile file(fuzz::as_file(fuzz::text_of(data, size)));
    for (const auto& [name, entry] : file.entries()) {
      const mlx::core::array tensor = file.read(name);
      if (tensor.nbytes() == 0) continue;
      const auto* bytes = static_cast<const volatile uint8_t*>(tensor.buffer().raw_ptr());
      static_cast<void>(bytes[0]);
      static_cast<void>(bytes[tensor.nbytes() - 1]);
    }
  });
}
