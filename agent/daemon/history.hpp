// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"

#include <deque>
#include <string>
#include <vector>

// What has happened, oldest first, kept in memory and appended to a file in the run directory, so
// that a restart of the agent does not forget why the last one ended.
//
// Limits: `most` entries; the file is rewritten when it has grown to twice that. Threading: the
// work loop. Errors of the file are told once through failed() and cost nothing else.

namespace hamr::daemon {

class History {
  public:
    static constexpr std::size_t most = 1000;

    /// Reads what an earlier agent wrote; lines that cannot be read are skipped.
    explicit History(std::string path);

    void add(control::HistoryEntry entry);
    /// Adds stages to the newest entry of that group in which `node` became leader.
    void add_stages(const std::string& node, const std::string& group, const char* stage,
                    double milliseconds);

    [[nodiscard]] std::vector<control::HistoryEntry> all() const;
    /// Why the file could not be written; empty when it could.
    [[nodiscard]] const std::string& failure() const { return failure_; }

  private:
    void restore(const control::HistoryEntry& entry);
    void append(const control::HistoryEntry& entry);
    void rewrite();

    std::string path_;
    std::deque<control::HistoryEntry> entries_;
    std::size_t lines_ = 0;
    std::string failure_;
};

}  // namespace hamr::daemon
