#include "model/encoder.h"

#include <ctime>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "text/unicode.h"

namespace gavel {

namespace {

std::string template_source(const std::string& file) { return read_file(file, size_t{16} << 20); }

// Today's date, where a template writes it into prompts; nothing where it may write the time.
std::optional<std::string> date_for(const std::string& source) {
  if (source.find("strftime_now") == std::string::npos) return "";
  for (const char* time : {"%H", "%I", "%M", "%S", "%T", "%X", "%c", "%p", "%f", "%s", "%R", "%r"})
    if (source.find(time) != std::string::npos) return std::nullopt;
  const std::time_t now = std::time(nullptr);
  std::tm day{};
  ::localtime_r(&now, &day);
  return fmt::format("{}-{}", day.tm_year, day.tm_yday);
}

// A hash of what tokens follow from: the files that a directory's tokenizer is read from, or the
// beginning of a GGUF file, where its metadata is; and the chat template.
std::string encoder_id(const LoadedModel& loaded, const std::string& chat_template) {
  constexpr size_t kMetadata = size_t{64} << 20;
  StreamHash hash;
  const auto add_file = [&](const std::filesystem::path& path) {
    const MappedFile file(path);
    const auto bytes = file.bytes().first(std::min(file.bytes().size(), kMetadata));
    hash.add_field({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  std::error_code ec;
  if (std::filesystem::is_directory(loaded.path, ec)) {
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                             "added_tokens.json"}) {
      hash.add_field(name);
      if (std::filesystem::exists(loaded.path / name, ec)) add_file(loaded.path / name);
    }
  } else if (std::filesystem::is_regular_file(loaded.path, ec)) {
    add_file(loaded.path);
  } else {
    return "";
  }
  const std::string source =
      chat_template.empty() ? loaded.chat_template.value_or("") : template_source(chat_template);
  const auto date = date_for(source);
  if (!date) return "";
  hash.add_field(source);
  hash.add_field(*date);
  hash.add_field(loaded.bos_token);
  hash.add_field(loaded.eos_token);
  const auto value = hash.value();
  return fmt::format("{:016x}{:016x}", value[0], value[1]);
}

}  // namespace

TextEncoder make_encoder(const LoadedModel& loaded, const std::string& chat_template) {
  if (!loaded.tokenizer)
    fail("{} has no tokenizer: a tokenizer.json, or a GGUF file with one, is needed",
         loaded.path.string());
  TextEncoder encoder{.tokenizer = *loaded.tokenizer,
                      .chat_template = {},
                      .bos_token = loaded.bos_token,
                      .eos_token = loaded.eos_token,
                      .eos_token_id = {},
                      .id = {}};
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
  encoder.id = encoder_id(loaded, chat_template);
  return encoder;
}

std::string chat_template_id(const std::string& chat_template) {
  if (chat_template.empty()) return "";
  return fmt::format("{:016x}", stable_hash(template_source(chat_template)));
}

}  // namespace gavel
