// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"
#include "router/io/nft.hpp"

#include <functional>
#include <string>

#include <boost/asio/any_io_executor.hpp>

// Keeps a table of nftables loaded: loads its text, and again when somebody has flushed it or when
// that failed. Threading: one thread, the executor's; callbacks come from it.

namespace hamr::router_io {

/// Whether the kernel has a table of this name in the family inet. Asks over netlink, without
/// `nft`; some 20 microseconds.
[[nodiscard]] Result<bool> has_table(const std::string& name);

class FlowRules {
  public:
    struct Events {
        /// The table stands; `again` when it had been taken away.
        std::function<void(bool again)> loaded;
        std::function<void(const Error&)> failed;
    };

    FlowRules(boost::asio::any_io_executor executor, std::string text, Events events);

    void start();
    /// To be called now and then (every second, say).
    void look();
    void stop() { stopped_ = true; }

  private:
    void load();

    std::string text_;
    Events events_;
    Nft nft_;
    bool stood_ = false;
    bool stopped_ = true;
};

}  // namespace hamr::router_io
