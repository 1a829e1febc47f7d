/// Which tokens may come next at the places of a grammar, remembered: places come again, and most tokens begin like others.
#ifndef AUTOMATON_H
#define AUTOMATON_H

#include "pieces.h"

#ifdef MORPHKV_LLAMA_COMMON

#include <llama-common/llama-grammar.h>
#include <memory>
#include <unordered_map>

/// A grammar's stacks, and what follows them after a character, computed by libllama once for each place.
///
/// It looks at characters only: grammars with rules about tokens (`<[7]>`) are not for it, nor places in the middle of a character.
class grammar_automaton {
public:
    /// Whether it can follow a grammar.
    static bool follows(const llama_grammar &grammar);

    /// The tokens that may come next, a bit for each; the same as llama_grammar_apply_impl leaves.
    ///
    /// `grammar` is as it was when this returns or throws; after an exception nothing here may be used but `clear`.
    const std::vector<bool> &allowed(llama_grammar &grammar, const llama_common_pieces &pieces);

    void clear();
    bool is_empty() const { return places.empty(); }

private:
    struct place {
        llama_grammar_stacks stacks;
        /// The characters from which on something else may follow than before them; the first is 0.
        std::vector<uint32_t> bounds;
        /// The place that follows, for each range of characters; `unknown` and `nowhere` besides.
        std::vector<int32_t> next;
        /// Once it was asked for.
        std::vector<bool> allowed;
    };
    /// A token that ends within a character.
    struct cut {
        llama_token token;
        llama_partial_utf8 rest;
    };
    using cuts = std::unordered_map<int32_t, std::vector<cut>>;
    static constexpr int32_t unknown = -2;
    static constexpr int32_t nowhere = -1;

    int32_t find(const llama_grammar_stacks &stacks);
    int32_t after(llama_grammar &grammar, int32_t from, uint32_t character);
    std::vector<bool> walk(llama_grammar &grammar, const llama_common_pieces &pieces, int32_t from);
    void add(std::vector<bool> &tokens, const llama_grammar &grammar, const cuts &ending) const;

    std::vector<std::unique_ptr<place>> places;
    std::unordered_multimap<size_t, int32_t> numbers;
};

#endif
#endif
