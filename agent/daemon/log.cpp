// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/log.hpp"

#include <cstdlib>
#include <memory>
#include <string>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>

namespace hamr::daemon {

namespace {

/// Standard error is a stream of the journal: it adds the time itself (systemd.exec(5)).
bool to_journal() {
    const char* const stream = std::getenv("JOURNAL_STREAM");
    struct stat own {};
    if (stream == nullptr || ::fstat(STDERR_FILENO, &own) != 0) return false;
    return stream == std::to_string(own.st_dev) + ":" + std::to_string(own.st_ino);
}

/// "<4>": how the journal learns a line's priority (sd-daemon(3)).
class Priority : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg& message, const std::tm&,
                spdlog::memory_buf_t& out) override {
        const bool info = message.level < spdlog::level::warn;
        const char digit = info ? '6' : message.level == spdlog::level::warn ? '4' : '3';
        out.push_back('<');
        out.push_back(digit);
        out.push_back('>');
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<Priority>();
    }
};

}  // namespace

void open_log() {
    auto logger = spdlog::stderr_logger_st("hamrd");
    const bool journal = to_journal();
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    formatter->add_flag<Priority>('*').set_pattern(journal ? "%*%l %v"
                                                           : "%Y-%m-%dT%H:%M:%S.%eZ %l %v");
    logger->set_formatter(std::move(formatter));
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace hamr::daemon
