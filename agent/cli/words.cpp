// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/words.hpp"

#include "agent/cli/terminal.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace hamr::cli {

using namespace hamr::control;

namespace {

constexpr std::size_t label_columns = 12;
constexpr std::size_t page_columns = 100;

std::string fixed(double value, int decimals) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
    return text.data();
}

}  // namespace

std::string count(std::uint64_t number, std::string_view thing) {
    return std::to_string(number) + " " + std::string(thing) + (number == 1 ? "" : "s");
}

std::string join(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
    return text;
}

std::string line(std::string_view label, const std::string& text) {
    std::string left = "  " + std::string(label);
    left.resize(label_columns, ' ');
    return wrap(left + text, std::string(label_columns, ' '), page_columns) + "\n";
}

std::string underscores_to_blanks(std::string_view word) {
    std::string text(word);
    for (char& c : text) {
        if (c == '_') c = ' ';
    }
    return text;
}

const NodeStatus* find_node(const Status& status, std::string_view name) {
    for (const NodeStatus& node : status.nodes) {
        if (node.name == name) return &node;
    }
    return nullptr;
}

bool is_witness(const Status& status) {
    const NodeStatus* self = find_node(status, status.node);
    return self != nullptr && self->role == NodeRole::witness;
}

std::size_t voters_in_reach(const Status& status) {
    return static_cast<std::size_t>(
        std::count_if(status.nodes.begin(), status.nodes.end(),
                      [](const NodeStatus& node) { return node.state == NodeState::alive; }));
}

bool in_minority(const Status& status, const GroupStatus& group) {
    return status.quorum == "majority" && voters_in_reach(status) < group.needed;
}

std::string show_age(std::chrono::milliseconds age) {
    const auto seconds = age.count() / 1000;
    if (seconds < 60) return std::to_string(seconds) + " s";
    if (seconds < 3600) return std::to_string(seconds / 60) + " min";
    if (seconds < 86400) {
        return std::to_string(seconds / 3600) + " h " + std::to_string(seconds % 3600 / 60) +
               " min";
    }
    return std::to_string(seconds / 86400) + " d " + std::to_string(seconds % 86400 / 3600) + " h";
}

std::string show_ms(double ms) {
    if (ms < 10) return fixed(ms, 1) + " ms";
    if (ms < 1000) return fixed(ms, 0) + " ms";
    if (ms < 60'000) return fixed(ms / 1000, 1) + " s";
    if (ms > 1e15) return "very long";
    return show_age(std::chrono::milliseconds(static_cast<std::int64_t>(ms)));
}

std::string show_since(WallTime since, WallTime now) {
    std::string text = format_time(since);
    if (now >= since) text += " (" + show_age(now - since) + " ago)";
    return text;
}

std::string show_drain(const DrainStatus& drain) {
    switch (drain.state) {
        case DrainStatus::State::none:
            return {};
        case DrainStatus::State::moving:
            return "leadership has not moved yet";
        case DrainStatus::State::finishing: {
            std::string text = count(drain.connections, "connection") + " left";
            if (drain.left_ms) {
                const double left = std::clamp(*drain.left_ms, 0.0, 1e12);
                text += ", " +
                        show_age(std::chrono::milliseconds(static_cast<std::int64_t>(left))) +
                        " until the rest is cut";
            }
            return text;
        }
        case DrainStatus::State::drained:
            return "drained";
    }
    return {};
}

}  // namespace hamr::cli
