// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

// Loads rulesets by running `nft -f -`.
//
// Contract   One child at a time. While it runs, the newest text waits and an older waiting one is
//            skipped: whoever asked for that hears the newer one's result, which is the state that
//            the kernel then has. Every call ends in one callback, from the executor, unless the
//            Nft is destroyed before.
// Blocking   apply() and remove() never wait: the child's end comes through a pidfd. A child that
//            outlives `timeout` is killed. remove_blocking() is for cleanup, when no loop runs.
// Input      The text and the child's words lie in memfds: no pipe can fill up.
// Errors     No permission and a kernel without nftables carry a code (operation_not_permitted,
//            not_supported); a ruleset that is refused carries what nft said.
// Threading  One thread, the executor's. Acts on the network namespace of that thread.

namespace hamr::router_io {

struct NftOptions {
    /// Searched in PATH, then in /usr/sbin and /sbin.
    std::string program = "nft";
    Duration timeout = std::chrono::seconds(10);
};

class Nft {
  public:
    using Done = std::function<void(Result<>)>;

    explicit Nft(boost::asio::any_io_executor executor, NftOptions options = {});
    Nft(const Nft&) = delete;
    Nft& operator=(const Nft&) = delete;
    /// A running child is killed.
    ~Nft();

    void apply(std::string text, Done done);
    /// Removes the table, also if it is not there.
    void remove(Done done);
    [[nodiscard]] bool busy() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

/// Loads `text` and waits for the end.
[[nodiscard]] Result<> apply_blocking(const std::string& text, const NftOptions& options = {});
/// Removes the table and waits for the end.
[[nodiscard]] Result<> remove_blocking(const NftOptions& options = {});

}  // namespace hamr::router_io
