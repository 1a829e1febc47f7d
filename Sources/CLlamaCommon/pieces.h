/// The texts of a vocabulary's tokens in alphabetical order, so that those that begin alike are looked at together.
#ifndef PIECES_H
#define PIECES_H

#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON

#include <llama.h>
#include <string>
#include <vector>

/// What a token says; control tokens say their names.
std::string piece(const llama_vocab *vocabulary, llama_token token);

struct llama_common_pieces {
    /// One token and its text.
    struct item {
        llama_token token;
        /// Where its text begins in `texts`, and its bytes.
        uint32_t start;
        uint16_t size;
        /// Bytes that it has in common with the text before it.
        uint16_t shared;
    };

    const llama_vocab *vocabulary;
    /// Tokens in vocabulary: all ids are smaller.
    size_t count;
    /// All that can be part of a text, but those that end one.
    std::vector<item> items;
    std::string texts;
    /// The tokens that end a text.
    std::vector<llama_token> ends;

    explicit llama_common_pieces(const llama_vocab *vocabulary);
};

#endif
#endif
