#include "automaton.h"

#ifdef MORPHKV_LLAMA_COMMON

#include <algorithm>

static bool is_about_tokens(const llama_grammar_element &element) {
    return element.type == LLAMA_GRETYPE_TOKEN || element.type == LLAMA_GRETYPE_TOKEN_NOT;
}

bool grammar_automaton::follows(const llama_grammar &grammar) {
    return std::none_of(grammar.rules.begin(), grammar.rules.end(), [](const auto &rule) {
        return std::any_of(rule.begin(), rule.end(), is_about_tokens);
    });
}

void grammar_automaton::clear() {
    places.clear();
    places.shrink_to_fit();
    numbers = {};
}

// MARK: Characters

/// A character, or the beginning of one, as libllama reads it: without a look at whether the bytes that go on are such bytes.
struct character {
    uint32_t value;
    /// Bytes that are missing; -1 where none begins here.
    int missing;
    size_t size;
};

static character read(const char *text, size_t size) {
    auto first = static_cast<uint8_t>(text[0]);
    int more = first < 0x80 ? 0 : first < 0xC0 ? -1 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    if (more < 0) { return {0, -1, 1}; }
    character result = {first & ((1u << (7 - more)) - 1), more, 1};
    while (result.missing > 0 && result.size < size) {
        result.value = (result.value << 6) + (static_cast<uint8_t>(text[result.size]) & 0x3F);
        result.size++;
        result.missing--;
    }
    return result;
}

/// Adds where the characters begin and end that an element of a grammar names.
static void add_bounds(std::vector<uint32_t> &bounds, const llama_grammar_element *element) {
    if (element->type == LLAMA_GRETYPE_CHAR_ANY) { return; }
    do {
        bool isRange = element[1].type == LLAMA_GRETYPE_CHAR_RNG_UPPER;
        bounds.push_back(element->value);
        bounds.push_back(element[isRange ? 1 : 0].value + 1);
        element += isRange ? 2 : 1;
    } while (element->type == LLAMA_GRETYPE_CHAR_ALT);
}

// MARK: Places

static size_t hash(const llama_grammar_stacks &stacks) {
    size_t sum = stacks.size();
    for (const auto &stack : stacks) {
        for (auto element : stack) { sum = (sum ^ reinterpret_cast<size_t>(element)) * 0x9E3779B97F4A7C15 + (sum >> 29); }
        sum = sum * 31 + stack.size();
    }
    return sum;
}

int32_t grammar_automaton::find(const llama_grammar_stacks &stacks) {
    auto key = hash(stacks);
    auto [first, last] = numbers.equal_range(key);
    for (auto known = first; known != last; ++known) {
        if (places[known->second]->stacks == stacks) { return known->second; }
    }
    auto added = std::make_unique<place>();
    added->stacks = stacks;
    added->bounds = {0};
    for (const auto &stack : stacks) {
        if (!stack.empty()) { add_bounds(added->bounds, stack.back()); }
    }
    std::sort(added->bounds.begin(), added->bounds.end());
    added->bounds.erase(std::unique(added->bounds.begin(), added->bounds.end()), added->bounds.end());
    added->next.assign(added->bounds.size(), unknown);
    auto number = static_cast<int32_t>(places.size());
    places.push_back(std::move(added));
    numbers.emplace(key, number);
    return number;
}

/// Puts a grammar's stacks back.
struct restoring {
    llama_grammar &grammar;
    llama_grammar_stacks stacks;
    explicit restoring(llama_grammar &grammar) : grammar(grammar), stacks(std::move(grammar.stacks)) {}
    ~restoring() { grammar.stacks = std::move(stacks); }
};

int32_t grammar_automaton::after(llama_grammar &grammar, int32_t from, uint32_t character) {
    auto &place = *places[from];
    auto range = std::upper_bound(place.bounds.begin(), place.bounds.end(), character) - place.bounds.begin() - 1;
    if (place.next[range] == unknown) {
        restoring whenDone(grammar);
        grammar.stacks = place.stacks;
        llama_grammar_accept(&grammar, character);
        place.next[range] = grammar.stacks.empty() ? nowhere : find(grammar.stacks);
    }
    return place.next[range];
}

// MARK: Tokens

const std::vector<bool> &grammar_automaton::allowed(llama_grammar &grammar, const llama_common_pieces &pieces) {
    auto here = find(grammar.stacks);
    if (places[here]->allowed.empty()) { places[here]->allowed = walk(grammar, pieces, here); }
    return places[here]->allowed;
}

/// Follows all tokens from a place; what a token has in common with the one before it is not followed again.
std::vector<bool> grammar_automaton::walk(llama_grammar &grammar, const llama_common_pieces &pieces, int32_t from) {
    struct step {
        size_t end;
        int32_t place;
    };
    std::vector<bool> tokens(pieces.count);
    std::vector<step> path = {{0, from}};
    cuts ending;
    // So many bytes of the last text cannot be the beginning of any.
    size_t impossible = SIZE_MAX;
    for (const auto &item : pieces.items) {
        if (item.shared >= impossible) { continue; }
        impossible = SIZE_MAX;
        while (path.back().end > item.shared) { path.pop_back(); }
        while (path.back().end < item.size) {
            auto [end, here] = path.back();
            auto next = read(pieces.texts.data() + item.start + end, item.size - end);
            if (next.missing > 0) { ending[here].push_back({item.token, {next.value, next.missing}}); }
            auto there = next.missing == 0 ? after(grammar, here, next.value) : nowhere;
            if (next.missing <= 0 && there == nowhere) { impossible = end + next.size; }
            if (there == nowhere) { break; }
            path.push_back({end + next.size, there});
        }
        tokens[item.token] = path.back().end == item.size;
    }
    add(tokens, grammar, ending);
    const auto &stacks = places[from]->stacks;
    bool mayEnd = std::any_of(stacks.begin(), stacks.end(), [](const auto &stack) { return stack.empty(); });
    for (auto token : pieces.ends) { tokens[token] = mayEnd; }
    return tokens;
}

/// Adds those of the tokens that end within a character with which one may begin that is allowed there.
void grammar_automaton::add(std::vector<bool> &tokens, const llama_grammar &grammar, const cuts &ending) const {
    static const uint32_t nothing = 0;
    for (const auto &[number, cut] : ending) {
        llama_grammar_candidates rejected;
        for (const auto &token : cut) {
            tokens[token.token] = true;
            rejected.push_back({static_cast<size_t>(token.token), &nothing, token.rest, token.token});
        }
        for (const auto &stack : places[number]->stacks) {
            rejected = llama_grammar_reject_candidates_for_stack(grammar.rules, stack, rejected);
        }
        for (const auto &token : rejected) { tokens[token.index] = false; }
    }
}

#endif
