// The language of a text, as its script and its most frequent words tell.
#pragma once

#include <string_view>

namespace gavel {

// "English", "German", "Chinese", "Russian" and so on; the script's name where that is not known
// further ("Latin script"); "" for a text with hardly a letter. A guess: for shares of many texts,
// not for one.
std::string_view language_of(std::string_view text);

}  // namespace gavel
