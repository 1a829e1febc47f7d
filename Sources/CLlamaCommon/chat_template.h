/// What is known of a chat template.
#ifndef CHAT_TEMPLATE_H
#define CHAT_TEMPLATE_H

#include "limits.h"
#include "names.h"

#include <llama-common/chat.h>
#include <memory>
#include <stdexcept>

struct llama_common_chat_template {
    /// Without the model's tokens at the beginning and end of texts: what llama.cpp finds out about a template is right only
    /// without them. They are variables of each prompt instead.
    common_chat_templates_ptr templates;
    std::string source;
    control_names names;
    /// Names of those tokens.
    std::string begin_token = "";
    std::string end_token = "";
    /// Whether the tokenizer adds them.
    bool adds_begin = false;
    bool adds_end = false;
    /// Whether the model thinks before it answers.
    bool reasons = false;
    /// Whether the text of a prompt does not depend on what else is wanted of it.
    bool is_text_simple = false;
    /// Texts that end an answer.
    std::vector<std::string> stops = {};
    /// Whether the template has tools itself.
    bool has_tools = false;
    /// Whether answers without tools and reasoning are texts as they are.
    bool is_plain = false;
    /// Whether system messages appear only if they are lists of parts.
    bool needs_parts = false;
    /// How tools are written where the template has none; made at the first use.
    common_chat_templates_ptr plain_tools = nullptr;
};

/// Fills in a template; the prompt has no tokens that the tokenizer adds.
common_chat_params filled_in(const llama_common_chat_template &chat, common_chat_templates_inputs wanted);

/// What is said of an exception: templates' own have the place in the source before the reason.
inline std::string reason(const std::exception &failure) {
    std::string text = failure.what();
    size_t last = text.rfind("\nError: ");
    if (last != std::string::npos) { text = text.substr(last + 8); }
    const std::string jinja = "Jinja Exception: ";
    if (text.compare(0, jinja.size(), jinja) == 0) { text = text.substr(jinja.size()); }
    return text.substr(0, text.find('\n', 1));
}

/// What `body` returns within limits, with errors of templates in short.
///
/// - Parameter input: bytes of what it reads.
template <typename Body> auto attempt_briefly(size_t input, char **error, Body body) -> decltype(body()) {
    size_t bytes = LLAMA_COMMON_WORK_BYTES + LLAMA_COMMON_INPUT_FACTOR * input;
    return attempt_within(bytes, input, error, [&](limits &limit) {
        try {
            auto made = body();
            limit.check();
            return made;
        } catch (const std::exception &failure) {
            throw std::runtime_error(reason(failure));
        }
    });
}

#endif
