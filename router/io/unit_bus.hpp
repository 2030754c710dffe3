// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// A connection to systemd's manager through sd-bus, on Asio's loop.
//
// Where     its private socket (root only, needs no D-Bus daemon), else the system bus.
// Lost      connected again by itself, at first after 100 ms; what was called is answered with an
//           error, and `up` tells when to read everything anew.
// Signals   are told without their contents, which nobody here trusts: who hears one reads anew.
// Blocking  never. Threading: one thread, the executor's. Callbacks come from the executor.

struct sd_bus_message;

namespace hamr::router_io {

struct BusAddress {
    std::string address;  ///< "unix:path=/run/systemd/private"
    bool direct = false;  ///< no bus daemon in between
};
[[nodiscard]] std::vector<BusAddress> system_buses();

class UnitBus {
  public:
    struct Events {
        std::function<void()> up;
        /// It was lost, or could not be made; asked again for each try.
        std::function<void(const std::string& why)> down;
        /// The properties of the unit changed.
        std::function<void()> changed;
        /// A job ended: its object path, and how.
        std::function<void(const std::string& job, const std::string& result)> job;
    };
    using Reply = std::function<void(Result<sd_bus_message*>)>;

    UnitBus(boost::asio::any_io_executor executor, std::vector<BusAddress> addresses,
            Events events);
    UnitBus(const UnitBus&) = delete;
    UnitBus& operator=(const UnitBus&) = delete;
    ~UnitBus();

    void open();
    [[nodiscard]] bool connected() const;
    /// From now on `changed` is told for this object.
    void watch(const std::string& path);

    /// Calls the manager with strings only ("ss"), or strings and one int at the end ("ssi").
    void call(const std::string& member, const std::vector<std::string>& words, Reply reply);
    void call(const std::string& member, const std::vector<std::string>& words, int number,
              Reply reply);
    /// Reads one property of an object.
    void get(const std::string& path, const std::string& interface, const std::string& property,
             Reply reply);

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::router_io
