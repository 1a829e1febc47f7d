#include "pieces.h"

#ifdef MORPHKV_LLAMA_COMMON

#include <algorithm>
#include <string_view>

std::string piece(const llama_vocab *vocabulary, llama_token token) {
    std::string text(64, 0);
    int32_t size = llama_token_to_piece(vocabulary, token, text.data(), text.size(), 0, true);
    if (size < 0) {
        text.resize(-size);
        size = llama_token_to_piece(vocabulary, token, text.data(), text.size(), 0, true);
    }
    text.resize(std::max(size, 0));
    return text;
}

/// Bytes that two texts have in common at their beginning.
static size_t common(std::string_view one, std::string_view other) {
    return std::mismatch(one.begin(), one.begin() + std::min(one.size(), other.size()), other.begin()).first - one.begin();
}

llama_common_pieces::llama_common_pieces(const llama_vocab *vocabulary)
    : vocabulary(vocabulary), count(llama_vocab_n_tokens(vocabulary)) {
    for (llama_token token = 0; token < static_cast<llama_token>(count); token++) {
        if (llama_vocab_is_eog(vocabulary, token)) {
            ends.push_back(token);
            continue;
        }
        // libllama reads texts up to the first zero, and lets none in that begins with one.
        auto text = piece(vocabulary, token);
        auto size = std::strlen(text.c_str());
        if (size == 0 || size > UINT16_MAX) { continue; }
        items.push_back({token, static_cast<uint32_t>(texts.size()), static_cast<uint16_t>(size), 0});
        texts.append(text, 0, size);
    }
    auto text = [this](const item &item) { return std::string_view(texts.data() + item.start, item.size); };
    std::sort(items.begin(), items.end(), [&](const item &one, const item &other) { return text(one) < text(other); });
    for (size_t index = 1; index < items.size(); index++) {
        items[index].shared = static_cast<uint16_t>(common(text(items[index - 1]), text(items[index])));
    }
    items.shrink_to_fit();
    texts.shrink_to_fit();
}

llama_common_pieces *llama_common_pieces_create(const void *vocabulary) {
    char *error = nullptr;
    auto pieces = attempt(&error, [&] { return new llama_common_pieces(static_cast<const llama_vocab *>(vocabulary)); });
    std::free(error);
    return pieces;
}

void llama_common_pieces_destroy(llama_common_pieces *pieces) { delete pieces; }

#else

llama_common_pieces *llama_common_pieces_create(const void *) { return nullptr; }
void llama_common_pieces_destroy(llama_common_pieces *) {}

#endif
