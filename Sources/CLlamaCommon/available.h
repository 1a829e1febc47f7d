/// How errors of llama.cpp's library `common` become texts. scripts/bootstrap may leave the library out, and a
/// system's llama.cpp comes without it.
#ifndef AVAILABLE_H
#define AVAILABLE_H

#include "include/CLlamaCommon.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#if __has_include(<llama-common/chat.h>)
#define MORPHKV_LLAMA_COMMON
#endif

/// A copy that C can free; NULL if memory is short. Nothing in here throws.
inline char *copied(const char *text) {
    auto copy = static_cast<char *>(std::malloc(std::strlen(text) + 1));
    if (copy) { std::strcpy(copy, text); }
    return copy;
}
inline char *copied(const std::string &text) { return copied(text.c_str()); }

/// What `body` returns; where it throws, nothing, and the reason in `error`.
template <typename Body> auto attempt(char **error, Body body) -> decltype(body()) {
    try {
        return body();
    } catch (const std::exception &failure) {
        *error = copied(failure.what());
    } catch (...) {
        *error = copied("an exception of an unknown kind");
    }
    return {};
}

inline constexpr const char *missing = "this copy of llama.cpp comes without its library `common`";

#endif
