#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON
#include <llama-common/json-schema-to-grammar.h>
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
char *llama_common_json_member(const char *json, const char *const *keys, size_t count, char **error) {
    return attempt(error, [&] {
        auto value = common_json::parse(json);
        for (size_t index = 0; index < count; index++) {
            // A copy of the member, since the value it is a part of goes.
            common_json member = value.is_array() ? value.at(std::stoul(keys[index])) : value.at(keys[index]);
            value = member;
        }
        return copied(value.dump());
    });
}

char *llama_common_grammar_of_schema(const char *schema, char **error) {
    return attempt(error, [&] { return copied(json_schema_to_grammar(common_json::parse(schema))); });
}
#else
char *llama_common_json_member(const char *, const char *const *, size_t, char **error) {
    *error = copied(missing);
    return nullptr;
}
char *llama_common_grammar_of_schema(const char *, char **error) {
    *error = copied(missing);
    return nullptr;
}
#endif
