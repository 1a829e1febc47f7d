#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON
#include "names.h"

#include <algorithm>

control_names::control_names(const llama_vocab *vocabulary) {
    constexpr int control = LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN;
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocabulary); token++) {
        if (!(llama_vocab_get_attr(vocabulary, token) & control)) { continue; }
        std::string name = llama_vocab_get_text(vocabulary, token);
        // Quotes would not survive in JSON and in grammars; no model has such names.
        bool isSimple = name.find_first_of("\"\\") == std::string::npos;
        if (!name.empty() && isSimple) { names[static_cast<unsigned char>(name[0])].push_back(name); }
    }
    for (auto &list : names) {
        std::sort(list.begin(), list.end(), [](const auto &one, const auto &other) {
            return one.size() > other.size();
        });
    }
}

size_t control_names::length_at(const std::string &text, size_t place) const {
    for (const auto &name : names[static_cast<unsigned char>(text[place])]) {
        if (text.compare(place, name.size(), name) == 0) { return name.size(); }
    }
    return 0;
}

disguise::disguise(const control_names &names, const std::string &around) : names(names) {
    for (int number = 0; stem.empty() || around.find(stem) != std::string::npos; number++) {
        stem = "name" + std::to_string(number) + "x";
    }
}

std::string disguise::hide(const std::string &text) {
    std::string result;
    for (size_t place = 0; place < text.size();) {
        size_t length = names.length_at(text, place);
        if (length == 0) {
            result += text[place++];
            continue;
        }
        result += stem + std::to_string(hidden.size()) + "x";
        hidden.push_back(text.substr(place, length));
        place += length;
    }
    return result;
}

common_json disguise::hide(const common_json &value) {
    if (value.is_string()) { return common_json(hide(value.get<std::string>())); }
    if (value.is_array()) {
        auto result = common_json::array();
        for (const auto &item : value) { result.push_back(hide(item)); }
        return result;
    }
    if (!value.is_object()) { return value; }
    auto result = common_json::object();
    for (const auto &[key, member] : value.items()) { result[hide(key)] = hide(member); }
    return result;
}

std::string disguise::hide_json(const std::string &text) {
    auto value = common_json::parse_no_throw(text);
    if (value.is_discarded()) { return hide(text); }
    size_t before = hidden.size();
    auto result = hide(value);
    // What hides nothing stays as it was written.
    return hidden.size() == before ? text : result.dump();
}

std::string disguise::reveal(const std::string &text) const {
    std::string result;
    for (const auto &part : parts(text)) { result += part; }
    return result;
}

std::vector<std::string> disguise::parts(const std::string &text) const {
    std::vector<std::string> result = {""};
    size_t place = 0;
    while (true) {
        size_t next = text.find(stem, place);
        result.back() += text.substr(place, next - place);
        if (next == std::string::npos) { return result; }
        size_t end = text.find('x', next + stem.size());
        size_t number = std::stoul(text.substr(next + stem.size(), end - next - stem.size()));
        result.push_back(hidden.at(number));
        result.push_back("");
        place = end + 1;
    }
}
#endif
