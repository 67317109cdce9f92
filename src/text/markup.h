// Text within HTML, SVG and XML.
#pragma once

#include <string>
#include <string_view>

namespace gavel::markup {

// Text made safe for content and quoted attributes. Invalid UTF-8 and control characters become
// U+FFFD.
std::string escape(std::string_view text);

}  // namespace gavel::markup
