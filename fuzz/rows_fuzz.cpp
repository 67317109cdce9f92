// Data files, in every layout and packing: training records (chat, completion, text) and raw
// preference data. The first byte says which, and whether the name is that of a CSV file.
#include "data/dataset.h"
#include "data/raw_pairs.h"
#include "fuzz.h"

namespace {

gavel::TextEncoder encoder() {
  // Every character of ASCII is a token.
  std::string vocabulary;
  for (int c = 33; c < 127; ++c) {
    if (c == '"' || c == '\\') continue;
    vocabulary +=
        fmt::format("{}\"{}\":{}", vocabulary.empty() ? "" : ",", static_cast<char>(c), c - 33);
  }
  const std::string json = R"({"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},)"
                           R"("added_tokens":[{"id":100,"content":"<end>","special":true}],)"
                           R"("model":{"type":"BPE","merges":[],"vocab":{)" +
                           vocabulary + "}}}";
  return {.tokenizer = gavel::Tokenizer::from_json(json, "t"),
          .chat_template = gavel::ChatTemplate(
              "{% for m in messages %}{{ m.role }}:{{ m.content }}<end>{% endfor %}"
              "{% if add_generation_prompt %}assistant:{% endif %}"),
          .bos_token = "",
          .eos_token = "<end>",
          .eos_token_id = 100};
}

// Another name of the file.
std::filesystem::path as_csv(const std::filesystem::path& file) {
  static const auto link =
      std::filesystem::temp_directory_path() / fmt::format("gavel_fuzz_{}.csv", ::getpid());
  static const bool once = (std::filesystem::create_symlink(file, link), true);
  (void)once;
  return link;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gavel;
  if (size == 0) return 0;
  static const TextEncoder encode = encoder();
  std::filesystem::path path = fuzz::as_file(fuzz::text_of(data + 1, size - 1));
  if (data[0] % 4 > 1) path = as_csv(path);
  return fuzz::run([&] {
    if (data[0] % 2 == 0) {
      load_dataset(path, encode, {.max_seq_length = 64});
      return;
    }
    PairReader reader(path, {.max_record_bytes = 4096, .max_text_bytes = 1024});
    while (!reader.next(16).empty()) {
    }
  });
}
