// Conditions that must hold whatever the caller does.
#pragma once

/// Ends the process unless the condition holds; for what is cheap beside the work that it guards.
#define CHECK(condition) ((condition) ? (void)0 : __builtin_trap())

/// The same in debug builds and in builds with MORPHKV_CHECK_KERNEL only; for what is asked often.
#if defined(DEBUG) || defined(ATTENTION_CHECKED)
#define DEBUG_CHECK(condition) CHECK(condition)
#else
#define DEBUG_CHECK(condition) ((void)0)
#endif
