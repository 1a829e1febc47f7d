#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON
#include "chat_template.h"

#include <algorithm>
#include <llama-common/log.h>
#include <mutex>

using json = common_json;

/// Throws where a template is so large or so deep that reading it, by recursion, could take all of the stack.
static void check_size(const std::string &source) {
    constexpr size_t most = 1 << 17;
    constexpr int deepest = 500;
    if (source.size() > most) { throw std::runtime_error("a template of more than " + std::to_string(most) + " bytes"); }
    int depth = 0;
    for (char byte : source) {
        if (byte == '(' || byte == '[' || byte == '{') { depth++; }
        if (byte == ')' || byte == ']' || byte == '}') { depth = std::max(0, depth - 1); }
        if (depth > deepest) { throw std::runtime_error("a template with brackets more than 500 deep"); }
    }
}

static common_chat_msg message(const char *role, const char *content) {
    common_chat_msg made;
    made.role = role;
    made.content = content;
    return made;
}

using inputs = common_chat_templates_inputs;

/// Whether answers come as they are, and whether the model thinks.
static void explore_answers(llama_common_chat_template &chat) {
    inputs asked;
    asked.messages = {message("user", "first"), message("assistant", "second"), message("user", "third")};
    asked.force_pure_content = true;
    // A template that cannot do this is of no use.
    auto pure = common_chat_templates_apply(chat.templates.get(), asked);
    asked.force_pure_content = false;
    asked.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    common_chat_params full;
    try {
        full = common_chat_templates_apply(chat.templates.get(), asked);
    } catch (const std::exception &) {
        chat.is_plain = true;
        return;
    }
    chat.reasons = full.supports_thinking;
    if (chat.reasons || full.prompt != pure.prompt || !full.additional_stops.empty()) { return; }
    try {
        common_chat_parser_params parameters(full);
        if (!full.parser.empty()) { parameters.parser.load(full.parser); }
        chat.is_plain = common_chat_parse("An answer.", false, parameters).content == "An answer.";
    } catch (const std::exception &) {
        // Its answers have marks around them.
    }
}

/// Whether tools appear in prompts, and calls can be kept to.
static void explore_tools(llama_common_chat_template &chat) {
    inputs asked;
    asked.messages = {message("user", "first")};
    asked.tools = {{"some_function", "what it does", R"({"type": "object", "properties": {}})"}};
    asked.tool_choice = COMMON_CHAT_TOOL_CHOICE_REQUIRED;
    try {
        auto made = common_chat_templates_apply(chat.templates.get(), asked);
        chat.has_tools = !made.grammar.empty() && made.prompt.find("some_function") != std::string::npos;
    } catch (const std::exception &) {
        // It has none then.
    }
}

/// Whether a system message appears only as a list of parts.
static void explore_parts(llama_common_chat_template &chat) {
    auto appears = [&](bool isList) {
        inputs asked;
        asked.force_pure_content = true;
        asked.messages = {message("system", isList ? "" : "of the system"), message("user", "first")};
        if (isList) { asked.messages[0].content_parts = {{"text", "of the system"}}; }
        try {
            auto made = common_chat_templates_apply(chat.templates.get(), asked);
            return made.prompt.find("of the system") != std::string::npos;
        } catch (const std::exception &) {
            return false;
        }
    };
    chat.needs_parts = !appears(false) && appears(true);
}

llama_common_chat_template *llama_common_chat_template_create(const void *model, const char *source, char **error) {
    // Its warnings about templates are for those who write them.
    static std::once_flag once;
    std::call_once(once, [] { common_log_set_verbosity_thold(-1); });
    return attempt_briefly(error, [&]() -> llama_common_chat_template * {
        auto from = static_cast<const llama_model *>(model);
        auto own = llama_model_chat_template(from, nullptr);
        if (!source && !own) { throw std::runtime_error("the model has no chat template"); }
        std::string text = source ? source : own;
        check_size(text);
        auto other = source ? nullptr : llama_model_chat_template(from, "tool_use");
        if (other) { check_size(other); }
        // The function below says of one that makes no sense only that it makes none.
        if (text != "chatml") { common_chat_template(text, "", ""); }
        auto templates = common_chat_templates_init(from, source ? text : "");
        text = common_chat_templates_source(templates.get());
        auto chat = std::unique_ptr<llama_common_chat_template>(new llama_common_chat_template{
            std::move(templates), text, control_names(llama_model_get_vocab(from))});
        explore_answers(*chat);
        explore_tools(*chat);
        explore_parts(*chat);
        return chat.release();
    });
}

void llama_common_chat_template_destroy(llama_common_chat_template *chat) { delete chat; }

char *llama_common_chat_template_description(const llama_common_chat_template *chat, char **error) {
    return attempt_briefly(error, [&] {
        json capabilities = json::object();
        for (const auto &[name, value] : common_chat_templates_get_caps(chat->templates.get())) {
            capabilities[name] = value;
        }
        json result = {
            {"source", chat->source},
            {"reasons", chat->reasons},
            {"tools", chat->has_tools},
            {"capabilities", capabilities},
        };
        return copied(result.dump_safe());
    });
}

#else

llama_common_chat_template *llama_common_chat_template_create(const void *, const char *, char **error) {
    *error = copied(missing);
    return nullptr;
}
void llama_common_chat_template_destroy(llama_common_chat_template *) {}
char *llama_common_chat_template_description(const llama_common_chat_template *, char **error) {
    *error = copied(missing);
    return nullptr;
}

#endif
