#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON
#include <algorithm>
#include <cmath>
#include <llama-common/llama-grammar.h>
#include <memory>
#include <stdexcept>

struct llama_common_grammar {
    llama_grammar *state;
    const llama_vocab *vocabulary;

    ~llama_common_grammar() { llama_grammar_free_impl(state); }
};

/// What comes after white space and comments.
static const char *rest_after_space(const char *text) {
    while (true) {
        text += std::strspn(text, " \t\r\n");
        if (*text != '#') { return text; }
        text += std::strcspn(text, "\r\n");
    }
}

/// Throws where repetitions such as `x{1,500}`, each of which becomes as many rules, add up to more memory than a request may
/// take.
static void check_repetitions(const char *gbnf) {
    constexpr unsigned long long most = 50000;
    unsigned long long sum = 0;
    for (auto brace = std::strchr(gbnf, '{'); brace; brace = std::strchr(brace + 1, '{')) {
        char *end = nullptr;
        auto times = std::strtoull(brace + 1, &end, 10);
        if (*end == ',') { times = std::max(times, std::strtoull(end + 1, nullptr, 10)); }
        sum += std::min(times, most + 1);
    }
    if (sum > most) { throw std::runtime_error("its repetitions add up to more than " + std::to_string(most)); }
}

/// Throws where the text is no grammar; llama_grammar_parser::parse prints the reason instead of telling it.
static void check(const llama_vocab *vocabulary, const char *gbnf) {
    check_repetitions(gbnf);
    llama_grammar_parser parser(vocabulary);
    for (auto rest = rest_after_space(gbnf); *rest;) { rest = parser.parse_rule(rest); }
    for (const auto &[name, id] : parser.symbol_ids) {
        if (id >= parser.rules.size() || parser.rules[id].empty()) {
            throw std::runtime_error("there is no rule '" + name + "'");
        }
    }
    if (!parser.symbol_ids.count("root")) { throw std::runtime_error("there is no rule 'root'"); }
}

llama_common_grammar *llama_common_grammar_create(const void *vocabulary, const char *gbnf, char **error) {
    return attempt(error, [&]() -> llama_common_grammar * {
        auto vocab = static_cast<const llama_vocab *>(vocabulary);
        check(vocab, gbnf);
        auto state = llama_grammar_init_impl(vocab, gbnf, "root", false, nullptr, 0, nullptr, 0);
        if (!state) { throw std::runtime_error("a rule begins with itself"); }
        return new llama_common_grammar{state, vocab};
    });
}

void llama_common_grammar_destroy(llama_common_grammar *grammar) { delete grammar; }

bool llama_common_grammar_may_end(const llama_common_grammar *grammar) {
    const auto &stacks = grammar->state->stacks;
    return std::any_of(stacks.begin(), stacks.end(), [](const auto &stack) { return stack.empty(); });
}

size_t llama_common_grammar_constrain(const llama_common_grammar *grammar, void *candidates, size_t count) {
    auto data = static_cast<llama_token_data *>(candidates);
    llama_token_data_array array = {data, count, -1, false};
    char *error = nullptr;
    bool isDone = attempt(&error, [&] {
        llama_grammar_apply_impl(*grammar->state, &array);
        return true;
    });
    std::free(error);
    return isDone ? std::count_if(data, data + count, [](const auto &item) { return item.logit > -INFINITY; }) : 0;
}

bool llama_common_grammar_allows(const llama_common_grammar *grammar, int32_t token) {
    llama_token_data single = {token, 0, 0};
    return llama_common_grammar_constrain(grammar, &single, 1) == 1;
}

bool llama_common_grammar_accept(llama_common_grammar *grammar, int32_t token) {
    // What is not allowed would end the process.
    if (!llama_common_grammar_allows(grammar, token)) { return false; }
    char *error = nullptr;
    bool isDone = attempt(&error, [&] {
        llama_grammar_accept_impl(*grammar->state, token);
        return true;
    });
    std::free(error);
    return isDone;
}

#else

llama_common_grammar *llama_common_grammar_create(const void *, const char *, char **error) {
    *error = copied(missing);
    return nullptr;
}
void llama_common_grammar_destroy(llama_common_grammar *) {}
bool llama_common_grammar_may_end(const llama_common_grammar *) { return false; }
size_t llama_common_grammar_constrain(const llama_common_grammar *, void *, size_t) { return 0; }
bool llama_common_grammar_allows(const llama_common_grammar *, int32_t) { return false; }
bool llama_common_grammar_accept(llama_common_grammar *, int32_t) { return false; }

#endif
