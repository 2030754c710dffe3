// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/net/address.hpp"
#include "router/backends.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

// Watches one backend: asks it for its role every interval, over one connection that stays open.
//
// Contract   One observation per interval, each within `timeout` of its beginning. When the server
//            ends the idle connection (it stops or is killed) the next probe begins at once, so
//            that a death is seen in milliseconds; never more than one such early probe per
//            interval. A connection that breaks under a query is opened anew once within the same
//            probe.
// Without    a user, the login of an unknown user is tried and its refusal proves life: the
//            handshake is finished, since a server blocks hosts that break off
//            (max_connect_errors). No role is known then.
// Needs      An account without any privilege: SHOW GLOBAL VARIABLES asks for none.
// Threading  One thread, the executor's. Callbacks come from the executor, until stop().

namespace hamr::router_io {

struct MonitorConfig {
    Endpoint server;
    /// Empty: only liveness is watched.
    std::string user;
    std::string password;
    Duration interval = std::chrono::milliseconds(500);
    Duration timeout = std::chrono::milliseconds(500);
};

class Monitor {
  public:
    using OnObservation = std::function<void(const Endpoint&, router::Observation)>;

    Monitor(boost::asio::any_io_executor executor, MonitorConfig config, OnObservation observed);
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;
    ~Monitor();

    /// Probes now and then every interval.
    void start();
    void stop();

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::router_io
