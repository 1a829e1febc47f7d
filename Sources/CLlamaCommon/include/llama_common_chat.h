/// Chat templates, tool calls and reasoning; CLlamaCommon.h includes it.
#ifndef LLAMA_COMMON_CHAT_H
#define LLAMA_COMMON_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A chat template that was understood; not for several threads at once.
typedef struct llama_common_chat_template llama_common_chat_template;

/// Reads a template in Jinja: the one in `source`, or the model's own if that is NULL. `model` is a `const struct llama_model *`
/// and outlives it.
///
/// Returns NULL where there is none or it makes no sense, and the reason in `error`.
llama_common_chat_template *llama_common_chat_template_create(const void *model, const char *source, char **error);

void llama_common_chat_template_destroy(llama_common_chat_template *chat);

/// What it is and can, as a JSON object: `source`, `reasons`, `tools`, and llama.cpp's `capabilities`.
char *llama_common_chat_template_description(const llama_common_chat_template *chat, char **error);

/// A conversation that is to be put into a template. JSON is as OpenAI's interface has it; NULL is what is not there.
typedef struct {
    /// An array of messages.
    const char *messages;
    /// An array of tools.
    const char *tools;
    /// "auto", "none" or "required".
    const char *tool_choice;
    /// What the answer must be, if it is no call.
    const char *json_schema;
    /// An object: more variables of the template.
    const char *arguments;
    /// "none", "auto" or "deepseek".
    const char *reasoning_format;
    /// 0 or 1; what the template can if negative.
    int32_t parallel_tool_calls;
    bool enable_thinking;
    /// Whether the answer begins where the text ends.
    bool add_generation_prompt;
    /// Whether the last message, the assistant's, is to be gone on with.
    bool continue_final_message;
    /// Whether only `parts` are wanted, which is much faster with tools.
    bool text_only;
} llama_common_chat_input;

/// The text of a conversation and what its answer is like, as a JSON object:
///
/// - `parts`: texts that are the prompt together. The second and every other of them stand in the conversation and are spelled
///   like control tokens, without being any.
/// - `grammar`: GBNF, empty if anything goes. It counts `opening`, which the prompt ends with, to the text, unless it is `lazy`:
///   then it begins with one of the `words`, or with the first group of one of the `patterns`, wherever that appears outside
///   of what stands between `thinking_start` and one of `thinking_ends`.
/// - `begin`: what the text begins with, behind the opening, if it must be a call.
/// - `preserved`: control tokens that are part of the answer's text; `stops`: texts that end it.
/// - `parser`: for llama_common_chat_parser_create; null if the answer is the text as it is.
///
/// Returns NULL where the template refuses the conversation, and the reason in `error`.
char *llama_common_chat_template_apply(
    llama_common_chat_template *chat, const llama_common_chat_input *input, char **error);

/// Takes an answer apart while it is written; not for several threads at once.
typedef struct llama_common_chat_parser llama_common_chat_parser;

/// `state` is the `parser` of llama_common_chat_template_apply.
llama_common_chat_parser *llama_common_chat_parser_create(const char *state, char **error);

void llama_common_chat_parser_destroy(llama_common_chat_parser *parser);

/// Bytes that it took at its beginning.
size_t llama_common_chat_parser_bytes(const llama_common_chat_parser *parser);

/// How an answer goes on.
typedef enum {
    LLAMA_COMMON_CHAT_MORE,
    /// It was cut off.
    LLAMA_COMMON_CHAT_CUT,
    /// It is complete.
    LLAMA_COMMON_CHAT_END,
} llama_common_chat_progress;

/// Adds a text of so many bytes and tells what that adds to the message, as a JSON array of objects with `content`, `reasoning`, or
/// `call` (its number) with `id`, `name` (both with the first object of a call) and `arguments`. An answer that is not in the
/// form that was expected is content as it is. Nothing can follow the end.
char *llama_common_chat_parser_add(
    llama_common_chat_parser *parser, const char *text, size_t size, llama_common_chat_progress progress, char **error);

#ifdef __cplusplus
}
#endif

#endif
