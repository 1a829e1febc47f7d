#include "available.h"

#ifdef MORPHKV_LLAMA_COMMON
#include "trigger.h"

#include <algorithm>

static constexpr size_t nowhere = std::string::npos;
/// Bytes of a text that are kept: no word or pattern spans more.
static constexpr size_t window = 512;

grammar_trigger::grammar_trigger(const common_json &use) {
    for (const auto &word : use.at("words")) { words.push_back(word.get<std::string>()); }
    for (const auto &pattern : use.at("patterns")) { patterns.push_back(pattern.get<std::string>()); }
    for (const auto &pattern : patterns) { expressions.emplace_back(pattern); }
    thinking_start = use.at("thinking_start").get<std::string>();
    for (const auto &end : use.at("thinking_ends")) { thinking_ends.push_back(end.get<std::string>()); }
    if (thinking_ends.empty()) { thinking_start = ""; }
    // The prompt may end inside of a thought; other than that it has no part in the text.
    place opening;
    opening.rest = use.at("opening").get<std::string>();
    skip_thoughts(opening, nowhere);
    now.is_thinking = opening.is_thinking;
}

/// The first of several texts in another.
static size_t first(const std::string &text, const std::vector<std::string> &wanted) {
    size_t place = nowhere;
    for (const auto &word : wanted) { place = std::min(place, text.find(word)); }
    return place;
}

size_t grammar_trigger::find(const place &in) const {
    size_t found = first(in.rest, words);
    for (size_t index = 0; index < patterns.size(); index++) {
        std::smatch match;
        bool isBeginning = patterns[index].front() == '^';
        if ((isBeginning && !in.is_whole) || !std::regex_search(in.rest, match, expressions[index])) { continue; }
        size_t group = 0;
        for (size_t number = match.size() - 1; number > 0; number--) {
            if (match.length(number) > 0) { group = number; }
        }
        found = std::min(found, static_cast<size_t>(match.position(group)));
    }
    return found;
}

void grammar_trigger::skip_thoughts(place &in, size_t limit) const {
    while (!thinking_start.empty()) {
        size_t found = in.is_thinking ? first(in.rest, thinking_ends) : in.rest.find(thinking_start);
        if (found == nowhere || (!in.is_thinking && found >= limit)) { return; }
        // What ends a thought can begin a call too, so it stays.
        in.rest.erase(0, in.is_thinking ? found : found + thinking_start.size());
        in.is_thinking = !in.is_thinking;
        in.is_whole = false;
        if (!in.is_thinking) { limit = find(in); }
    }
}

grammar_trigger::place grammar_trigger::after(const std::string &piece) const {
    auto next = now;
    next.rest += piece;
    skip_thoughts(next, find(next));
    size_t found = next.is_thinking ? nowhere : find(next);
    next.holds = found != nowhere;
    if (next.holds) {
        next.rest.erase(0, found);
    } else if (next.rest.size() > window) {
        next.rest.erase(0, next.rest.size() - window);
        next.is_whole = false;
    }
    return next;
}
#endif
