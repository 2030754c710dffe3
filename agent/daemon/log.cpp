// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>

namespace hamr::daemon {

void open_log() {
    auto logger = spdlog::stderr_logger_st("hamrd");
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace hamr::daemon
