// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/io/nft.hpp"
#include "router/ruleset.hpp"

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// Makes the embedded router's rules answer what comes along some ways, while it belongs to no flow,
// with a TCP reset (router::render_resets), for router::reset_time.
//
// Order     One text at a time, and each call after those before it: an Nft skips a text that waits
//           when a newer one comes, and every way has to be named.
// Needs     The table of router::render: without it the texts fail.
// Threading One thread, the executor's.

namespace hamr::router_io {

class ResetWays {
  public:
    explicit ResetWays(boost::asio::any_io_executor executor) : nft_(std::move(executor)) {}

    /// `done` follows once all of them have been named, with the last failure if there was one;
    /// from the executor, or at once if there is nothing to name. Not after this is destroyed.
    void name(const std::vector<router::Way>& ways, Nft::Done done);

  private:
    struct Order {
        std::deque<std::string> texts;
        Nft::Done done;
        Result<> result{};
    };

    void go_on();

    Nft nft_;
    std::deque<Order> orders_;
};

}  // namespace hamr::router_io
