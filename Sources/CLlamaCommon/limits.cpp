#include "limits.h"

#include <exception>
#include <new>

#ifdef __APPLE__
#include <malloc/malloc.h>
static size_t bytes_of(void *memory) { return malloc_size(memory); }
#else
#include <malloc.h>
static size_t bytes_of(void *memory) { return malloc_usable_size(memory); }
#endif

/// What is counted of a thread.
struct watch {
    ptrdiff_t bytes;
    ptrdiff_t most_bytes;
    /// Bytes of the largest list of the values of its input.
    size_t most_listed;
    /// Where the stack was.
    const char *stack;
    size_t allocations;
    /// The limit that was reached.
    const char *reached;
};

/// Bytes of stack, of the 64 MB that a thread has that reads templates.
static constexpr ptrdiff_t most_stack = LLAMA_COMMON_STACK_BYTES;
/// Seconds of computing, more or less.
static constexpr size_t most_allocations = 40000000;

/// The limits that hold; none if NULL.
static thread_local watch *current = nullptr;

/// What is thrown where one is reached.
struct limit_reached : std::exception {
    const char *text;
    explicit limit_reached(const char *text) : text(text) {}
    const char *what() const noexcept override { return text; }
};

limits::limits(size_t bytes, size_t input) : before(current), now(static_cast<watch *>(std::calloc(1, sizeof(watch)))) {
    if (!now) { throw std::bad_alloc(); }
    now->most_bytes = static_cast<ptrdiff_t>(bytes);
    // A value has at least two bytes, with what is between it and the next.
    now->most_listed = 8 * input + (1 << 16);
    now->stack = reinterpret_cast<const char *>(this);
    current = now;
}

limits::~limits() {
    current = before;
    std::free(now);
}

size_t limits::held() const { return now->bytes > 0 ? static_cast<size_t>(now->bytes) : 0; }

ptrdiff_t limits::change() const { return now->bytes; }

size_t limits::count() const { return now->allocations; }

void limits::check() const {
    if (now->reached) { throw limit_reached(now->reached); }
}

/// Whether an exception does no harm. Destructors of JSON values allocate lists of values, of 16 bytes each, and must not throw; they
/// have no more values than the input. What the interpreter makes for every value that it computes (`mk_val`) has other sizes.
static bool may_throw(const watch &watch, size_t size) {
    return (size % 16 != 0 || size > watch.most_listed) && std::uncaught_exceptions() == 0;
}

/// Counts an allocation before it is made.
static void count(watch &watch, size_t size) {
    if (!may_throw(watch, size)) { return; }
    const char here = 0;
    if (watch.stack - &here > most_stack) { watch.reached = "it calls itself too deep"; }
    if (++watch.allocations > most_allocations) { watch.reached = "it goes on for too long"; }
    if (size > PTRDIFF_MAX || watch.bytes + static_cast<ptrdiff_t>(size) > watch.most_bytes) {
        watch.reached = "it takes too much memory";
    }
    if (watch.reached) { throw limit_reached(watch.reached); }
}

// In place of the standard library's, which do the same without counting. Weak: a program's own come first, and there are no limits
// then; nor under the address sanitizer, which brings its own.

__attribute__((weak)) void *operator new(size_t size) {
    if (current) { count(*current, size); }
    while (true) {
        if (void *memory = std::malloc(size > 0 ? size : 1)) {
            if (current) { current->bytes += static_cast<ptrdiff_t>(bytes_of(memory)); }
            return memory;
        }
        auto handler = std::get_new_handler();
        if (!handler) { throw std::bad_alloc(); }
        handler();
    }
}

__attribute__((weak)) void operator delete(void *memory) noexcept {
    if (current && memory) { current->bytes -= static_cast<ptrdiff_t>(bytes_of(memory)); }
    std::free(memory);
}

__attribute__((weak)) void operator delete(void *memory, size_t) noexcept { operator delete(memory); }

bool llama_common_has_limits(void) {
    limits limit(1 << 20, 0);
    operator delete(operator new(100));
    return limit.count() > 0;
}
