#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON
#include "chat_template.h"
#include "tools.h"

using json = common_json;
using inputs = common_chat_templates_inputs;

/// A conversation's texts with names of control tokens hidden.
static json hidden_messages(disguise &names, const char *text) {
    json result = json::array();
    const json messages = json::parse(text);
    for (const auto &message : messages) {
        json changed = message;
        for (const char *key : {"content", "reasoning_content", "name", "tool_call_id"}) {
            if (changed.contains(key)) { changed[key] = names.hide(message.at(key)); }
        }
        if (changed.contains("tool_calls")) {
            for (auto &call : changed["tool_calls"]) {
                auto &arguments = call.at("function").at("arguments");
                json hidden = arguments.is_string() ? json(names.hide_json(arguments.get<std::string>())) : names.hide(arguments);
                arguments = hidden;
            }
        }
        result.push_back(changed);
    }
    return result;
}

/// Messages as common reads them.
static std::vector<common_chat_msg> parsed(const llama_common_chat_template &chat, const json &messages) {
    auto result = common_chat_msgs_parse_oaicompat(messages);
    for (auto &message : result) {
        if (!chat.needs_parts || message.content.empty()) { continue; }
        message.content_parts = {{"text", message.content}};
        message.content.clear();
    }
    return result;
}

/// What common is asked for, but for messages and tools.
static inputs asked(const llama_common_chat_template &chat, const llama_common_chat_input &wanted, disguise &names) {
    inputs result;
    if (wanted.json_schema) { result.json_schema = names.hide(json::parse(wanted.json_schema)).dump(); }
    result.tool_choice = common_chat_tool_choice_parse_oaicompat(wanted.tool_choice);
    result.reasoning_format = common_reasoning_format_from_name(wanted.reasoning_format);
    result.enable_thinking = wanted.enable_thinking;
    result.force_pure_content = wanted.text_only;
    auto capabilities = common_chat_templates_get_caps(chat.templates.get());
    result.parallel_tool_calls = wanted.parallel_tool_calls > 0
        || (wanted.parallel_tool_calls < 0 && (!chat.has_tools || capabilities["supports_parallel_tool_calls"]));
    result.add_generation_prompt = wanted.add_generation_prompt;
    if (wanted.continue_final_message) {
        result.continue_final_message = COMMON_CHAT_CONTINUATION_AUTO;
        result.add_generation_prompt = false;
    }
    if (wanted.arguments) {
        const json arguments = json::parse(wanted.arguments);
        if (!arguments.is_object()) { throw std::runtime_error("the template's arguments are no object"); }
        for (const auto &[key, value] : arguments.items()) {
            result.chat_template_kwargs[key] = names.hide(value).dump();
        }
    }
    return result;
}

/// Whether an answer is the text as it is.
static bool is_plain(const llama_common_chat_template &chat, const inputs &wanted) {
    return chat.is_plain && wanted.tools.empty() && wanted.json_schema.empty()
        && wanted.continue_final_message == COMMON_CHAT_CONTINUATION_NONE;
}

static common_chat_params applied(const llama_common_chat_template &chat, inputs wanted) {
    wanted.force_pure_content = is_plain(chat, wanted);
    return filled_in(chat, wanted);
}

/// Whether a prompt ends inside of what the model thinks.
static bool is_thinking(const common_chat_params &made) {
    if (made.thinking_start_tag.empty()) { return false; }
    size_t start = made.generation_prompt.rfind(made.thinking_start_tag);
    if (start == std::string::npos) { return false; }
    for (const auto &end : made.thinking_end_tags) {
        if (made.generation_prompt.find(end, start) != std::string::npos) { return false; }
    }
    return true;
}

/// What an answer begins with if a call has to be made: llama.cpp's grammars let any text come before it.
static std::string forced(const common_chat_templates *templates, inputs wanted, const common_chat_params &made) {
    bool isForced = !wanted.tools.empty() && wanted.tool_choice == COMMON_CHAT_TOOL_CHOICE_REQUIRED && !made.grammar.empty()
        && wanted.continue_final_message == COMMON_CHAT_CONTINUATION_NONE;
    if (!isForced || is_thinking(made) || (made.supports_thinking && wanted.enable_thinking)) { return ""; }
    auto triggers = made.grammar_triggers;
    if (triggers.empty()) {
        wanted.tool_choice = COMMON_CHAT_TOOL_CHOICE_AUTO;
        auto free = common_chat_templates_apply(templates, wanted);
        // Calls without a mark are objects.
        if (free.grammar.empty()) { return "{"; }
        triggers = free.grammar_triggers;
    }
    for (const auto &trigger : triggers) {
        if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) { return trigger.value; }
    }
    return "";
}

static void replace(std::string &text, const std::string &part, const std::string &other) {
    size_t place = text.find(part);
    if (place != std::string::npos) { text.replace(place, part.size(), other); }
}

/// A grammar without what llama.cpp's lets through: several calls where one is wanted, and identifiers of any length, which
/// Mistral's have not.
static std::string tightened(std::string grammar, const inputs &wanted) {
    if (!wanted.parallel_tool_calls) {
        replace(grammar, "\ntool-calls ::= (tool-call space)+\n", "\ntool-calls ::= tool-call space\n");
        replace(grammar, "\ntool-calls ::= (tool-call? space)+\n", "\ntool-calls ::= tool-call space\n");
    }
    const std::string before = "\"[CALL_ID]\" ", identifier = "[a-zA-Z0-9]{9}";
    for (size_t place = grammar.find(before + "until-"); place != std::string::npos; place = grammar.find(before + "until-", place + 1)) {
        size_t start = place + before.size();
        size_t end = grammar.find_first_not_of("until-0123456789", start);
        grammar.replace(start, end - start, identifier);
    }
    return grammar;
}

/// What common says about a prompt, in our words.
static json described(const common_chat_params &made, const inputs &wanted, const disguise &names, const std::string &begin) {
    json words = json::array(), patterns = json::array();
    for (const auto &trigger : made.grammar_triggers) {
        bool isWord = trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD;
        (isWord ? words : patterns).push_back(trigger.value);
    }
    json parser = {
        {"format", static_cast<int>(made.format)},
        {"reasoning", common_reasoning_format_name(wanted.reasoning_format)},
        {"opening", names.reveal(made.generation_prompt)},
        {"continues", wanted.continue_final_message != COMMON_CHAT_CONTINUATION_NONE},
        {"rules", names.reveal(made.parser)},
    };
    return {
        {"parts", names.parts(made.prompt)},
        {"grammar", names.reveal(tightened(made.grammar, wanted))},
        {"lazy", made.grammar_lazy},
        {"opening", names.reveal(made.generation_prompt)},
        {"begin", begin},
        {"words", words},
        {"patterns", patterns},
        {"thinking_start", made.thinking_start_tag},
        {"thinking_ends", made.thinking_end_tags},
        {"preserved", made.preserved_tokens},
        {"stops", made.additional_stops},
        {"parser", parser.dump()},
    };
}

/// A prompt of which nothing but the text matters.
static json parts_only(const llama_common_chat_template &chat, inputs wanted, const disguise &names) {
    wanted.force_pure_content = chat.is_text_simple;
    return {{"parts", names.parts(filled_in(chat, wanted).prompt)}};
}

/// A prompt by a template that has tools itself, or without tools.
static json by_template(
    const llama_common_chat_template &chat, inputs wanted, const json &messages, const json &tools, const disguise &names) {
    wanted.messages = parsed(chat, messages);
    wanted.tools = common_chat_tools_parse_oaicompat(tools);
    if (wanted.force_pure_content) { return parts_only(chat, wanted, names); }
    auto made = applied(chat, wanted);
    auto result = described(made, wanted, names, forced(chat.templates.get(), wanted, made));
    if (is_plain(chat, wanted)) { result["parser"] = nullptr; }
    return result;
}

/// A prompt by a template that has no tools.
static json with_plain_tools(
    llama_common_chat_template &chat, inputs wanted, const json &messages, const json &tools, const disguise &names) {
    auto texts = wanted;
    bool isRequired = wanted.tool_choice == COMMON_CHAT_TOOL_CHOICE_REQUIRED;
    texts.messages = parsed(chat, plain_tools_messages(messages, tools, isRequired));
    texts.tool_choice = COMMON_CHAT_TOOL_CHOICE_NONE;
    if (wanted.force_pure_content) { return parts_only(chat, texts, names); }
    auto made = applied(chat, texts);
    if (!chat.plain_tools) {
        auto source = chat.reasons && made.thinking_start_tag == "<think>" ? plain_tools_template_with_thinking : plain_tools_template;
        chat.plain_tools = common_chat_templates_init(nullptr, source);
    }
    wanted.tools = common_chat_tools_parse_oaicompat(tools);
    common_chat_msg question;
    question.role = "user";
    question.content = "?";
    bool continues = wanted.continue_final_message != COMMON_CHAT_CONTINUATION_NONE;
    wanted.messages = {question};
    if (continues) { wanted.messages.push_back(texts.messages.back()); }
    auto form = common_chat_templates_apply(chat.plain_tools.get(), wanted);
    if (is_thinking(made) && !continues) {
        form.generation_prompt += made.generation_prompt.substr(made.generation_prompt.rfind(made.thinking_start_tag));
    }
    auto result = described(form, wanted, names, forced(chat.plain_tools.get(), wanted, form));
    result["parts"] = names.parts(made.prompt);
    result["stops"] = made.additional_stops;
    return result;
}

char *llama_common_chat_template_apply(
    llama_common_chat_template *chat, const llama_common_chat_input *input, char **error) {
    const char *const texts[] = {input->messages, input->tools, input->json_schema, input->arguments};
    size_t size = chat->source.size();
    for (const char *text : texts) { size += text ? std::strlen(text) : 0; }
    return attempt_briefly(size, error, [&] {
        std::string around = chat->source;
        for (const char *text : texts) {
            if (text) { around += text; }
        }
        disguise names(chat->names, around);
        auto wanted = asked(*chat, *input, names);
        auto messages = hidden_messages(names, input->messages);
        auto tools = input->tools ? names.hide(json::parse(input->tools)) : json::array();
        bool isPlain = tools.is_array() && !tools.empty() && !chat->has_tools;
        auto result = isPlain ? with_plain_tools(*chat, wanted, messages, tools, names)
            : by_template(*chat, wanted, messages, tools, names);
        return copied(result.dump_safe());
    });
}

#else

char *llama_common_chat_template_apply(llama_common_chat_template *, const llama_common_chat_input *, char **error) {
    *error = copied(missing);
    return nullptr;
}

#endif
