// Finding what somebody meant to type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gavel {

// Edits (insert, delete, replace, exchange neighbours) from one word to the other, in bytes.
int edit_distance(std::string_view a, std::string_view b);

// The candidate that `word` is most likely a slip of: at most a third of its bytes away, of those
// that are equally near the one whose length is nearest, the first of these; "" where none is.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace gavel
