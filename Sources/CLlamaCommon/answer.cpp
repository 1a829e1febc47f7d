#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON
#include "limits.h"

#include <algorithm>
#include <llama-common/chat.h>
#include <memory>
#include <mutex>

using json = common_json;

struct llama_common_chat_parser {
    common_chat_parser_params parameters;
    std::string text;
    /// What was told of the message.
    common_chat_msg told;
    /// Calls whose names were told.
    size_t named = 0;
    /// Bytes that it took at its beginning.
    size_t bytes = 0;
    /// Bytes of the text that were read.
    size_t read = 0;
    /// Brackets that are open.
    int depth = 0;
    /// Bytes that were added since its beginning.
    ptrdiff_t growth = 0;
    /// Whether it is nested so deep that reading it, by recursion, could take all of the stack.
    bool is_too_deep = false;

    void append(const char *more, size_t size);
    bool is_to_be_read(llama_common_chat_progress progress) const;
};

void llama_common_chat_parser::append(const char *more, size_t size) {
    constexpr int deepest = 100;
    for (size_t index = 0; index < size; index++) {
        if (more[index] == '[' || more[index] == '{') { depth++; }
        if (more[index] == ']' || more[index] == '}') { depth = std::max(0, depth - 1); }
        is_too_deep = is_too_deep || depth > deepest;
    }
    if (size > 0) { text.append(more, size); }
}

/// All of the text is read each time, so long arguments are read in larger and larger steps.
bool llama_common_chat_parser::is_to_be_read(llama_common_chat_progress progress) const {
    if (progress != LLAMA_COMMON_CHAT_MORE) { return true; }
    return !is_too_deep && (told.tool_calls.empty() || 32 * (text.size() - read) >= text.size());
}

llama_common_chat_parser *llama_common_chat_parser_create(const char *state, char **error) {
    return attempt_within(LLAMA_COMMON_WORK_BYTES, std::strlen(state), error, [&](limits &limit) -> llama_common_chat_parser * {
        const json given = json::parse(state);
        auto parser = std::make_unique<llama_common_chat_parser>();
        auto &parameters = parser->parameters;
        parameters.format = static_cast<common_chat_format>(given.at("format").get<int>());
        parameters.reasoning_format = common_reasoning_format_from_name(given.at("reasoning").get<std::string>());
        parameters.generation_prompt = given.at("opening").get<std::string>();
        parameters.is_continuation = given.at("continues").get<bool>();
        auto rules = given.at("rules").get<std::string>();
        if (!rules.empty()) { parameters.parser.load(rules); }
        // The beginning that was given is no part of the answer.
        if (parameters.is_continuation) { parser->told = common_chat_parse("", true, parameters); }
        limit.check();
        parser->bytes = limit.held();
        return parser.release();
    });
}

size_t llama_common_chat_parser_bytes(const llama_common_chat_parser *parser) { return parser->bytes; }

void llama_common_chat_parser_destroy(llama_common_chat_parser *parser) { delete parser; }

/// What a text has more than what was told of it; nothing where it begins differently.
static std::string tell(std::string &told, const std::string &now) {
    if (now.size() <= told.size() || now.compare(0, told.size(), told) != 0) { return ""; }
    auto more = now.substr(told.size());
    told = now;
    return more;
}

/// The message of an answer that is not in its form: everything behind what was understood is content.
static common_chat_msg fallback(const llama_common_chat_parser &parser) {
    auto found = parser.told;
    try {
        if (!parser.is_too_deep) { found = common_chat_parse(parser.text, true, parser.parameters); }
    } catch (const std::exception &) {
        // What was understood before.
    }
    if (!found.tool_calls.empty()) { return found; }
    const auto &opening = parser.parameters.generation_prompt;
    auto all = opening + parser.text;
    size_t place = parser.parameters.is_continuation ? 0 : opening.size();
    if (!found.reasoning_content.empty()) {
        place = all.find(found.reasoning_content, place);
        if (place == std::string::npos) { return found; }
        place += found.reasoning_content.size();
    }
    if (!found.content.empty()) { place = all.find(found.content, place); }
    if (place != std::string::npos) { found.content = all.substr(place); }
    return found;
}

static common_chat_msg understood(const llama_common_chat_parser &parser, llama_common_chat_progress progress) {
    if (parser.is_too_deep) { return fallback(parser); }
    try {
        return common_chat_parse(parser.text, progress != LLAMA_COMMON_CHAT_END, parser.parameters);
    } catch (const std::exception &) {
        return progress == LLAMA_COMMON_CHAT_MORE ? parser.told : fallback(parser);
    }
}

/// Tells of a call as far as it is certain: names may grow until arguments begin.
static void tell_call(llama_common_chat_parser &parser, const common_chat_msg &now, size_t index, bool isEnd, json &deltas) {
    const auto &call = now.tool_calls[index];
    bool isCertain = isEnd || call.arguments.size() > 1 || index + 1 < now.tool_calls.size();
    if (call.name.empty() || !isCertain) { return; }
    bool isNew = index >= parser.named;
    if (isNew) {
        parser.told.tool_calls.push_back({call.name, "", call.id});
        parser.named++;
    }
    auto arguments = tell(parser.told.tool_calls[index].arguments, call.arguments);
    if (!isNew && arguments.empty()) { return; }
    json delta = {{"call", index}, {"arguments", arguments}};
    if (isNew) {
        delta["id"] = call.id;
        delta["name"] = call.name;
    }
    deltas.push_back(delta);
}

/// Adds what is allocated and not freed to a sum.
struct counted {
    ptrdiff_t &sum;
    const limits &limit;
    counted(ptrdiff_t &sum, const limits &limit) : sum(sum), limit(limit) {}
    ~counted() { sum += limit.change(); }
};

char *llama_common_chat_parser_add(
    llama_common_chat_parser *parser, const char *text, size_t size, llama_common_chat_progress progress, char **error) {
    // What reading all of a text takes meanwhile is there for one answer at a time.
    static std::mutex turn;
    std::lock_guard<std::mutex> guard(turn);
    if (parser->growth > static_cast<ptrdiff_t>(LLAMA_COMMON_GROWTH_BYTES)) {
        *error = copied("the answer is too long");
        return nullptr;
    }
    return attempt_within(LLAMA_COMMON_WORK_BYTES, parser->text.size() + size, error, [&](limits &limit) {
        counted counts(parser->growth, limit);
        parser->append(text, size);
        if (!parser->is_to_be_read(progress)) { return copied("[]"); }
        parser->read = parser->text.size();
        auto now = understood(*parser, progress);
        json deltas = json::array();
        auto reasoning = tell(parser->told.reasoning_content, now.reasoning_content);
        if (!reasoning.empty()) { deltas.push_back(json{{"reasoning", reasoning}}); }
        auto content = tell(parser->told.content, now.content);
        if (!content.empty()) { deltas.push_back(json{{"content", content}}); }
        for (size_t index = 0; index < now.tool_calls.size() && index <= parser->named; index++) {
            tell_call(*parser, now, index, progress != LLAMA_COMMON_CHAT_MORE, deltas);
        }
        return copied(deltas.dump_safe());
    });
}

#else

llama_common_chat_parser *llama_common_chat_parser_create(const char *, char **error) {
    *error = copied(missing);
    return nullptr;
}
void llama_common_chat_parser_destroy(llama_common_chat_parser *) {}
size_t llama_common_chat_parser_bytes(const llama_common_chat_parser *) { return 0; }
char *llama_common_chat_parser_add(
    llama_common_chat_parser *, const char *, size_t, llama_common_chat_progress, char **error) {
    *error = copied(missing);
    return nullptr;
}

#endif
