// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/lab/tool/exchange.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <string>
#include <vector>

// Many connections in one thread, each with one question under way at most. Closed loop: the next
// question follows the answer. With `every_ns` each connection asks at its own fixed instants,
// spread evenly, whatever became of the others; an instant that finds an answer still owed is left
// out. A connection that ends is lost, and is not made again (but for `per_connection`).

namespace labtool {

struct LoadPlan {
    std::size_t connections = 1;
    /// 0: closed loop.
    std::int64_t every_ns = 0;
    /// After so many questions a connection is closed and another one made; 0: never.
    std::uint64_t per_connection = 0;
    /// How long finish() waits for answers that are owed.
    std::int64_t grace_ns = 0;
};

class Load {
  public:
    Load(Exchange& exchange, LoadPlan plan);

    /// Makes every connection; returns once all are connected, or the first failure.
    [[nodiscard]] hamr::Result<> connect_all();
    void begin();
    /// Until then, a stop signal, or the loss of every connection.
    void run(std::int64_t until_ns);
    /// What is counted from here on; connections and their questions go on.
    void reset_counters();
    /// Waits for owed answers, looks at each connection, and returns the result as JSON.
    [[nodiscard]] std::string finish();

  private:
    enum class State : std::uint8_t { closed, connecting, idle, asking };
    struct Connection {
        hamr::UniqueFd fd;
        State state = State::closed;
        std::uint64_t asked = 0;
        std::uint64_t received = 0;
        std::int64_t asked_ns = 0;
        std::int64_t due_ns = 0;
    };
    struct Due {
        std::int64_t at_ns;
        std::size_t index;
        bool operator>(const Due& other) const { return at_ns > other.at_ns; }
    };

    [[nodiscard]] hamr::Result<> open(std::size_t index);
    void watch(std::size_t index, std::uint32_t events, bool add) const;
    /// Handles what is ready, for as long as nothing is due and at most until `until_ns`.
    void look(std::int64_t until_ns);
    void ready(std::size_t index);
    void connected(std::size_t index);
    void receive(std::size_t index);
    void answered(std::size_t index);
    void ask(std::size_t index);
    void ask_the_due(std::int64_t now);
    void lose(std::size_t index, const std::string& why);
    void note_length(std::int64_t asked_ns, std::int64_t now);
    struct Count {
        std::uint64_t alive = 0;
        std::uint64_t hanging = 0;
    };
    /// Looks at each connection that is left; an answer that is owed counts with its length so far.
    [[nodiscard]] Count count_all();
    [[nodiscard]] std::string lengths();

    Exchange& exchange_;
    LoadPlan plan_;
    hamr::UniqueFd epoll_;
    std::vector<Connection> connections_;
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
    std::vector<std::uint8_t> buffer_;
    bool begun_ = false;
    bool finishing_ = false;
    std::size_t connecting_ = 0;
    std::size_t open_ = 0;
    std::size_t asking_ = 0;

    std::int64_t since_ns_ = 0;
    std::uint64_t requests_ = 0;
    std::uint64_t connects_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t wrong_ = 0;
    std::uint64_t retransmissions_ = 0;
    std::uint64_t retransmitting_ = 0;
    std::map<std::string, std::uint64_t> losses_;
    std::int64_t first_loss_ns_ = 0;
    std::int64_t last_loss_ns_ = 0;
    /// Microseconds of each request, up to a limit.
    std::vector<std::uint32_t> lengths_us_;
    /// The longest request by the slot in which it was asked.
    std::vector<std::int64_t> slots_ns_;
};

}  // namespace labtool
