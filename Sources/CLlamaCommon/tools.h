/// Tools for models whose chat template has none: they are described in the system message, and calls are written between
/// <tool_call> and </tool_call> as JSON, which many models were trained with.
#ifndef TOOLS_H
#define TOOLS_H

#include <llama-common/json.h>
#include <string>

/// A template in that form. llama.cpp derives from it how calls are written, parsed and kept to; prompts are not made by it.
extern const char *const plain_tools_template;

/// The same of models that think between <think> and </think>.
extern const char *const plain_tools_template_with_thinking;

/// A conversation in texts: tools are described in the system message, calls and their results are what is written and read.
///
/// - Parameter is_required: whether a call has to be made.
common_json plain_tools_messages(const common_json &messages, const common_json &tools, bool is_required);

#endif
