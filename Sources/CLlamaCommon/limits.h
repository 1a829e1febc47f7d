/// What llama.cpp's library `common` may take while it works on what strangers wrote: templates are programs, and schemas and grammars
/// can be small and mean much.
///
/// All of it allocates at every step, so its allocations are where it is stopped: when it holds too many bytes, has called itself too
/// deep, or goes on for ever.
#ifndef LIMITS_H
#define LIMITS_H

#include "available.h"

#include <cstddef>
#include <stdexcept>
#include <utility>

/// Limits of the thread that makes one, as long as it is there. A limit inside of another one counts alone.
class limits {
public:
    /// - Parameters:
    ///   - bytes: that may be allocated and not freed.
    ///   - input: bytes of what is read.
    limits(size_t bytes, size_t input);
    ~limits();
    limits(const limits &) = delete;

    /// Bytes that were allocated since and are not freed.
    size_t held() const;
    /// The same, negative where more was freed.
    ptrdiff_t change() const;
    /// Throws if a limit was reached: what was thrown then may have been caught.
    void check() const;
    /// Allocations that were counted.
    size_t count() const;

private:
    struct watch *before;
    struct watch *now;
};

/// What `body` returns within limits; where it throws, nothing, and the reason in `error`. `body` calls `check` when it is done.
template <typename Body> auto attempt_within(size_t bytes, size_t input, char **error, Body body) -> decltype(body(std::declval<limits &>())) {
    limits limit(bytes, input);
    char *first = nullptr;
    auto result = attempt(&first, [&] { return body(limit); });
    if (!first) { return result; }
    // What was thrown first says more than what became of it.
    attempt(error, [&] {
        limit.check();
        return true;
    });
    if (*error) {
        std::free(first);
    } else {
        *error = first;
    }
    return result;
}

#endif
