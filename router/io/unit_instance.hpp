// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/io/instance.hpp"
#include "router/io/unit_bus.hpp"

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// An instance that is a unit of systemd's, spoken to with sd-bus.
//
// Sees       PropertiesChanged of the unit, results of jobs, and a pidfd on its main process, which
//            tells of an exit sooner than systemd does.
// Restart=   An exit that systemd will restart from is told as Restarting; the machine then waits.
// Lost bus   (systemd re-executes itself on upgrades): connected again within 100 ms; after 3 s
//            without, Lost.
// Blocking   never: connecting included.

namespace hamr::router_io {

struct UnitInstanceConfig {
    std::string unit;  ///< "haproxy.service"
    std::vector<BusAddress> buses = system_buses();
};

[[nodiscard]] std::unique_ptr<Instance> make_unit_instance(
    const boost::asio::any_io_executor& executor, UnitInstanceConfig config,
    Instance::Events events);

}  // namespace hamr::router_io
