// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/backend_drainer.hpp"

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "router/io/durable_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace hamr::daemon {

namespace {

constexpr Duration look_period = std::chrono::milliseconds{20};
/// Of the longest file: as many lines as there may be orders, and as long as they get.
constexpr std::size_t longest_file = std::size_t{256} * 1024;

/// Nothing when there is no such file.
Result<std::string> read_all(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd) return fail_errno("read " + path, errno);
    std::string text;
    std::array<char, 4096> piece{};
    while (text.size() <= longest_file) {
        const ssize_t n = ::read(fd.get(), piece.data(), piece.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read " + path, errno);
        if (n == 0) return text;
        text.append(piece.data(), static_cast<std::size_t>(n));
    }
    return fail(path + " is too long");
}

std::string list(const std::vector<Endpoint>& backends) {
    std::string text;
    for (const Endpoint& each : backends) text += (text.empty() ? "" : ", ") + each.to_string();
    return text;
}

/// Of an order whose address is not one backend's.
control::BackendAnswer not_one(const std::string& address, const std::vector<Endpoint>& named,
                               const std::vector<Endpoint>& known) {
    control::BackendAnswer answer;
    answer.outcome = control::Outcome::unknown;
    if (named.empty()) {
        answer.message = "unknown backend \"" + address.substr(0, 64) +
                         "\"; backends of this cluster are: " + list(known);
        answer.remedy = "name one of these";
    } else {
        answer.message = address + " has several backends: " + list(named);
        answer.remedy = "name one of these, with its port";
    }
    return answer;
}

}  // namespace

BackendDrainer::BackendDrainer(boost::asio::io_context& io, std::string file, std::string self,
                               std::vector<Endpoint> backends, Hands hands)
    : timer_(io),
      file_(std::move(file)),
      backends_(std::move(backends)),
      hands_(std::move(hands)),
      orders_(std::move(self)) {}

void BackendDrainer::start() {
    const auto text = read_all(file_);
    if (text) {
        const router::OrdersRead read = router::parse_orders(*text);
        (void)orders_.merge(read.orders);
        if (!read.problem.empty()) {
            hands_.trouble(file_ + " is damaged: " + read.problem,
                           "see which backends `hamr status` shows as draining, and drain again "
                           "what should be");
        }
    } else if (text.error().code.value() != ENOENT) {
        hands_.trouble("which backends were drained is not known: " + text.error().message(),
                       "make the file readable and restart hamrd, or drain them again");
    }
    for (const Endpoint& backend : backends_) {
        if (!orders_.draining(backend)) continue;
        hands_.log("backend " + backend.to_string() + " is drained since before this start");
    }
    changed();
}

void BackendDrainer::stop() {
    timer_.cancel();
    for (const Waiting& waiting : std::exchange(waiting_, {})) {
        waiting.done({control::Outcome::failed, "the agent stops", "", {}, {}, {}});
    }
}

/// The peers and the kernel take their time at once.
void BackendDrainer::changed() {
    std::set<Endpoint> draining;
    for (const Endpoint& backend : backends_) {
        if (orders_.draining(backend)) draining.insert(backend);
    }
    standing_ = false;
    hands_.tell(orders_.all(), false);
    hands_.apply(draining);
    if (hands_.settled()) settled();
}

void BackendDrainer::save() {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(file_).parent_path(), ignored);
    const auto saved = router_io::write_durably(file_, router::render_orders(orders_.all()));
    if (saved) return hands_.trouble({}, {});
    hands_.trouble("which backends are drained will not survive a restart of this node: " +
                       saved.error().message(),
                   "make the directory writable; hamrd --state names another");
}

void BackendDrainer::settled() {
    if (!std::exchange(standing_, true)) hands_.tell(orders_.all(), true);
    look();
}

void BackendDrainer::heard(const std::string& peer, const std::vector<router::BackendOrder>& orders,
                           bool standing) {
    const std::vector<router::BackendOrder> news = orders_.merge(orders);
    if (standing) {
        auto& confirmed = confirmed_[peer];
        for (const router::BackendOrder& order : orders) confirmed[order.backend] = order;
        std::erase_if(confirmed, [this](const auto& each) { return !orders_.find(each.first); });
    }
    if (!news.empty()) {
        save();
        for (const router::BackendOrder& order : news) {
            hands_.log("backend " + order.backend.to_string() +
                       (order.draining ? " is drained" : " is used again") + ", as ordered on " +
                       order.node);
        }
        changed();
    }
    look();
}

// Orders ------------------------------------------------------------------------------------------

std::string BackendDrainer::words(const Endpoint& backend, bool draining, bool news) const {
    const std::string name = backend.to_string();
    if (!draining) return name + (news ? " is used again" : " was not drained");
    const std::uint64_t flows = hands_.flows(backend);
    return name + (news ? " is draining: nothing new is given to it" : " was draining already") +
           ", " +
           (flows == 0
                ? "no connection goes"
                : std::to_string(flows) + (flows == 1 ? " connection goes" : " connections go")) +
           " through it now";
}

void BackendDrainer::order(const control::BackendRequest& request, Done done) {
    const std::vector<Endpoint> named = router::named_backends(request.address, backends_);
    if (named.size() != 1) return done(not_one(request.address, named, backends_));
    const Endpoint& backend = named.front();
    const bool news = orders_.draining(backend) != request.draining;
    if (news) {
        orders_.give(backend, request.draining);
        save();
        hands_.log("backend " + backend.to_string() +
                   (request.draining ? " is drained" : " is used again") + ", as ordered here");
    }
    waiting_.push_back({backend, request.draining, words(backend, request.draining, news),
                        BootClock::now() + longest_wait, std::move(done)});
    if (news) changed();
    look();
}

BackendDrainer::Followers BackendDrainer::followers(const router::BackendOrder& order) const {
    Followers found;
    for (const router_io::FlowPeerStatus& peer : hands_.peers()) {
        const auto said = confirmed_.find(peer.name);
        const bool heard = said != confirmed_.end() && said->second.contains(order.backend) &&
                           !router::overrules(order, said->second.at(order.backend));
        if (!peer.connected) {
            found.notes.push_back(peer.name +
                                  " is not connected: it will hear of it when it is back");
        } else if (heard) {
            found.confirmed.push_back(peer.name);
        } else if (peer.orders == router_io::OrdersHeard::no) {
            found.notes.push_back(peer.name +
                                  " has an older version, which cannot drain a backend: it goes "
                                  "on giving it new connections when it leads; upgrade it");
        } else {
            found.waited_for.push_back(peer.name);
        }
    }
    return found;
}

/// Whether it has been answered.
bool BackendDrainer::finish(const Waiting& waiting) {
    control::BackendAnswer answer;
    answer.address = waiting.backend.to_string();
    answer.message = waiting.message;
    const router::BackendOrder* const order = orders_.find(waiting.backend);
    if (order != nullptr && order->draining != waiting.draining) {
        answer.outcome = control::Outcome::refused;
        answer.message = "another order, given on " + order->node +
                         ", has taken over: " + answer.address +
                         (order->draining ? " is drained" : " is used again");
        waiting.done(std::move(answer));
        return true;
    }
    Followers found;
    if (order != nullptr) found = followers(*order);
    const bool over = BootClock::now() >= waiting.until;
    const bool stands = standing_ && hands_.settled();
    if (!over && (!stands || !found.waited_for.empty())) return false;
    if (!stands) {
        answer.outcome = control::Outcome::failed;
        answer.message = "the order is kept, but the rules of this node do not follow it yet";
        answer.remedy = "`hamr status` says what is in the way; it happens once that is mended";
    }
    answer.confirmed = std::move(found.confirmed);
    answer.notes = std::move(found.notes);
    for (const std::string& peer : found.waited_for) {
        answer.notes.push_back(peer +
                               " has not said within 2 s that its rules follow: "
                               "look at `hamr status` there");
    }
    if (waiting.draining) {
        for (const std::string& route : hands_.drained_routes()) {
            answer.notes.push_back(
                "route " + route +
                " leads nowhere now, new connections to it are reset: " + "`hamr backend undrain " +
                answer.address + "`, or give its role to another server");
        }
    }
    waiting.done(std::move(answer));
    return true;
}

void BackendDrainer::look() {
    // An answer may bring the next order.
    for (Waiting& waiting : std::exchange(waiting_, {})) {
        if (!finish(waiting)) waiting_.push_back(std::move(waiting));
    }
    look_later();
}

void BackendDrainer::look_later() {
    if (waiting_.empty()) {
        timer_.cancel();
        return;
    }
    timer_.expires_after(look_period);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) look();
    });
}

}  // namespace hamr::daemon
