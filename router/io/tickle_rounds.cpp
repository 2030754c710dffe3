// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/tickle_rounds.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <utility>

#include <boost/asio/steady_timer.hpp>

namespace hamr::router_io {

namespace asio = boost::asio;
using boost::system::error_code;
using namespace std::chrono_literals;
using router::FlowId;

namespace {

/// When tickles go out after the beginning; at the last one it is over.
constexpr std::array<Duration, 6> rounds = {0ms, 600ms, 1800ms, 5s, 15s, 16s};

}  // namespace

class TickleRounds::Impl : public std::enable_shared_from_this<TickleRounds::Impl> {
  public:
    Impl(const asio::any_io_executor& executor, router::FlowTable& table, std::size_t groups,
         Events events)
        : table_(table), events_(std::move(events)) {
        for (std::size_t group = 0; group < groups; ++group) groups_.emplace_back(executor);
    }

    void begin(std::size_t group) {
        Group& of = groups_.at(group);
        of.timer.cancel();
        of.next = 0;
        of.begun = BootClock::now();
        events_.begun(group);
        run(group);
    }

    void late(const std::vector<FlowId>& flows) {
        events_.tickle(flows, false);
        for (std::size_t group = 0; group < groups_.size(); ++group) {
            Group& of = groups_[group];
            if (!table_.leads(group) || of.next < rounds.size()) continue;
            of.next = 1;
            of.begun = BootClock::now();
            events_.begun(group);
            await(group);
        }
    }

    void end(std::size_t group) {
        groups_.at(group).timer.cancel();
        groups_[group].next = rounds.size();
    }

    void stop() {
        stopped_ = true;
        for (Group& group : groups_) group.timer.cancel();
    }

  private:
    struct Group {
        explicit Group(const asio::any_io_executor& executor) : timer(executor) {}

        asio::steady_timer timer;
        std::size_t next = rounds.size();
        BootTime begun{};
    };

    void await(std::size_t group) {
        Group& of = groups_[group];
        of.timer.expires_after(
            std::max<Duration>(of.begun + rounds.at(of.next) - BootClock::now(), Duration::zero()));
        of.timer.async_wait([self = shared_from_this(), group](error_code error) {
            const bool due = self->groups_[group].next < rounds.size();
            if (!error && due && !self->stopped_) self->run(group);
        });
    }

    void run(std::size_t group) {
        const std::size_t round = groups_[group].next++;
        if (round + 1 == rounds.size()) {
            table_.drop_foreign(group);
            return events_.over(group);
        }
        const std::vector<FlowId> flows = table_.foreign(group);
        if (!flows.empty()) {
            if (round == 0) {
                events_.log("clients of the former leader to be reset: " +
                            std::to_string(flows.size()));
            }
            events_.tickle(flows, round % 2 == 1);
        }
        await(group);
    }

    router::FlowTable& table_;
    Events events_;
    std::deque<Group> groups_;
    bool stopped_ = false;
};

TickleRounds::TickleRounds(const asio::any_io_executor& executor, router::FlowTable& table,
                           std::size_t groups, Events events)
    : impl_(std::make_shared<Impl>(executor, table, groups, std::move(events))) {}

TickleRounds::~TickleRounds() {
    impl_->stop();
}

void TickleRounds::begin(std::size_t group) {
    impl_->begin(group);
}

void TickleRounds::late(const std::vector<FlowId>& flows) {
    impl_->late(flows);
}

void TickleRounds::end(std::size_t group) {
    impl_->end(group);
}

void TickleRounds::stop() {
    impl_->stop();
}

}  // namespace hamr::router_io
