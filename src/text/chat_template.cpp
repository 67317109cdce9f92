#include "text/chat_template.h"

#include <spdlog/spdlog.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"

namespace gavel {

struct ChatTemplate::Impl {
  jinja::Block block;
  std::once_flag asked;  // of takes_system
  bool takes_system = true;
};

ChatTemplate::ChatTemplate(const std::string& source) {
  auto impl = std::make_shared<Impl>();
  try {
    impl->block = jinja::parse(source);
  } catch (const Error& e) {
    fail("chat template, {}", e.what());
  }
  impl_ = std::move(impl);
}

std::string ChatTemplate::render(const nlohmann::ordered_json& context) const {
  if (!context.is_object()) fail("chat template: its context is not an object");
  const jinja::Value values = jinja::Value::from_json(context);
  jinja::Interpreter interpreter(*values.dict());
  try {
    return interpreter.render(impl_->block);
  } catch (const Error& e) {
    fail("chat template, {}", e.what());
  }
}

bool ChatTemplate::takes_system(const std::string& bos_token, const std::string& eos_token) const {
  std::call_once(impl_->asked, [&] {
    const std::string text = "the text of a system message";
    const auto rendered = [&](const std::vector<Message>& messages) -> std::optional<std::string> {
      try {
        return render(messages, messages.back().role == "user", bos_token, eos_token);
      } catch (const Error&) {
        return std::nullopt;
      }
    };
    std::vector<Message> messages = {{"user", "u"}};
    if (!rendered(messages)) return;  // what is wrong is not the system's message
    messages.insert(messages.begin(), {"system", text});
    const auto holds = [&](const std::optional<std::string>& prompt) {
      return prompt && prompt->find(text) != std::string::npos;
    };
    const bool in_prompt = holds(rendered(messages));
    messages.push_back({"assistant", "a"});
    impl_->takes_system = in_prompt && holds(rendered(messages));
    if (!impl_->takes_system)
      spdlog::warn(
          "the model's chat template has no place for a system message: its text goes into the "
          "first turn of the user's");
  });
  return impl_->takes_system;
}

std::string ChatTemplate::render(const std::vector<Message>& messages, bool add_generation_prompt,
                                 const std::string& bos_token, const std::string& eos_token) const {
  auto list = nlohmann::ordered_json::array();
  for (const Message& m : messages) list.push_back({{"role", m.role}, {"content", m.content}});
  nlohmann::ordered_json context = {{"messages", std::move(list)},
                                    {"tools", nullptr},
                                    {"documents", nullptr},
                                    {"add_generation_prompt", add_generation_prompt}};
  if (!bos_token.empty()) context["bos_token"] = bos_token;
  if (!eos_token.empty()) context["eos_token"] = eos_token;
  return render(context);
}

}  // namespace gavel
