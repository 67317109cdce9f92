// Strings and hashes of the tokenizers' goldens; see scripts/tokenizer_goldens.py.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace gavel::testing {

using Json = nlohmann::ordered_json;

inline const std::string folder = std::string(GAVEL_GOLDEN_DIR) + "/tokenizers/";

// The script's generator.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15) {}
  uint64_t below(uint64_t n) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return (state_ >> 33) % n;
  }

 private:
  uint64_t state_;
};

inline std::string make_string(uint64_t index) {
  static const auto fragments = [] {
    std::vector<std::u32string> out;
    for (const Json& f : Json::parse(read_file(folder + "fragments.json")))
      out.push_back(unicode::decode(f.get<std::string>()));
    return out;
  }();
  static constexpr uint64_t limits[] = {0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x110000};
  Random r(index);
  std::u32string text;
  for (uint64_t pieces = 1 + r.below(10); pieces > 0; --pieces) {
    const uint64_t kind = r.below(8);
    const std::u32string& fragment = fragments[r.below(fragments.size())];
    if (kind < 5) {
      text += fragment;
    } else if (kind == 5) {
      const uint64_t begin = r.below(fragment.size());
      text += fragment.substr(begin, 1 + r.below(6));
    } else if (kind == 6) {
      const uint64_t limit = limits[r.below(6)];
      for (uint64_t n = 1 + r.below(3); n > 0; --n) {
        const auto c = static_cast<char32_t>(r.below(limit));
        text += c < 0xD800 || c >= 0xE000 ? c : U'A';
      }
    } else {
      const char32_t c = fragment[r.below(fragment.size())];
      text.append(1 + r.below(40), c);
    }
    static constexpr const char32_t* between[] = {U"", U" ", U"", U"\n"};
    text += between[r.below(4)];
  }
  return unicode::encode(text);
}

inline uint32_t fnv(std::string_view data) {
  uint64_t h = 0xCBF29CE484222325;
  for (char c : data) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  return static_cast<uint32_t>((h ^ h >> 16 ^ h >> 32 ^ h >> 48) & 0xFFFF);
}

inline std::string hash_of(const Tokenizer& t, const std::string& text) {
  const std::vector<int> plain = t.encode(text), full = t.encode(text, true);
  std::string ids;
  const auto put = [&](int id) {
    for (int shift = 0; shift < 32; shift += 8)
      ids += static_cast<char>(static_cast<uint32_t>(id) >> shift);
  };
  for (int id : plain) put(id);
  put(-1);
  for (int id : full) put(id);
  const std::string decoded = t.decode(full) + std::string(1, '\0') + t.decode(full, true);
  const uint32_t bits = fnv(ids) << 8 | (fnv(decoded) & 0xFF);
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return {digits[bits >> 18 & 63], digits[bits >> 12 & 63], digits[bits >> 6 & 63],
          digits[bits & 63]};
}

}  // namespace gavel::testing
