#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON
#include "limits.h"

#include <llama-common/json-schema-to-grammar.h>
#include <stdexcept>
#endif

bool llama_common_is_available(void) {
#ifdef MORPHKV_LLAMA_COMMON
    return true;
#else
    return false;
#endif
}

void llama_common_free(char *text) { std::free(text); }

#ifdef MORPHKV_LLAMA_COMMON
static common_json member(const char *json, const char *const *keys, size_t count) {
    auto value = common_json::parse(json);
    for (size_t index = 0; index < count; index++) {
        // A copy of the member, since the value it is a part of goes.
        common_json member = value.is_array() ? value.at(std::stoul(keys[index])) : value.at(keys[index]);
        value = member;
    }
    return value;
}

char *llama_common_json_member(const char *json, const char *const *keys, size_t count, char **error) {
    return attempt(error, [&] { return copied(member(json, keys, count).dump()); });
}

char *llama_common_json_items(const char *json, const char *const *keys, size_t count, char **error) {
    return attempt(error, [&] {
        auto texts = common_json::array();
        const auto list = member(json, keys, count);
        if (!list.is_array()) { throw std::runtime_error("it is no list"); }
        for (const auto &item : list) { texts.push_back(item.dump()); }
        return copied(texts.dump());
    });
}

char *llama_common_grammar_of_schema(const char *schema, char **error) {
    return attempt_within(LLAMA_COMMON_WORK_BYTES, std::strlen(schema), error, [&](limits &limit) {
        auto gbnf = json_schema_to_grammar(common_json::parse(schema));
        limit.check();
        return copied(gbnf);
    });
}
#else
char *llama_common_json_member(const char *, const char *const *, size_t, char **error) {
    *error = copied(missing);
    return nullptr;
}
char *llama_common_json_items(const char *, const char *const *, size_t, char **error) {
    *error = copied(missing);
    return nullptr;
}
char *llama_common_grammar_of_schema(const char *, char **error) {
    *error = copied(missing);
    return nullptr;
}
#endif
