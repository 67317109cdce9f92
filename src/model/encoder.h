// What encodes text for a loaded model.
#pragma once

#include <string>

#include "model/weights.h"
#include "text/text_encoder.h"

namespace gavel {

// `chat_template`: a Jinja file in place of the model's own template; "": none. Throws Error where
// the model brought no tokenizer, and naming file and line of a template that cannot be used.
TextEncoder make_encoder(const LoadedModel& loaded, const std::string& chat_template = "");

// What tells one such file from another in the settings of a run; "" for none.
std::string chat_template_id(const std::string& chat_template);

}  // namespace gavel
