#include "data/encoder.h"

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "text/unicode.h"

namespace gavel {

namespace {

std::string template_source(const std::string& file) { return read_file(file, size_t{16} << 20); }

}  // namespace

TextEncoder make_encoder(const LoadedModel& loaded, const std::string& chat_template) {
  if (!loaded.tokenizer)
    fail("{} has no tokenizer: a tokenizer.json, or a GGUF file with one, is needed",
         loaded.path.string());
  TextEncoder encoder{.tokenizer = *loaded.tokenizer,
                      .chat_template = {},
                      .bos_token = loaded.bos_token,
                      .eos_token = loaded.eos_token,
                      .eos_token_id = {}};
  if (!chat_template.empty()) {
    const std::string source = template_source(chat_template);
    try {
      if (!unicode::is_valid(source)) fail("it is not UTF-8");
      encoder.chat_template.emplace(source);
    } catch (const Error& e) {
      fail("{}: {}", chat_template, e.what());
    }
  } else if (loaded.chat_template) {
    encoder.chat_template.emplace(*loaded.chat_template);
  }
  if (!loaded.eos_token.empty())
    encoder.eos_token_id = loaded.tokenizer->token_to_id(loaded.eos_token);
  return encoder;
}

std::string chat_template_id(const std::string& chat_template) {
  if (chat_template.empty()) return "";
  return fmt::format("{:016x}", stable_hash(template_source(chat_template)));
}

}  // namespace gavel
