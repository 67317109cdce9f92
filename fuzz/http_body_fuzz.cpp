// The body of an HTTP request: its JSON, every field that the server's routes read, in objects and
// lists of them too, and the answer that an error makes.
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "http/api_error.h"
#include "serve/fields.h"

namespace {

void read_fields(const nlohmann::ordered_json& object, int depth) {
  using gavel::ApiError;
  const gavel::Fields fields(object, "a.");
  const auto read = [](const auto& one) {
    try {
      one();
    } catch (const ApiError& e) {
      gavel::error_body(e);
    }
  };
  for (const auto& [name, value] : object.items()) {
    const char* key = name.c_str();
    read([&] { fields.text(key); });
    read([&] { fields.needed_text(key); });
    read([&] { fields.boolean(key); });
    read([&] { fields.integer(key, -100, 1'000'000'000); });
    read([&] { fields.number(key, 0.0, 2.0); });
    const auto* nested = fields.value(key);
    if (nested == nullptr || depth > 4) continue;
    if (nested->is_object()) read_fields(*nested, depth + 1);
    if (!nested->is_array()) continue;
    for (const auto& item : *nested)
      if (item.is_object()) read_fields(item, depth + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gavel;
  return fuzz::run([&] {
    try {
      read_fields(parse_body(fuzz::text_of(data, size)), 0);
    } catch (const ApiError& e) {
      error_body(e);
    }
  });
}
