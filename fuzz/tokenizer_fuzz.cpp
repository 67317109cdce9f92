// A tokenizer.json, used on a text and on itself.
#include "fuzz.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gavel;
  const std::string_view json = fuzz::text_of(data, size);
  return fuzz::run([&] {
    const Tokenizer tokenizer = Tokenizer::from_json(json, "tokenizer.json");
    for (const std::string_view text :
         {std::string_view("It's 1234 e\xCC\x81t\xC3\xA9s\n\n  <|im_end|> \xF0\x9F\x98\x80\xFF"),
          json.substr(0, 200)}) {
      const auto ids = tokenizer.encode(text, true);
      tokenizer.decode(ids);
      StreamDecoder stream(tokenizer);
      for (const int id : ids) stream.push(id);
      stream.finish();
    }
  });
}
