// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/history.hpp"

#include "agent/control/json.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

namespace hamr::daemon {

History::History(std::string path) : path_(std::move(path)) {
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) {
        // One array of one entry per line: what the control API would say of it.
        const auto parsed = control::parse_history(line);
        if (!parsed) continue;
        for (const control::HistoryEntry& entry : *parsed) restore(entry);
        while (entries_.size() > most) entries_.pop_front();
    }
    if (!entries_.empty()) rewrite();
}

void History::add(control::HistoryEntry entry) {
    entries_.push_back(std::move(entry));
    while (entries_.size() > most) entries_.pop_front();
    append(entries_.back());
}

void History::add_stages(const std::string& node, const std::string& group, const char* stage,
                         double milliseconds) {
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
        if (entry->node != node || entry->group != group || entry->to != "leader") continue;
        entry->stages_ms.emplace_back(stage, milliseconds);
        append(*entry);
        return;
    }
}

std::vector<control::HistoryEntry> History::all() const {
    return {entries_.begin(), entries_.end()};
}

void History::restore(const control::HistoryEntry& entry) {
    // With its stages an entry was written again, soon after.
    const auto recent = std::min<std::ptrdiff_t>(std::ssize(entries_), 16);
    for (auto known = entries_.end() - recent; known != entries_.end(); ++known) {
        control::HistoryEntry other = *known;
        other.stages_ms = entry.stages_ms;
        if (other != entry) continue;
        *known = std::move(other);
        return;
    }
    entries_.push_back(entry);
}

void History::append(const control::HistoryEntry& entry) {
    if (lines_ >= 2 * most) {
        rewrite();
        return;
    }
    std::ofstream file(path_, std::ios::app);
    file << control::to_json({entry}) << '\n';
    file.flush();
    if (!file) failure_ = path_ + ": " + std::strerror(errno);
    ++lines_;
}

void History::rewrite() {
    std::ofstream file(path_, std::ios::trunc);
    for (const control::HistoryEntry& entry : entries_) file << control::to_json({entry}) << '\n';
    file.flush();
    if (!file) failure_ = path_ + ": " + std::strerror(errno);
    lines_ = entries_.size();
}

}  // namespace hamr::daemon
