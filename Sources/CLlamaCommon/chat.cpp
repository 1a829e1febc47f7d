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

common_chat_params filled_in(const llama_common_chat_template &chat, inputs wanted) {
    wanted.chat_template_kwargs.emplace("bos_token", json(chat.begin_token).dump());
    wanted.chat_template_kwargs.emplace("eos_token", json(chat.end_token).dump());
    auto made = common_chat_templates_apply(chat.templates.get(), wanted);
    const auto &begin = chat.begin_token, &end = chat.end_token;
    auto &prompt = made.prompt;
    if (chat.adds_begin && !begin.empty() && prompt.compare(0, begin.size(), begin) == 0) { prompt.erase(0, begin.size()); }
    bool isEnded = prompt.size() >= end.size() && prompt.compare(prompt.size() - end.size(), end.size(), end) == 0;
    if (chat.adds_end && !end.empty() && isEnded) { prompt.erase(prompt.size() - end.size()); }
    return made;
}

static std::string name(const llama_vocab *vocabulary, llama_token token) {
    return token == LLAMA_TOKEN_NULL ? "" : llama_vocab_get_text(vocabulary, token);
}

/// Whether answers come as they are, and whether the model thinks.
static void explore_answers(llama_common_chat_template &chat) {
    inputs asked;
    asked.messages = {message("user", "first"), message("assistant", "second"), message("user", "third")};
    asked.force_pure_content = true;
    // A template that cannot do this is of no use.
    auto pure = filled_in(chat, asked);
    asked.force_pure_content = false;
    asked.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    common_chat_params full;
    try {
        full = filled_in(chat, asked);
    } catch (const std::exception &) {
        chat.is_plain = chat.is_text_simple = true;
        return;
    }
    chat.reasons = full.supports_thinking;
    chat.stops = full.additional_stops;
    chat.is_text_simple = full.prompt == pure.prompt;
    if (chat.reasons || !chat.is_text_simple || !full.additional_stops.empty()) { return; }
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
        auto made = filled_in(chat, asked);
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
            auto made = filled_in(chat, asked);
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
    auto from = static_cast<const llama_model *>(model);
    // Of two templates the one with tools can do more.
    auto own = llama_model_chat_template(from, "tool_use");
    if (!own) { own = llama_model_chat_template(from, nullptr); }
    auto given = source ? source : own;
    auto made = attempt_briefly(given ? std::strlen(given) : 0, error, [&]() -> std::unique_ptr<llama_common_chat_template> {
        if (!given) { throw std::runtime_error("the model has no chat template"); }
        std::string text = given;
        check_size(text);
        // Without a text the function below wants a model, and ends the process.
        if (text.empty()) { throw std::runtime_error("the chat template is empty"); }
        // The function below says of one that makes no sense only that it makes none.
        if (text != "chatml") { common_chat_template(text, "", ""); }
        auto templates = common_chat_templates_init(nullptr, text);
        if (text == "chatml") { text = common_chat_templates_source(templates.get()); }
        auto vocabulary = llama_model_get_vocab(from);
        std::unique_ptr<llama_common_chat_template> chat(
            new llama_common_chat_template{std::move(templates), text, control_names(vocabulary)});
        chat->begin_token = name(vocabulary, llama_vocab_bos(vocabulary));
        chat->end_token = name(vocabulary, llama_vocab_eos(vocabulary));
        chat->adds_begin = llama_vocab_get_add_bos(vocabulary);
        chat->adds_end = llama_vocab_get_add_eos(vocabulary);
        explore_answers(*chat);
        explore_tools(*chat);
        explore_parts(*chat);
        return chat;
    });
    return made.release();
}

void llama_common_chat_template_destroy(llama_common_chat_template *chat) { delete chat; }

char *llama_common_chat_template_description(const llama_common_chat_template *chat, char **error) {
    return attempt_briefly(chat->source.size(), error, [&] {
        json capabilities = json::object();
        for (const auto &[name, value] : common_chat_templates_get_caps(chat->templates.get())) {
            capabilities[name] = value;
        }
        json result = {
            {"source", chat->source},
            {"reasons", chat->reasons},
            {"tools", chat->has_tools},
            {"stops", chat->stops},
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
