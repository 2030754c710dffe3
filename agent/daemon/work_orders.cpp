// SPDX-License-Identifier: GPL-2.0-or-later
// What operators order, and the drain of backends.
#include "agent/daemon/members_note.hpp"
#include "agent/daemon/translate.hpp"
#include "agent/daemon/work.hpp"

#include <chrono>
#include <set>
#include <utility>

#include <boost/asio/post.hpp>

namespace hamr::daemon {

void Work::ask_failover(const std::string& group, election::NodeId target, bool force,
                        std::function<void(std::uint32_t)> asked) {
    boost::asio::post(pulse_->io(), [this, group, target, force, asked = std::move(asked)] {
        const std::uint32_t id = pulse_->request_failover(election::group_id(group), target, force);
        boost::asio::post(io_, [asked, id] { asked(id); });
    });
}

void Work::failover(control::FailoverRequest request,
                    std::function<void(control::FailoverAnswer)> done) {
    FailoverOrders::Leaders leaders;
    for (const control::GroupStatus& group : status().groups) {
        if (!request.group || *request.group == group.name) {
            leaders[group.name] = group.leader.value_or("");
        }
    }
    orders_.order(request, std::move(leaders), std::move(done));
}

void Work::drain(control::DrainRequest request, std::function<void(control::Answer)> done) {
    if (!drainer_) {
        done({control::Outcome::refused, "this node is a witness: it never leads", ""});
    } else if (!request.drained) {
        drainer_->undrain(std::move(done));
    } else {
        using Milliseconds = std::chrono::duration<double, std::milli>;
        const Duration timeout =
            request.timeout_ms
                ? std::chrono::duration_cast<Duration>(Milliseconds(*request.timeout_ms))
                : drainer_->default_timeout();
        drainer_->drain(timeout, std::move(done));
    }
}

void Work::restart(std::function<void(control::Answer)> done) {
    restarter_.restart(std::move(done));
}

void Work::reload(control::ReloadRequest request, std::function<void(control::Answer)> done) {
    restarter_.reload(request.force, std::move(done), [this](Restarter::Done unchanged) {
        if (supervised_) return reload_router(std::move(unchanged));
        unchanged({control::Outcome::done, "nothing has changed in the configuration", ""});
    });
}

void Work::reload_router(std::function<void(control::Answer)> done) {
    supervised_->reload([this, done = std::move(done)](const Result<>& result) {
        const std::string& name = supervised_->plan().name;
        if (result) {
            look_for_new_ports();
            note_event(name + " has reloaded its configuration");
            done({control::Outcome::done, name + " has reloaded its configuration", ""});
        } else {
            note_event(name + " has not reloaded its configuration: " + result.error().message());
            done({control::Outcome::failed, result.error().message(),
                  "correct its configuration and try again; it goes on with the old one"});
        }
    });
}

void Work::note_voters_later() {
    if (inputs_.same_voters) return;
    voters_timer_.expires_after(election::longest_lease);
    voters_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        const std::string& state = options_.command.options.state;
        const auto kept =
            note_members(members_file(state, config_.cluster, node_), node_names(config_));
        trouble("voters",
                kept ? "" : "the voters of this node cannot be kept: " + kept.error().message(),
                "after each start it votes for nobody for 3 s; make " + state + " writable");
    });
}

// Backends ----------------------------------------------------------------------------------------

void Work::start_backend_drainer() {
    BackendDrainer::Hands hands;
    hands.apply = [this](const std::set<Endpoint>& draining) { router_->drain(draining); };
    hands.settled = [this] { return router_->settled(); };
    hands.tell = [this](const std::vector<router::BackendOrder>& orders, bool standing) {
        flows_->tell_orders(orders, standing);
    };
    hands.peers = [this] { return flows_->peers(); };
    hands.flows = [this](const Endpoint& backend) {
        std::vector<control::BackendStatus> counted(1);
        counted.front().address = backend.to_string();
        flows_->count(counted);
        return counted.front().flows;
    };
    hands.drained_routes = [this] { return router_->drained_routes(); };
    hands.log = [this](const std::string& what) { note_event(what); };
    hands.trouble = [this](const std::string& what, const std::string& remedy) {
        trouble("backends", what, remedy);
    };
    backend_drainer_ = std::make_unique<BackendDrainer>(io_, options_.backends_file, node_,
                                                        config_.router.backends, std::move(hands));
    backend_drainer_->start();
}

void Work::drain_backend(control::BackendRequest request,
                         std::function<void(control::BackendAnswer)> done) {
    if (backend_drainer_) return backend_drainer_->order(request, std::move(done));
    control::BackendAnswer answer;
    answer.outcome = control::Outcome::refused;
    if (config_.router.kind == config::RouterKind::none) {
        answer.message = "there is no router here: router.kind is none";
    } else {
        answer.message = "router " + std::string(config_.router.kind_name()) + " routes by itself";
        answer.remedy = "use its own tools to take a server out of service";
    }
    done(std::move(answer));
}

}  // namespace hamr::daemon
