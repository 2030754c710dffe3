// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/service_manager.hpp"

#include <chrono>
#include <cstdint>
#include <utility>

#include <systemd/sd-daemon.h>

namespace hamr::daemon {

ServiceManager::ServiceManager(boost::asio::io_context& io, Ask ask)
    : timer_(io), ask_(std::move(ask)) {
    std::uint64_t usec = 0;
    // A third of the time allowed: one sign may come late and nothing happens.
    if (::sd_watchdog_enabled(0, &usec) > 0) period_ = std::chrono::microseconds(usec) / 3;
}

void ServiceManager::ready() {
    ::sd_notify(0, "READY=1");
    if (period_) arm();
}

void ServiceManager::arm() {
    ask_();
    timer_.expires_after(*period_);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) arm();
    });
}

void ServiceManager::alive() {
    if (period_) ::sd_notify(0, "WATCHDOG=1");
}

void ServiceManager::status(const std::string& line) {
    if (line == status_) return;
    status_ = line;
    ::sd_notify(0, ("STATUS=" + line).c_str());
}

void ServiceManager::restarting() {
    std::uint64_t usec = 0;
    if (::sd_watchdog_enabled(0, &usec) > 0) ::sd_notify(0, "WATCHDOG=1");
}

void ServiceManager::stopping() {
    timer_.cancel();
    ::sd_notify(0, "STOPPING=1");
}

}  // namespace hamr::daemon
