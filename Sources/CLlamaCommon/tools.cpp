#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON
#include "tools.h"

using json = common_json;

#define TOOLS_TEMPLATE(THINKING)                                                                                            \
    "{%- if tools %}{{- '<|im_start|>system\\n' }}{%- for tool in tools %}{{- tool | tojson }}{%- endfor %}"                \
    "{{- '<|im_end|>\\n' }}{%- endif %}"                                                                                    \
    "{%- for message in messages %}"                                                                                        \
    "{%- if message.role == 'assistant' %}{{- '<|im_start|>assistant\\n' }}" THINKING                                       \
    "{%- if message.content %}{{- message.content }}{%- endif %}"                                                           \
    "{%- if message.tool_calls %}{%- for call in message.tool_calls %}{%- set call = call.function %}"                      \
    "{{- '\\n<tool_call>\\n{\"name\": \"' + call.name + '\", \"arguments\": ' + (call.arguments | tojson)"                  \
    " + '}\\n</tool_call>' }}{%- endfor %}{%- endif %}{{- '<|im_end|>\\n' }}"                                               \
    "{%- elif message.role == 'tool' %}{{- '<|im_start|>user\\n<tool_response>\\n' + message.content"                       \
    " + '\\n</tool_response><|im_end|>\\n' }}"                                                                              \
    "{%- else %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{%- endif %}"               \
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"

const char *const plain_tools_template = TOOLS_TEMPLATE("");
const char *const plain_tools_template_with_thinking = TOOLS_TEMPLATE(
    "{%- if message.reasoning_content %}{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}{%- endif %}");

static std::string described(const json &tools, bool is_required) {
    std::string text = "You can call functions. Each is described by a line of JSON:\n";
    for (const auto &tool : tools) { text += tool.at("function").dump() + "\n"; }
    text += is_required ? "Call one of them: write" : "To call one, write";
    return text
        + " its name and its arguments as JSON between <tool_call> and </tool_call>, and nothing after that:\n"
          "<tool_call>\n{\"name\": \"its name\", \"arguments\": {}}\n</tool_call>\n"
          "What it returns comes between <tool_response> and </tool_response>.";
}

/// The text of a message's content, which may be parts or null.
static std::string text_of(const json &message) {
    if (!message.contains("content")) { return ""; }
    const auto &content = message.at("content");
    if (content.is_string()) { return content.get<std::string>(); }
    std::string text;
    if (content.is_array()) {
        for (const auto &part : content) { text += part.value("text", ""); }
    }
    return text;
}

static std::string written(const json &message) {
    auto text = text_of(message);
    if (!message.contains("tool_calls")) { return text; }
    for (const auto &call : message.at("tool_calls")) {
        const auto &function = call.at("function");
        const auto &arguments = function.at("arguments");
        text += (text.empty() ? "" : "\n") + ("<tool_call>\n{\"name\": " + function.at("name").dump()) + ", \"arguments\": "
            + (arguments.is_string() ? arguments.get<std::string>() : arguments.dump()) + "}\n</tool_call>";
    }
    return text;
}

common_json plain_tools_messages(const common_json &messages, const common_json &tools, bool is_required) {
    json result = json::array();
    auto system = described(tools, is_required);
    for (const auto &message : messages) {
        auto role = message.at("role").get<std::string>();
        auto text = written(message);
        if (result.empty()) {
            bool isSystem = role == "system" || role == "developer";
            result.push_back({{"role", "system"}, {"content", (isSystem ? text + "\n\n" : "") + system}});
            if (isSystem) { continue; }
        }
        if (role == "tool") { text = "<tool_response>\n" + text + "\n</tool_response>"; }
        auto as = role == "tool" ? "user" : role;
        // Many templates demand that user and assistant take turns.
        if (as == "user" && result.back().at("role") == "user") {
            auto &last = result.back()["content"];
            last = last.get<std::string>() + "\n" + text;
            continue;
        }
        json changed = {{"role", as}, {"content", text}};
        if (message.contains("reasoning_content")) { changed["reasoning_content"] = message.at("reasoning_content"); }
        result.push_back(changed);
    }
    return result;
}
#endif
