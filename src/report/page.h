// The frame of the HTML report: document, style sheet, script.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gavel {

// A whole document around `body`; `title` is text, `body` is markup. It is one file, with its
// script in it, unless `scripts` says where a server has them.
std::string html_page(const std::string& title, const std::string& body,
                      const std::vector<std::string>& scripts = {});
// Defines showReport(root), which brings the drawings and lists in `root` to life, and calls it on
// the document.
std::string_view page_script();

}  // namespace gavel
