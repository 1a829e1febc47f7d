/// The parts of llama.cpp's `common` library that are used here, behind a face of C: no exception leaves it.
///
/// A copy of llama.cpp without that library can be linked as well; then llama_common_is_available says so, and everything
/// else fails with one sentence.
///
/// Texts are UTF-8. Those that a function returns belong to the caller, who frees them with llama_common_free.
#ifndef C_LLAMA_COMMON_H
#define C_LLAMA_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "llama_common_chat.h"

#ifdef __cplusplus
extern "C" {
#endif

bool llama_common_is_available(void);

void llama_common_free(char *text);

/// Limits of what strangers' templates, schemas and grammars may take, in bytes. What reaches one gives an error.
enum {
    /// Of memory while something is read or a template is filled in, besides that for its input.
    LLAMA_COMMON_WORK_BYTES = 16 << 20,
    /// So many times the bytes of its input may be taken for it.
    LLAMA_COMMON_INPUT_FACTOR = 24,
    /// Of stack meanwhile.
    LLAMA_COMMON_STACK_BYTES = 8 << 20,
    /// That a grammar, or a parser of answers, may grow by at any place of a text.
    LLAMA_COMMON_GROWTH_BYTES = 1 << 20,
};

/// Whether these limits hold: not where a program has its own operators `new`, as under the address sanitizer.
bool llama_common_has_limits(void);

/// A member of a JSON object, found by the keys and numbers on the way to it, as JSON again, with its own members in their order.
///
/// Returns NULL where it is not there, and the reason in `error`.
char *llama_common_json_member(const char *json, const char *const *keys, size_t count, char **error);

/// The items of a list in a JSON object, found in the same way, as a JSON list of texts: each item as JSON.
///
/// Returns NULL where it is not there, and the reason in `error`.
char *llama_common_json_items(const char *json, const char *const *keys, size_t count, char **error);

/// The grammar, in GBNF, of the JSON texts that a JSON schema allows.
///
/// Returns NULL where there is none, and the reason in `error`.
char *llama_common_grammar_of_schema(const char *schema, char **error);

/// A grammar at one place of a text that keeps to it; not for several threads at once.
typedef struct llama_common_grammar llama_common_grammar;

/// The texts of a vocabulary's tokens, as grammars read them. `vocabulary` is a `const struct llama_vocab *` and outlives it.
///
/// Returns NULL where memory is short, or there are no grammars.
typedef struct llama_common_pieces llama_common_pieces;
llama_common_pieces *llama_common_pieces_create(const void *vocabulary);

void llama_common_pieces_destroy(llama_common_pieces *pieces);

/// The beginning of a text. `pieces` outlives it, and is only read.
///
/// `use` is a JSON object that says what of the text the rules are about: what llama_common_chat_template_apply returns, or
/// NULL for all of it.
///
/// Returns NULL where the grammar, GBNF with a rule `root`, makes no sense, and the reason in `error`.
llama_common_grammar *llama_common_grammar_create(
    const llama_common_pieces *pieces, const char *gbnf, const char *use, char **error);

void llama_common_grammar_destroy(llama_common_grammar *grammar);

/// Bytes that it took at its beginning.
size_t llama_common_grammar_bytes(const llama_common_grammar *grammar);

/// Whether a token may come next.
bool llama_common_grammar_allows(const llama_common_grammar *grammar, int32_t token);

/// Sets the logits of all candidates that may not come next to minus infinity. `candidates` is an array of
/// `llama_token_data`. What may come at a place is remembered, as far as the grammar may grow.
///
/// Returns how many are left.
size_t llama_common_grammar_constrain(llama_common_grammar *grammar, void *candidates, size_t count);

/// Goes on by a token.
///
/// Returns whether it may come next; where it may not, nothing changes.
bool llama_common_grammar_accept(llama_common_grammar *grammar, int32_t token);

/// Whether the text may end here.
bool llama_common_grammar_may_end(const llama_common_grammar *grammar);

#ifdef __cplusplus
}
#endif

#endif
