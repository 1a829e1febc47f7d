#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON
#include "automaton.h"
#include "limits.h"
#include "trigger.h"

#include <algorithm>
#include <cmath>
#include <llama-common/llama-grammar.h>
#include <memory>
#include <stdexcept>

struct freeing_grammar {
    void operator()(llama_grammar *state) const { llama_grammar_free_impl(state); }
};

struct llama_common_grammar {
    std::unique_ptr<llama_grammar, freeing_grammar> state;
    const llama_common_pieces *pieces;
    const llama_vocab *vocabulary;
    /// Where the rules begin; nothing once they hold.
    std::unique_ptr<grammar_trigger> trigger = nullptr;
    /// What the text has to begin with from here on, besides keeping to the rules.
    std::string begin = "";
    /// Bytes that it took at its beginning, and those that were added since.
    size_t bytes = 0;
    ptrdiff_t growth = 0;
    /// What is remembered of the rules, and its bytes; nothing where it cannot follow them or took too much.
    std::unique_ptr<grammar_automaton> automaton = nullptr;
    ptrdiff_t remembered = 0;

    /// Bytes that it may still take.
    size_t left() const {
        return static_cast<size_t>(std::max<ptrdiff_t>(0, static_cast<ptrdiff_t>(LLAMA_COMMON_GROWTH_BYTES) - growth));
    }
};

/// No token: rules about tokens are for those that are chosen.
static constexpr llama_token no_token = -1;

/// Whether a text keeps to the rules.
static bool accepts(const llama_grammar &state, const std::string &text) {
    std::unique_ptr<llama_grammar, freeing_grammar> copy(llama_grammar_clone_impl(state));
    char *error = nullptr;
    bool isAccepted = attempt(&error, [&] {
        llama_grammar_accept_token(*copy, no_token, text);
        return true;
    });
    std::free(error);
    return isAccepted;
}

static bool begins_with(const std::string &text, const std::string &beginning) {
    return text.compare(0, beginning.size(), beginning) == 0;
}

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

/// How a template uses a grammar.
static void prepare(llama_common_grammar &grammar, const common_json &use) {
    if (use.at("lazy").get<bool>()) {
        grammar.trigger = std::make_unique<grammar_trigger>(use);
        return;
    }
    auto opening = use.at("opening").get<std::string>();
    if (!opening.empty()) { llama_grammar_accept_token(*grammar.state, no_token, opening); }
    auto begin = use.at("begin").get<std::string>();
    if (!begin.empty() && accepts(*grammar.state, begin)) { grammar.begin = begin; }
}

llama_common_grammar *llama_common_grammar_create(
    const llama_common_pieces *pieces, const char *gbnf, const char *use, char **error) {
    return attempt_within(LLAMA_COMMON_WORK_BYTES, std::strlen(gbnf), error, [&](limits &limit) -> llama_common_grammar * {
        auto vocab = pieces->vocabulary;
        check(vocab, gbnf);
        auto state = llama_grammar_init_impl(vocab, gbnf, "root", false, nullptr, 0, nullptr, 0);
        limit.check();
        if (!state) { throw std::runtime_error("a rule begins with itself"); }
        std::unique_ptr<llama_common_grammar> grammar(new llama_common_grammar{
            std::unique_ptr<llama_grammar, freeing_grammar>(state), pieces, vocab});
        if (grammar_automaton::follows(*state)) { grammar->automaton = std::make_unique<grammar_automaton>(); }
        if (use) { prepare(*grammar, common_json::parse(use)); }
        limit.check();
        grammar->bytes = limit.held();
        return grammar.release();
    });
}

void llama_common_grammar_destroy(llama_common_grammar *grammar) { delete grammar; }

size_t llama_common_grammar_bytes(const llama_common_grammar *grammar) { return grammar->bytes; }

bool llama_common_grammar_may_end(const llama_common_grammar *grammar) {
    const auto &stacks = grammar->state->stacks;
    return grammar->trigger || std::any_of(stacks.begin(), stacks.end(), [](const auto &stack) { return stack.empty(); });
}

/// Whether a token may come next as far as the text must begin with something.
static bool may_begin(const llama_common_grammar &grammar, llama_token token) {
    if (grammar.begin.empty()) { return true; }
    auto text = piece(grammar.vocabulary, token);
    return !text.empty() && (begins_with(text, grammar.begin) || begins_with(grammar.begin, text));
}

/// Whether a token may come next before the rules hold.
static bool may_come_before(const llama_common_grammar &grammar, llama_token token) {
    if (llama_vocab_is_eog(grammar.vocabulary, token)) { return true; }
    auto next = grammar.trigger->after(piece(grammar.vocabulary, token));
    return !next.holds || accepts(*grammar.state, next.rest);
}

/// Candidates whose texts are looked at a time, so that what this takes does not grow with the vocabulary.
static constexpr size_t batch = 1024;

/// Makes what may not come next impossible, each token by itself.
static void constrain(const llama_common_grammar &grammar, llama_token_data *data, size_t count) {
    for (size_t index = 0; index < count; index++) {
        bool isAllowed = grammar.trigger ? may_come_before(grammar, data[index].id) : may_begin(grammar, data[index].id);
        if (!isAllowed) { data[index].logit = -INFINITY; }
    }
    llama_token_data_array array = {data, count, -1, false};
    if (!grammar.trigger) { llama_grammar_apply_impl(*grammar.state, &array); }
}

static size_t constrain_each(const llama_common_grammar &grammar, llama_token_data *data, size_t count) {
    char *error = nullptr;
    bool isDone = true;
    for (size_t first = 0; isDone && first < count; first += batch) {
        isDone = attempt_within(LLAMA_COMMON_GROWTH_BYTES, 0, &error, [&](limits &) {
            constrain(grammar, data + first, std::min(batch, count - first));
            return true;
        });
    }
    std::free(error);
    return isDone ? std::count_if(data, data + count, [](const auto &item) { return item.logit > -INFINITY; }) : 0;
}

// MARK: What is remembered

/// Bytes that it may take: half of what a grammar may grow by.
static constexpr size_t most_remembered = LLAMA_COMMON_GROWTH_BYTES / 2;

static void forget(llama_common_grammar &grammar) {
    char *error = nullptr;
    attempt_within(LLAMA_COMMON_GROWTH_BYTES, 0, &error, [&](limits &) {
        grammar.automaton->clear();
        return true;
    });
    std::free(error);
    grammar.growth -= grammar.remembered;
    grammar.remembered = 0;
}

/// The tokens that may come next; NULL where that is more than may be remembered.
static const std::vector<bool> *remember(llama_common_grammar &grammar) {
    auto room = std::min<size_t>(most_remembered - grammar.remembered, grammar.left());
    char *error = nullptr;
    ptrdiff_t change = 0;
    auto allowed = attempt_within(room, 0, &error, [&](limits &limit) {
        auto tokens = &grammar.automaton->allowed(*grammar.state, *grammar.pieces);
        limit.check();
        change = limit.change();
        return tokens;
    });
    std::free(error);
    if (!allowed) { forget(grammar); }
    grammar.remembered += change;
    grammar.growth += change;
    return allowed;
}

/// Whether places can be remembered: where the rules hold, and no character was begun.
static const std::vector<bool> *allowed(llama_common_grammar &grammar) {
    if (!grammar.automaton || grammar.trigger || !grammar.begin.empty() || grammar.state->partial_utf8.n_remain != 0) {
        return nullptr;
    }
    bool isFirst = grammar.automaton->is_empty();
    auto tokens = remember(grammar);
    if (!tokens && !isFirst) { tokens = remember(grammar); }
    // What is too much for one place will be too much for others.
    if (!tokens) { grammar.automaton = nullptr; }
    return tokens;
}

size_t llama_common_grammar_constrain(llama_common_grammar *grammar, void *candidates, size_t count) {
    auto data = static_cast<llama_token_data *>(candidates);
    auto tokens = allowed(*grammar);
    if (!tokens) { return constrain_each(*grammar, data, count); }
    size_t left = 0;
    for (size_t index = 0; index < count; index++) {
        auto token = static_cast<size_t>(data[index].id);
        bool isAllowed = token < tokens->size() && (*tokens)[token] && data[index].logit > -INFINITY;
        if (!isAllowed) { data[index].logit = -INFINITY; }
        left += isAllowed;
    }
    return left;
}

bool llama_common_grammar_allows(const llama_common_grammar *grammar, int32_t token) {
    llama_token_data single = {token, 0, 0};
    return constrain_each(*grammar, &single, 1) == 1;
}

/// Goes on by a token that is allowed.
static void move(llama_common_grammar &grammar, llama_token token) {
    auto text = piece(grammar.vocabulary, token);
    if (!grammar.trigger) {
        llama_grammar_accept_impl(*grammar.state, token);
        grammar.begin.erase(0, text.size());
        return;
    }
    if (llama_vocab_is_eog(grammar.vocabulary, token)) { return; }
    auto next = grammar.trigger->after(text);
    grammar.trigger->move(next);
    if (!next.holds) { return; }
    llama_grammar_accept_token(*grammar.state, no_token, next.rest);
    grammar.trigger = nullptr;
}

static bool move_within(llama_common_grammar &grammar, llama_token token) {
    char *error = nullptr;
    bool isDone = attempt_within(grammar.left(), 0, &error, [&](limits &limit) {
        move(grammar, token);
        grammar.growth += limit.change();
        return true;
    });
    std::free(error);
    return isDone;
}

bool llama_common_grammar_accept(llama_common_grammar *grammar, int32_t token) {
    // What is not allowed would end the process.
    if (!llama_common_grammar_allows(grammar, token)) { return false; }
    if (move_within(*grammar, token)) { return true; }
    if (grammar->remembered == 0) { return false; }
    forget(*grammar);
    return move_within(*grammar, token);
}

#else

llama_common_grammar *llama_common_grammar_create(
    const llama_common_pieces *, const char *, const char *, char **error) {
    *error = copied(missing);
    return nullptr;
}
void llama_common_grammar_destroy(llama_common_grammar *) {}
size_t llama_common_grammar_bytes(const llama_common_grammar *) { return 0; }
bool llama_common_grammar_may_end(const llama_common_grammar *) { return false; }
size_t llama_common_grammar_constrain(llama_common_grammar *, void *, size_t) { return 0; }
bool llama_common_grammar_allows(const llama_common_grammar *, int32_t) { return false; }
bool llama_common_grammar_accept(llama_common_grammar *, int32_t) { return false; }

#endif
