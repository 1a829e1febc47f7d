/// Where in a text the rules of a grammar begin to hold.
#ifndef TRIGGER_H
#define TRIGGER_H

#include <llama-common/json.h>
#include <regex>
#include <string>
#include <vector>

/// Looks for the beginning of a call in an answer, but not in what the model thinks.
///
/// Only the end of the text is kept and searched. libllama's own triggers search all of it, by recursion, at every token.
class grammar_trigger {
public:
    /// `use` is a JSON object: `words`, `patterns`, `thinking_start`, `thinking_ends`, and `opening`, the end of the prompt.
    explicit grammar_trigger(const common_json &use);

    /// What is known after another piece of text.
    struct place {
        /// The end of the text, from where the rules hold if they do.
        std::string rest;
        bool holds = false;
        bool is_thinking = false;
        /// Whether `rest` is all of the text.
        bool is_whole = true;
    };

    place after(const std::string &piece) const;
    void move(const place &next) { now = next; }

private:
    /// The first place in a text where the rules begin.
    size_t find(const place &in) const;
    /// Takes what is over out of a text: thoughts that ended.
    void skip_thoughts(place &in, size_t limit) const;

    std::vector<std::string> words;
    std::vector<std::string> patterns;
    std::vector<std::regex> expressions;
    std::string thinking_start;
    std::vector<std::string> thinking_ends;
    place now;
};

#endif
