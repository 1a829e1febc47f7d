/// Keeps what clients write from becoming control tokens.
#ifndef NAMES_H
#define NAMES_H

#include <llama-common/json.h>
#include <llama.h>
#include <string>
#include <vector>

/// The names of a vocabulary's control tokens, such as `<|im_end|>`.
class control_names {
public:
    explicit control_names(const llama_vocab *vocabulary);

    /// The length of the longest name that stands at a place of a text; 0 if none does.
    size_t length_at(const std::string &text, size_t place) const;

private:
    /// By the byte that they begin with, longest first.
    std::vector<std::string> names[256];
};

/// Stands in for names while a template is filled in: what it puts around them is parsed for control tokens, they are not.
class disguise {
public:
    /// `around` has everything that a stand-in must differ from.
    disguise(const control_names &names, const std::string &around);

    /// A text with stand-ins for the names in it.
    std::string hide(const std::string &text);
    /// A value with stand-ins in all of its texts and keys.
    common_json hide(const common_json &value);
    /// A JSON text that stands in a string.
    std::string hide_json(const std::string &text);

    /// The text again.
    std::string reveal(const std::string &text) const;
    /// A text cut at stand-ins: the second and every other part is a name.
    std::vector<std::string> parts(const std::string &text) const;

private:
    const control_names &names;
    std::string stem;
    std::vector<std::string> hidden;
};

#endif
