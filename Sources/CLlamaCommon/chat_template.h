/// What is known of a chat template.
#ifndef CHAT_TEMPLATE_H
#define CHAT_TEMPLATE_H

#include "available.h"
#include "names.h"

#include <llama-common/chat.h>
#include <memory>
#include <stdexcept>

struct llama_common_chat_template {
    common_chat_templates_ptr templates;
    std::string source;
    control_names names;
    /// Whether the model thinks before it answers.
    bool reasons = false;
    /// Whether the template has tools itself.
    bool has_tools = false;
    /// Whether answers without tools and reasoning are texts as they are.
    bool is_plain = false;
    /// Whether system messages appear only if they are lists of parts.
    bool needs_parts = false;
    /// How tools are written where the template has none; made at the first use.
    common_chat_templates_ptr plain_tools = nullptr;
};

/// What is said of an exception: templates' own have the place in the source before the reason.
inline std::string reason(const std::exception &failure) {
    std::string text = failure.what();
    size_t last = text.rfind("\nError: ");
    if (last != std::string::npos) { text = text.substr(last + 8); }
    const std::string jinja = "Jinja Exception: ";
    return text.compare(0, jinja.size(), jinja) == 0 ? text.substr(jinja.size()) : text;
}

/// What `body` returns, with errors of templates in short.
template <typename Body> auto attempt_briefly(char **error, Body body) -> decltype(body()) {
    return attempt(error, [&] {
        try {
            return body();
        } catch (const std::exception &failure) {
            throw std::runtime_error(reason(failure));
        }
    });
}

#endif
