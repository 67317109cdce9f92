#include "data/languages.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace gavel {
namespace {

constexpr size_t kRead = 2000;  // bytes of a text that are looked at
constexpr int kLeastLetters = 3;

struct Script {
  uint32_t first, last;
  const char* language;  // the one that is most often written in it
};
// Kana are looked at before Chinese characters, which Japanese has too.
constexpr std::array<Script, 17> kScripts{{{0x3040, 0x30FF, "Japanese"},
                                           {0xAC00, 0xD7AF, "Korean"},
                                           {0x4E00, 0x9FFF, "Chinese"},
                                           {0x3400, 0x4DBF, "Chinese"},
                                           {0x0370, 0x03FF, "Greek"},
                                           {0x0400, 0x052F, "Russian"},
                                           {0x0530, 0x058F, "Armenian"},
                                           {0x0590, 0x05FF, "Hebrew"},
                                           {0x0600, 0x06FF, "Arabic"},
                                           {0x0900, 0x097F, "Hindi"},
                                           {0x0980, 0x09FF, "Bengali"},
                                           {0x0B80, 0x0BFF, "Tamil"},
                                           {0x0C00, 0x0C7F, "Telugu"},
                                           {0x0E00, 0x0E7F, "Thai"},
                                           {0x10A0, 0x10FF, "Georgian"},
                                           {0x00C0, 0x024F, "Latin script"},
                                           {0x1E00, 0x1EFF, "Latin script"}}};

struct Words {
  const char* language;
  const char* words;  // frequent ones, blanks between
};
constexpr std::array<Words, 12> kWords{{
    {"English", "the of and to is that what how you for with are this write why which can do does"},
    {"German",
     "der die das und ist nicht ein eine zu mit auf wie was ich den dem von sich im wird"},
    {"French",
     "le la les des est une que pour dans qui avec sur pas vous je au du quel comment et"},
    {"Spanish", "el la los las que en es una por con para del como se qué cuál un cómo y su"},
    {"Portuguese", "o os as que em um uma para com não do da como qual você é se por ao são"},
    {"Italian", "il lo gli che di è un una per con non del della come sono qual quale nel si più"},
    {"Dutch", "de het een en van is dat niet op te zijn met voor hoe wat die aan er ik je"},
    {"Polish", "i w nie na się jest że do to jak z co dla czy są od przez tego jaki po"},
    {"Turkish",
     "bir ve bu için ile de da ne nasıl olarak çok daha en mi var olan gibi ben sen nedir"},
    {"Vietnamese",
     "và của là có không cho một các được trong người như với hãy bạn này để khi tôi"},
    {"Indonesian",
     "yang dan di untuk dengan ini adalah dari apa dalam bagaimana pada tidak saya anda"},
    {"Swedish", "och att det som en är på för av med inte den till hur vad ett jag har om kan"},
}};

const std::unordered_map<std::string, uint32_t>& languages_of_words() {
  static const auto table = [] {
    std::unordered_map<std::string, uint32_t> out;  // bits of kWords
    for (size_t k = 0; k < kWords.size(); ++k) {
      std::string_view rest = kWords[k].words;
      while (!rest.empty()) {
        const size_t end = std::min(rest.find(' '), rest.size());
        out[std::string(rest.substr(0, end))] |= 1u << k;
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
    }
    return out;
  }();
  return table;
}

// The character at `i`, which is moved behind it; 0 for what is no UTF-8.
uint32_t next_character(std::string_view text, size_t& i) {
  const auto c = static_cast<unsigned char>(text[i]);
  const size_t length = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
  uint32_t value = length == 1 ? c : c & (0xFF >> (length + 1));
  for (size_t k = 1; k < length && i + k < text.size(); ++k)
    value = value << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3F);
  i += length;
  return c >= 0x80 && length == 1 ? 0 : value;
}

// By the language whose frequent words are the most.
std::string_view latin_language(std::string_view text) {
  std::array<int, kWords.size()> counts = {};
  std::string word;
  for (size_t i = 0; i <= text.size(); ++i) {
    const auto c = i < text.size() ? static_cast<unsigned char>(text[i]) : ' ';
    if (c >= 0x80 || std::isalpha(c) != 0) {
      word += static_cast<char>(c < 0x80 ? std::tolower(c) : c);
      continue;
    }
    if (const auto it = languages_of_words().find(word); it != languages_of_words().end())
      for (size_t k = 0; k < counts.size(); ++k) counts[k] += (it->second >> k & 1) != 0 ? 1 : 0;
    word.clear();
  }
  const auto most = std::max_element(counts.begin(), counts.end());
  if (*most == 0) return "Latin script";
  return kWords[static_cast<size_t>(most - counts.begin())].language;
}

}  // namespace

std::string_view language_of(std::string_view text) {
  text = text.substr(0, kRead);
  std::array<int, kScripts.size()> counts = {};
  int latin = 0, letters = 0;
  for (size_t i = 0; i < text.size();) {
    const uint32_t c = next_character(text, i);
    if (c < 0x80) {
      latin += std::isalpha(static_cast<int>(c)) != 0 ? 1 : 0;
      continue;
    }
    for (size_t k = 0; k < kScripts.size(); ++k)
      if (c >= kScripts[k].first && c <= kScripts[k].last) {
        ++counts[k];
        ++letters;
        break;
      }
  }
  const int latin_too = counts[15] + counts[16];
  latin += latin_too;
  letters += latin - latin_too;
  if (letters < kLeastLetters) return "";
  // A few characters say more of such a script than Latin letters, which code and names have.
  if (latin * 3 >= letters * 2) return latin_language(text);
  if (counts[0] * 10 >= letters) return kScripts[0].language;
  const auto most = std::max_element(counts.begin(), counts.end() - 2);
  return kScripts[static_cast<size_t>(most - counts.begin())].language;
}

}  // namespace gavel
