// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_resets.hpp"

#include "base/clock.hpp"
#include "router/flow_ends.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <tuple>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace hamr::router_io {

namespace asio = boost::asio;
using boost::system::error_code;
using namespace std::chrono_literals;
using router::Ending;
using router::FlowId;

namespace {

constexpr std::size_t chunk_flows = 2000;
static_assert(2 * chunk_flows <= router::resets_per_text);
/// A socket answers one tickle in 500 ms.
constexpr Duration second_tickle = 600ms;
/// Until ways that could not be named are named again.
constexpr Duration pause = 1s;
/// What ends within this time for one reason is told together.
constexpr Duration told_together = 100ms;
/// And what goes on ending for the same reason is told no more often than that.
constexpr Duration told_again = 5s;

}  // namespace

class FlowResets::Impl : public std::enable_shared_from_this<FlowResets::Impl> {
  public:
    Impl(const asio::any_io_executor& executor, const router::FlowTable& table,
         std::vector<std::vector<IpAddress>> groups, ConntrackTable& conntrack, ResetWays& ways,
         Tickler& tickler, Events events)
        : executor_(executor),
          table_(table),
          conntrack_(conntrack),
          ways_(ways),
          tickler_(tickler),
          events_(std::move(events)),
          ends_(table, std::move(groups)),
          tell_timer_(executor) {}

    void lead(std::size_t group, bool leads) {
        ends_.lead(group, leads ? std::optional(BootClock::now()) : std::nullopt);
        if (leads) look_at_all();
    }

    void judge(std::vector<router::Standing> standings) {
        if (!ends_.judge(std::move(standings))) return;
        look_at_all();
        events_.dump();
    }

    void look(const router::Flow& flow) {
        if (ends_.look(flow)) go_on_later();
    }

    void go_on_later() {
        if (stopped_ || std::exchange(posted_, true)) return;
        asio::post(executor_, [self = shared_from_this()] {
            self->posted_ = false;
            self->go_on();
        });
    }

    void stop() {
        stopped_ = true;
        tell_timer_.cancel();
        for (Chunk& chunk : chunks_) chunk.timer.cancel();
    }

  private:
    /// Flows on their way from being named to the second tickle.
    struct Chunk {
        explicit Chunk(const asio::any_io_executor& executor) : timer(executor) {}

        std::vector<Ending> endings;
        bool named = false;
        std::size_t deleted = 0;  ///< or gone by themselves
        asio::steady_timer timer;
    };
    using Chunks = std::list<Chunk>;
    using At = Chunks::iterator;

    void look_at_all() {
        table_.visit_own([this](const router::Flow& flow) { ends_.look(flow); });
        go_on_later();
    }

    void go_on();
    void drop_openings();
    void named(At chunk, const Result<>& result);
    void erase(At chunk);
    void tickle(At chunk, bool far);
    void finish(At chunk);
    void wait(At chunk, Duration time, void (Impl::*then)(At));
    void far(At chunk);
    void count(const Chunk& chunk);
    void tell_after(Duration time);
    void tell();

    asio::any_io_executor executor_;
    const router::FlowTable& table_;
    ConntrackTable& conntrack_;
    ResetWays& ways_;
    Tickler& tickler_;
    Events events_;
    router::FlowEnds ends_;
    Chunks chunks_;
    /// A group, a backend and the reason.
    using Cause = std::tuple<std::size_t, Endpoint, std::string>;
    std::map<Cause, std::size_t> counts_;  ///< what has not been told yet
    std::map<Cause, BootTime> told_at_;    ///< what was told a moment ago
    asio::steady_timer tell_timer_;
    std::size_t uncounted_ = 0;  ///< chunks on their way to count()
    bool posted_ = false;
    bool naming_ = false;
    bool failing_ = false;  ///< ways could not be named, and that has been told
    bool telling_ = false;
    bool stopped_ = false;
};

void FlowResets::Impl::drop_openings() {
    const auto openings = ends_.take_openings(ConntrackTable::most);
    if (openings.empty()) return;
    std::vector<router::KernelWork> work;
    for (const FlowId& id : openings) work.push_back({id});
    (void)conntrack_.apply(work);
    go_on_later();
}

void FlowResets::Impl::go_on() {
    if (stopped_) return;
    drop_openings();
    // What the kernel has not been told yet would come back after its deletion.
    if (naming_ || table_.kernel_work() > 0) return;
    auto endings = ends_.take(chunk_flows);
    if (endings.empty()) return;
    const At chunk = chunks_.emplace(chunks_.end(), executor_);
    chunk->endings = std::move(endings);
    std::vector<router::Way> ways;
    ways.reserve(2 * chunk->endings.size());
    for (const Ending& ending : chunk->endings) {
        const router::Translation& of = *ending.flow.translation;
        ways.push_back({ending.flow.id.client, ending.flow.id.vip});
        ways.push_back({of.backend, of.source});
    }
    naming_ = true;
    ++uncounted_;
    ways_.name(ways, [weak = weak_from_this(), chunk](const Result<>& result) {
        const auto self = weak.lock();
        if (self && !self->stopped_) self->named(chunk, result);
    });
}

void FlowResets::Impl::named(At chunk, const Result<>& result) {
    naming_ = false;
    if (!result) {
        if (!std::exchange(failing_, true)) {
            events_.log("connections that are to be reset wait: " + result.error().message());
        }
        --uncounted_;
        return wait(chunk, pause, &Impl::finish);
    }
    failing_ = false;
    chunk->named = true;
    erase(chunk);
    go_on_later();
}

void FlowResets::Impl::erase(At chunk) {
    std::vector<router::KernelWork> work;
    auto& at = chunk->deleted;
    for (; at < chunk->endings.size() && work.size() < ConntrackTable::most; ++at) {
        const Ending& ending = chunk->endings[at];
        if (ends_.is_there(ending)) work.push_back({ending.flow.id});
    }
    (void)conntrack_.apply(work);
    if (at < chunk->endings.size()) {
        asio::post(executor_, [self = shared_from_this(), chunk] {
            if (!self->stopped_) self->erase(chunk);
        });
        return;
    }
    --uncounted_;
    count(*chunk);
    tickle(chunk, false);
    wait(chunk, second_tickle, &Impl::far);
}

/// The backend is to its own half what the client is to the other.
void FlowResets::Impl::tickle(At chunk, bool far) {
    std::vector<FlowId> halves;
    halves.reserve(2 * chunk->endings.size());
    for (const Ending& ending : chunk->endings) halves.push_back(ending.flow.id);
    for (const Ending& ending : chunk->endings) {
        const router::Translation& of = *ending.flow.translation;
        halves.push_back({of.backend, of.source});
    }
    tickler_.send(halves, far);
}

void FlowResets::Impl::far(At chunk) {
    tickle(chunk, true);
    finish(chunk);
}

void FlowResets::Impl::finish(At chunk) {
    ends_.over(chunk->endings, chunk->named);
    chunks_.erase(chunk);
    if (ends_.waiting() > 0) go_on_later();
}

void FlowResets::Impl::wait(At chunk, Duration time, void (Impl::*then)(At)) {
    chunk->timer.expires_after(time);
    chunk->timer.async_wait([self = shared_from_this(), chunk, then](error_code error) {
        if (!error && !self->stopped_) ((*self).*then)(chunk);
    });
}

void FlowResets::Impl::count(const Chunk& chunk) {
    for (const Ending& ending : chunk.endings) {
        if (ending.again) continue;
        ++counts_[{ending.group, ending.flow.translation->backend, ending.why}];
    }
    if (!counts_.empty() && !telling_) tell_after(told_together);
}

void FlowResets::Impl::tell_after(Duration time) {
    telling_ = true;
    tell_timer_.expires_after(time);
    tell_timer_.async_wait([self = shared_from_this()](error_code error) {
        if (!error && !self->stopped_) self->tell();
    });
}

void FlowResets::Impl::tell() {
    telling_ = false;
    // One line for all.
    if (uncounted_ > 0 || ends_.waiting() > 0) return tell_after(told_together);
    const BootTime now = BootClock::now();
    std::erase_if(told_at_, [&](const auto& told) { return now - told.second >= told_again; });
    for (const auto& [cause, number] : std::exchange(counts_, {})) {
        if (!told_at_.insert({cause, now}).second) {
            counts_[cause] = number;
            continue;
        }
        const auto& [group, backend, why] = cause;
        events_.reset(group, std::to_string(number) +
                                 (number == 1 ? " connection to " : " connections to ") +
                                 backend.to_string() + " reset: " + why);
    }
    if (!counts_.empty()) tell_after(told_again);
}

// The face ----------------------------------------------------------------------------------------

FlowResets::FlowResets(boost::asio::any_io_executor executor, const router::FlowTable& table,
                       std::vector<std::vector<IpAddress>> groups, ConntrackTable& conntrack,
                       ResetWays& ways, Tickler& tickler, Events events)
    : impl_(std::make_shared<Impl>(executor, table, std::move(groups), conntrack, ways, tickler,
                                   std::move(events))) {}

FlowResets::~FlowResets() {
    impl_->stop();
}

void FlowResets::lead(std::size_t group, bool leads) {
    impl_->lead(group, leads);
}

void FlowResets::judge(std::vector<router::Standing> standings) {
    impl_->judge(std::move(standings));
}

void FlowResets::look(const router::Flow& flow) {
    impl_->look(flow);
}

void FlowResets::settled() {
    impl_->go_on_later();
}

void FlowResets::stop() {
    impl_->stop();
}

}  // namespace hamr::router_io
