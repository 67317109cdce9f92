// What the files of the HTML report share.
#pragma once

#include <string>
#include <vector>

#include "report/eval_log.h"
#include "report/run_log.h"

namespace gavel {

// A text as it stands, under a small title.
std::string text_box(const std::string& title, const std::string& text);
// A judge's verdict in a line, and what it wrote in boxes.
std::string opinion_tag(const std::string& judge, const Opinion& opinion);
std::string opinion_boxes(const std::string& judge, const Opinion& opinion);

using RunList = std::vector<const RunHistory*>;

// Figures and curves of the runs, and how the judge judged at validations; "" where there are none.
std::string training_html(const RunList& runs);
std::string trials_html(const RunList& runs);
std::string settings_html(const RunList& runs);

}  // namespace gavel
