// A whole .gguf model: container, configuration, tensors of every type, tokenizer.
#include "fuzz.h"
#include "model/gguf_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gavel;
  return fuzz::run([&] {
    const LoadedModel model = load_gguf_model(fuzz::as_file(fuzz::text_of(data, size)));
    if (model.tokenizer)
      model.tokenizer->decode(model.tokenizer->encode("a judge's 12 words", true));
  });
}
