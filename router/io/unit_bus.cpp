// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/unit_bus.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <poll.h>
#include <systemd/sd-bus.h>

namespace hamr::router_io {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Descriptor = asio::posix::stream_descriptor;
using ErrorCode = boost::system::error_code;

namespace {

constexpr const char* service = "org.freedesktop.systemd1";
constexpr const char* manager_path = "/org/freedesktop/systemd1";
constexpr const char* manager = "org.freedesktop.systemd1.Manager";
constexpr const char* properties = "org.freedesktop.DBus.Properties";
constexpr std::uint64_t call_timeout_us = 5'000'000;
constexpr auto first_retry = 100ms;
constexpr auto longest_retry = 2s;

struct BusDeleter {
    // Not flushed: that could block.
    void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
using BusPtr = std::unique_ptr<sd_bus, BusDeleter>;

Error bus_error(const sd_bus_error* error) {
    const std::string text = error->message == nullptr ? error->name : error->message;
    // The name is what a caller can tell cases apart by.
    return {text + " [" + error->name + "]", {}};
}

int on_reply(sd_bus_message* message, void* data, sd_bus_error*) {
    auto& reply = *static_cast<UnitBus::Reply*>(data);
    if (const sd_bus_error* error = sd_bus_message_get_error(message)) {
        reply(tl::unexpected<Error>(bus_error(error)));
    } else {
        reply(message);
    }
    return 1;
}

void free_reply(void* data) {
    delete static_cast<UnitBus::Reply*>(data);
}

int on_ignored(sd_bus_message*, void*, sd_bus_error*) {
    return 1;
}

}  // namespace

std::vector<BusAddress> system_buses() {
    return {{"unix:path=/run/systemd/private", true},
            {"unix:path=/run/dbus/system_bus_socket", false}};
}

class UnitBus::Impl : public std::enable_shared_from_this<UnitBus::Impl> {
  public:
    Impl(const asio::any_io_executor& executor, std::vector<BusAddress> addresses, Events events)
        : addresses_(std::move(addresses)),
          events_(std::move(events)),
          descriptor_(executor),
          timer_(executor),
          retry_timer_(executor) {}

    void open() {
        asio::post(timer_.get_executor(), [self = shared_from_this()] { self->connect(); });
    }

    [[nodiscard]] bool connected() const { return ready_; }

    void watch(const std::string& path) {
        watched_ = path;
        if (ready_) match_unit();
    }

    void call(sd_bus_message* message, Reply reply);
    sd_bus_message* make(const std::string& path, const char* interface, const std::string& member);
    /// Answers from the loop, since a call must not call back.
    void refuse(Reply reply, std::string why) {
        asio::post(timer_.get_executor(),
                   [self = shared_from_this(), reply = std::move(reply), why = std::move(why)] {
                       if (!self->closed_) reply(fail(why));
                   });
    }

    void close() {
        closed_ = true;  // The events stay: one of them may be running.
        drop();
        retry_timer_.cancel();
    }

  private:
    void connect();
    Result<> connect_to(const BusAddress& address);
    void subscribe();
    void match_unit();
    void process();
    void arm();
    void lose(const std::string& why);
    void drop();

    static int on_changed(sd_bus_message*, void* data, sd_bus_error*) {
        const auto& self = *static_cast<Impl*>(data);
        if (!self.closed_ && self.events_.changed) self.events_.changed();
        return 0;
    }
    static int on_job(sd_bus_message* message, void* data, sd_bus_error*) {
        const auto& self = *static_cast<Impl*>(data);
        std::uint32_t id = 0;
        const char* job = nullptr;
        const char* unit = nullptr;
        const char* result = nullptr;
        if (sd_bus_message_read(message, "uoss", &id, &job, &unit, &result) < 0) return 0;
        if (!self.closed_ && self.events_.job) self.events_.job(job, result);
        return 0;
    }
    static int on_subscribed(sd_bus_message* message, void* data, sd_bus_error*) {
        auto& self = *static_cast<Impl*>(data);
        // AlreadySubscribed is fine, and so is an old manager without a word for us.
        (void)message;
        self.subscribed_ = true;
        return 1;
    }

    std::vector<BusAddress> addresses_;
    Events events_;
    BusPtr bus_;
    Descriptor descriptor_;
    asio::steady_timer timer_;
    asio::steady_timer retry_timer_;
    Duration retry_ = first_retry;
    std::size_t next_address_ = 0;
    std::string watched_;
    std::string matched_;
    bool waiting_read_ = false;
    bool waiting_write_ = false;
    bool processing_ = false;
    bool subscribed_ = false;
    bool ready_ = false;
    bool closed_ = false;
};

void UnitBus::Impl::connect() {
    if (closed_) return;
    std::string why = "no bus is named";
    for (; next_address_ < addresses_.size(); ++next_address_) {
        const auto connected = connect_to(addresses_[next_address_]);
        if (connected) return process();
        why = connected.error().message();
    }
    lose(why);
}

Result<> UnitBus::Impl::connect_to(const BusAddress& address) {
    sd_bus* raw = nullptr;
    int rc = sd_bus_new(&raw);
    if (rc < 0) return fail_errno("a bus", -rc);
    BusPtr bus(raw);
    if (rc >= 0) rc = sd_bus_set_address(raw, address.address.c_str());
    if (rc >= 0) rc = sd_bus_set_bus_client(raw, address.direct ? 0 : 1);
    if (rc >= 0) rc = sd_bus_set_method_call_timeout(raw, call_timeout_us);
    if (rc >= 0) rc = sd_bus_start(raw);
    if (rc < 0) return fail_errno("connect to " + address.address, -rc);
    const int fd = sd_bus_get_fd(raw);
    const int copy = fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return fail("watch the bus at " + address.address);
    ErrorCode error;
    descriptor_.assign(copy, error);
    if (error) {
        ::close(copy);
        return fail("watch the bus at " + address.address + ": " + error.message());
    }
    bus_ = std::move(bus);
    subscribed_ = ready_ = false;
    matched_.clear();
    subscribe();
    return {};
}

void UnitBus::Impl::subscribe() {
    sd_bus_match_signal_async(bus_.get(), nullptr, nullptr, manager_path, manager, "JobRemoved",
                              on_job, on_ignored, this);
    sd_bus_match_signal_async(bus_.get(), nullptr, nullptr, manager_path, manager, "Reloading",
                              on_changed, on_ignored, this);
    sd_bus_call_method_async(bus_.get(), nullptr, service, manager_path, manager, "Subscribe",
                             on_subscribed, this, nullptr);
}

void UnitBus::Impl::match_unit() {
    if (watched_ == matched_ || watched_.empty()) return;
    matched_ = watched_;
    sd_bus_match_signal_async(bus_.get(), nullptr, nullptr, watched_.c_str(), properties,
                              "PropertiesChanged", on_changed, on_ignored, this);
}

/// Everything that can be done now; then waits for the bus' descriptor and timeout.
void UnitBus::Impl::process() {
    if (processing_) return;
    processing_ = true;
    const auto self = shared_from_this();
    int rc = 1;
    while (bus_ && rc > 0) {
        rc = sd_bus_process(bus_.get(), nullptr);
        if (subscribed_ && !ready_ && rc >= 0) {
            ready_ = true;
            retry_ = first_retry;
            match_unit();
            if (!closed_ && events_.up) events_.up();
        }
    }
    processing_ = false;
    if (closed_ || !bus_) return;
    if (rc < 0 || sd_bus_is_open(bus_.get()) <= 0) {
        // A socket that lets nobody in: the next one may.
        if (!ready_) ++next_address_;
        return lose(rc < 0 ? std::strerror(-rc) : "the connection ended");
    }
    arm();
}

void UnitBus::Impl::arm() {
    const int events = sd_bus_get_events(bus_.get());
    const auto again = [self = shared_from_this()](ErrorCode error, bool& waiting) {
        if (error) return;
        waiting = false;
        self->process();
    };
    if ((events & POLLIN) != 0 && !waiting_read_) {
        waiting_read_ = true;
        descriptor_.async_wait(Descriptor::wait_read,
                               [this, again](ErrorCode error) { again(error, waiting_read_); });
    }
    if ((events & POLLOUT) != 0 && !waiting_write_) {
        waiting_write_ = true;
        descriptor_.async_wait(Descriptor::wait_write,
                               [this, again](ErrorCode error) { again(error, waiting_write_); });
    }
    std::uint64_t due = 0;
    timer_.cancel();
    if (sd_bus_get_timeout(bus_.get(), &due) < 0 || due == UINT64_MAX) return;
    // sd-bus counts in CLOCK_MONOTONIC, which is what the timer's clock is here.
    timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::microseconds(due)));
    timer_.async_wait([self = shared_from_this()](ErrorCode error) {
        if (!error) self->process();
    });
}

void UnitBus::Impl::drop() {
    ErrorCode ignored;
    descriptor_.close(ignored);
    waiting_read_ = waiting_write_ = false;
    timer_.cancel();
    ready_ = subscribed_ = false;
    bus_.reset();
}

void UnitBus::Impl::lose(const std::string& why) {
    drop();
    if (!closed_ && events_.down) events_.down("systemd cannot be reached: " + why);
    if (closed_) return;
    if (next_address_ >= addresses_.size()) {
        next_address_ = 0;
        retry_ = std::min<Duration>(retry_ * 2, longest_retry);
    }
    retry_timer_.expires_after(retry_);
    retry_timer_.async_wait([self = shared_from_this()](ErrorCode error) {
        if (!error) self->connect();
    });
}

sd_bus_message* UnitBus::Impl::make(const std::string& path, const char* interface,
                                    const std::string& member) {
    if (!ready_) return nullptr;
    sd_bus_message* message = nullptr;
    const int rc = sd_bus_message_new_method_call(bus_.get(), &message, service, path.c_str(),
                                                  interface, member.c_str());
    return rc < 0 ? nullptr : message;
}

void UnitBus::Impl::call(sd_bus_message* message, Reply reply) {
    sd_bus_slot* slot = nullptr;
    auto kept = std::make_unique<Reply>(std::move(reply));
    const int rc =
        sd_bus_call_async(bus_.get(), &slot, message, on_reply, kept.get(), call_timeout_us);
    sd_bus_message_unref(message);
    if (rc < 0) return refuse(std::move(*kept), std::string("ask systemd: ") + std::strerror(-rc));
    sd_bus_slot_set_destroy_callback(slot, free_reply);
    (void)kept.release();
    sd_bus_slot_set_floating(slot, 1);
    sd_bus_slot_unref(slot);
    // What was queued must be written, and its timeout waited for.
    if (!processing_) arm();
}

UnitBus::UnitBus(asio::any_io_executor executor, std::vector<BusAddress> addresses, Events events)
    : impl_(std::make_shared<Impl>(executor, std::move(addresses), std::move(events))) {}

UnitBus::~UnitBus() {
    impl_->close();
}

void UnitBus::open() {
    impl_->open();
}

bool UnitBus::connected() const {
    return impl_->connected();
}

void UnitBus::watch(const std::string& path) {
    impl_->watch(path);
}

void UnitBus::call(const std::string& member, const std::vector<std::string>& words, Reply reply) {
    sd_bus_message* const message = impl_->make(manager_path, manager, member);
    if (message == nullptr) return impl_->refuse(std::move(reply), "systemd cannot be reached");
    for (const std::string& word : words) sd_bus_message_append(message, "s", word.c_str());
    impl_->call(message, std::move(reply));
}

void UnitBus::call(const std::string& member, const std::vector<std::string>& words, int number,
                   Reply reply) {
    sd_bus_message* const message = impl_->make(manager_path, manager, member);
    if (message == nullptr) return impl_->refuse(std::move(reply), "systemd cannot be reached");
    for (const std::string& word : words) sd_bus_message_append(message, "s", word.c_str());
    sd_bus_message_append(message, "i", number);
    impl_->call(message, std::move(reply));
}

void UnitBus::get(const std::string& path, const std::string& interface,
                  const std::string& property, Reply reply) {
    sd_bus_message* const message = impl_->make(path, properties, "Get");
    if (message == nullptr) return impl_->refuse(std::move(reply), "systemd cannot be reached");
    sd_bus_message_append(message, "ss", interface.c_str(), property.c_str());
    impl_->call(message, std::move(reply));
}

}  // namespace hamr::router_io
