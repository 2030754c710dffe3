// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/load.hpp"
#include "tests/lab/tool/process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace labtool {

namespace {

constexpr std::size_t most_lengths = 5'000'000;
constexpr std::int64_t slot_ns = 100'000'000;
constexpr std::size_t most_slots = 6'000;
/// Under way at the same time while all are made.
constexpr std::size_t most_connecting = 200;
constexpr std::int64_t connect_timeout_ns = 30'000'000'000;
/// And for each: a busy machine makes some hundreds a second.
constexpr std::int64_t connect_each_ns = 5'000'000;

std::string name_of(int error) {
    const char* name = ::strerrorname_np(error);
    return name != nullptr ? name : std::to_string(error);
}

}  // namespace

Load::Load(Exchange& exchange, LoadPlan plan)
    : exchange_(exchange),
      plan_(plan),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      connections_(plan.connections),
      buffer_(262144) {
    lengths_us_.reserve(1'000'000);
}

void Load::watch(std::size_t index, std::uint32_t events, bool add) const {
    epoll_event event{events, {.u64 = index}};
    ::epoll_ctl(epoll_.get(), add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, connections_[index].fd.get(),
                &event);
}

hamr::Result<> Load::open(std::size_t index) {
    auto fd = exchange_.connect();
    if (!fd) return tl::unexpected(fd.error());
    Connection& connection = connections_[index];
    connection.fd = std::move(*fd);
    connection.state = State::connecting;
    connection.asked = 0;
    ++connecting_;
    ++open_;
    watch(index, EPOLLOUT, true);
    return {};
}

hamr::Result<> Load::connect_all() {
    const std::int64_t end = now_ns() + connect_timeout_ns +
                             connect_each_ns * static_cast<std::int64_t>(connections_.size());
    std::size_t next = 0;
    while (next < connections_.size() || connecting_ > 0) {
        while (next < connections_.size() && connecting_ < most_connecting) {
            if (auto opened = open(next); !opened) return opened;
            ++next;
        }
        look(now_ns() + slot_ns);
        if (!losses_.empty()) return hamr::fail("connect: " + losses_.begin()->first);
        if (stopped() || now_ns() > end) return hamr::fail("connect: no end in time");
    }
    return {};
}

void Load::begin() {
    begun_ = true;
    const std::int64_t now = now_ns();
    for (std::size_t index = 0; index < connections_.size(); ++index) {
        if (plan_.every_ns == 0) {
            ask(index);
            continue;
        }
        const auto part = static_cast<std::int64_t>(index);
        const auto whole = static_cast<std::int64_t>(connections_.size());
        due_.push({now + plan_.every_ns / whole * part, index});
    }
    reset_counters();
}

void Load::reset_counters() {
    since_ns_ = now_ns();
    requests_ = connects_ = bytes_ = 0;
    lengths_us_.clear();
    slots_ns_.clear();
}

void Load::run(std::int64_t until_ns) {
    while (!stopped() && open_ > 0) {
        const std::int64_t now = now_ns();
        if (now >= until_ns) return;
        ask_the_due(now);
        look(due_.empty() ? until_ns : std::min(until_ns, due_.top().at_ns));
    }
}

void Load::look(std::int64_t until_ns) {
    const std::int64_t left = std::clamp<std::int64_t>(until_ns - now_ns(), 0, 100'000'000);
    const timespec timeout{0, static_cast<long>(left)};
    std::array<epoll_event, 256> events{};
    const int count = ::epoll_pwait2(epoll_.get(), events.data(), events.size(), &timeout, nullptr);
    for (int i = 0; i < count; ++i) ready(events[static_cast<std::size_t>(i)].data.u64);
}

void Load::ready(std::size_t index) {
    const State state = connections_[index].state;
    if (state == State::connecting) return connected(index);
    if (state != State::closed) receive(index);
}

void Load::connected(std::size_t index) {
    Connection& connection = connections_[index];
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(connection.fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    --connecting_;
    connection.state = State::idle;
    if (error != 0) return lose(index, name_of(error));
    ++connects_;
    watch(index, EPOLLIN, false);
    if (begun_ && plan_.every_ns == 0) ask(index);
}

void Load::ask(std::size_t index) {
    Connection& connection = connections_[index];
    if (connection.state != State::idle || finishing_) return;
    const auto question = exchange_.question(index, connection.asked);
    connection.asked_ns = now_ns();
    const ssize_t size =
        ::send(connection.fd.get(), question.data(), question.size(), MSG_NOSIGNAL);
    if (size < 0) return lose(index, name_of(errno));
    // The socket's buffer is empty: no answer is owed.
    if (static_cast<std::size_t>(size) < question.size()) return lose(index, "short send");
    connection.state = State::asking;
    connection.received = 0;
    ++connection.asked;
    ++asking_;
}

void Load::ask_the_due(std::int64_t now) {
    while (!due_.empty() && due_.top().at_ns <= now) {
        const Due due = due_.top();
        due_.pop();
        if (connections_[due.index].state == State::closed) continue;
        ask(due.index);
        const std::int64_t missed = (now - due.at_ns) / plan_.every_ns;
        due_.push({due.at_ns + (missed + 1) * plan_.every_ns, due.index});
    }
}

void Load::receive(std::size_t index) {
    Connection& connection = connections_[index];
    const ssize_t size = ::recv(connection.fd.get(), buffer_.data(), buffer_.size(), 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0) return lose(index, name_of(errno));
    if (size == 0) return lose(index, "EOF");
    const std::span got(buffer_.data(), static_cast<std::size_t>(size));
    bytes_ += got.size();
    if (connection.state != State::asking ||
        !exchange_.right(index, connection.asked - 1, connection.received, got)) {
        ++wrong_;
        return lose(index, "wrong bytes");
    }
    connection.received += got.size();
    if (connection.received == exchange_.answer_length()) answered(index);
}

void Load::answered(std::size_t index) {
    Connection& connection = connections_[index];
    connection.state = State::idle;
    --asking_;
    ++requests_;
    note_length(connection.asked_ns, now_ns());
    if (plan_.per_connection > 0 && connection.asked >= plan_.per_connection && !finishing_) {
        connection.fd.reset();
        connection.state = State::closed;
        --open_;
        // Out of ports, say: the load goes on with the others.
        if (auto opened = open(index); !opened) ++losses_[opened.error().message()];
        return;
    }
    if (plan_.every_ns == 0) ask(index);
}

void Load::lose(std::size_t index, const std::string& why) {
    Connection& connection = connections_[index];
    if (connection.state == State::asking) --asking_;
    last_loss_ns_ = now_ns();
    if (losses_.empty()) first_loss_ns_ = last_loss_ns_;
    ++losses_[why];
    connection.fd.reset();
    connection.state = State::closed;
    --open_;
}

void Load::note_length(std::int64_t asked_ns, std::int64_t now) {
    const std::int64_t length = now - asked_ns;
    if (lengths_us_.size() < most_lengths) {
        lengths_us_.push_back(static_cast<std::uint32_t>(length / 1000));
    }
    if (asked_ns < since_ns_) return;
    const auto slot = static_cast<std::size_t>((asked_ns - since_ns_) / slot_ns);
    if (slot >= most_slots) return;
    if (slot >= slots_ns_.size()) slots_ns_.resize(slot + 1);
    slots_ns_[slot] = std::max(slots_ns_[slot], length);
}

std::string Load::lengths() {
    std::sort(lengths_us_.begin(), lengths_us_.end());
    std::string out = "\"length_us\":{";
    const std::initializer_list<std::pair<const char*, double>> parts{
        {"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}};
    for (const auto& [name, part] : parts) {
        if (lengths_us_.empty()) break;
        const auto place = static_cast<std::size_t>(part * static_cast<double>(lengths_us_.size()));
        if (out.back() != '{') out += ',';
        out += quoted(name) + ':' +
               std::to_string(lengths_us_[std::min(place, lengths_us_.size() - 1)]);
    }
    out += R"(},"slot_ms":100,"longest_ms_by_slot":[)";
    for (std::size_t slot = 0; slot < slots_ns_.size(); ++slot) {
        out += (slot > 0 ? "," : "") + milliseconds(slots_ns_[slot]);
    }
    return out + ']';
}

Load::Count Load::count_all() {
    Count count;
    for (const Connection& connection : connections_) {
        if (!connection.fd) continue;
        if (connection.state == State::asking) {
            ++count.hanging;
            note_length(connection.asked_ns, now_ns());
        } else {
            ++count.alive;
        }
        tcp_info info{};
        socklen_t length = sizeof info;
        if (::getsockopt(connection.fd.get(), IPPROTO_TCP, TCP_INFO, &info, &length) != 0) continue;
        retransmissions_ += info.tcpi_total_retrans;
        retransmitting_ += info.tcpi_total_retrans > 0 ? 1 : 0;
    }
    return count;
}

std::string Load::finish() {
    const std::int64_t ended = now_ns();
    const double seconds = static_cast<double>(ended - since_ns_) / 1e9;
    const std::uint64_t requests = requests_;
    const std::uint64_t bytes = bytes_;
    const std::uint64_t connects = connects_;
    finishing_ = true;
    while (asking_ > 0 && now_ns() < ended + plan_.grace_ns) look(ended + plan_.grace_ns);
    const Count left = count_all();
    std::string out = R"({"event":"result","seconds":)" + std::to_string(seconds);
    const std::initializer_list<std::pair<const char*, std::uint64_t>> numbers{
        {"since_ns", static_cast<std::uint64_t>(since_ns_)},
        {"requests", requests},
        {"connects", connects},
        {"bytes", bytes},
        {"connections", static_cast<std::uint64_t>(plan_.connections)},
        {"alive", left.alive},
        {"hanging", left.hanging},
        {"wrong", wrong_},
        {"retransmissions", retransmissions_},
        {"retransmitting", retransmitting_},
        {"first_loss_ns", static_cast<std::uint64_t>(first_loss_ns_)},
        {"last_loss_ns", static_cast<std::uint64_t>(last_loss_ns_)}};
    for (const auto& [name, number] : numbers) {
        out += ',' + quoted(name) + ':' + std::to_string(number);
    }
    out += ",\"losses\":{";
    for (const auto& [why, count] : losses_) {
        out += (out.back() == '{' ? "" : ",") + quoted(why) + ':' + std::to_string(count);
    }
    return out + "}," + lengths() + '}';
}

}  // namespace labtool
