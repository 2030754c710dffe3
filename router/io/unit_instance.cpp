// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/unit_instance.hpp"

#include "base/process/process.hpp"
#include "router/io/process_tree.hpp"
#include "router/io/unit_bus.hpp"
#include "router/unit_follower.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <systemd/sd-bus.h>

namespace hamr::router_io {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Descriptor = asio::posix::stream_descriptor;
using ErrorCode = boost::system::error_code;

namespace {

constexpr const char* unit_interface = "org.freedesktop.systemd1.Unit";
constexpr const char* service_interface = "org.freedesktop.systemd1.Service";
constexpr auto lost_after = 3s;

std::string path_of(const std::string& unit) {
    char* path = nullptr;
    if (sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit.c_str(), &path) < 0) return "/";
    std::string text = path;
    std::free(path);
    return text;
}

std::string read_text(sd_bus_message* message) {
    const char* text = nullptr;
    return sd_bus_message_read(message, "v", "s", &text) < 0 ? "" : text;
}

template <class Number>
Number read_number(sd_bus_message* message, const char* type) {
    Number number = 0;
    return sd_bus_message_read(message, "v", type, &number) < 0 ? Number{0} : number;
}

class UnitInstance : public std::enable_shared_from_this<UnitInstance> {
  public:
    UnitInstance(const asio::any_io_executor& executor, const UnitInstanceConfig& config,
                 Instance::Events events)
        : unit_(config.unit),
          path_(path_of(config.unit)),
          events_(std::move(events)),
          follower_(config.unit),
          lost_timer_(executor),
          main_ended_(executor),
          bus_(std::make_unique<UnitBus>(executor, config.buses, bus_events())) {}

    void open() {
        bus_->watch(path_);
        await_bus();
        bus_->open();
    }
    void start();
    void stop(const Instance::Done& done);
    void reload(const Instance::Done& done);
    void signal(int number, const std::string& whom, const Instance::Done& done);

    void close() {
        closed_ = true;
        events_ = {};
        ErrorCode ignored;
        main_ended_.close(ignored);
        lost_timer_.cancel();
        bus_.reset();
    }

  private:
    /// What one reading asks for, in flight.
    struct Reading {
        router::UnitReading values;
        std::string id;
        std::int32_t end_code = 0;
        std::int32_t end_status = 0;
        unsigned missing = 0;
        std::optional<std::string> job;  ///< how one ended before this reading began
    };

    UnitBus::Events bus_events() {
        return {
            [this] { connected(); },
            [this](const std::string& why) { lost_why_ = why, await_bus(); }, [this] { read(); },
            [this](const std::string& job, const std::string& result) { job_ended(job, result); }};
    }
    void connected();
    void await_bus();
    void job_ended(const std::string& job, const std::string& result);
    void read();
    void ask(const std::shared_ptr<Reading>& reading, const char* interface, const char* property,
             std::function<void(Reading&, sd_bus_message*)> take);
    void whole(Reading& reading);
    void watch_main();
    void job_made(bool starting, const Result<sd_bus_message*>& reply);
    void feed(const std::vector<router::Input>& inputs) {
        for (const router::Input& input : inputs) {
            if (events_.input) events_.input(input);
        }
    }

    std::string unit_;
    std::string path_;
    Instance::Events events_;
    router::UnitFollower follower_;
    asio::steady_timer lost_timer_;
    Descriptor main_ended_;
    int watched_pid_ = 0;
    std::string job_;
    std::optional<std::string> job_over_;  ///< not yet followed by a reading
    std::string lost_why_ = "systemd does not answer";
    bool awaiting_ = false;
    bool reading_ = false;
    bool again_ = false;
    bool closed_ = false;
    std::unique_ptr<UnitBus> bus_;  ///< none once closed: what it awaits holds this object
};

// --- the bus ---

void UnitInstance::connected() {
    awaiting_ = false;
    lost_timer_.cancel();
    // What became of a job meanwhile, nobody can tell: the unit's state must do.
    if (!job_.empty()) job_over_ = "unknown";
    job_.clear();
    reading_ = false;
    read();
}

void UnitInstance::await_bus() {
    if (std::exchange(awaiting_, true)) return;
    lost_timer_.expires_after(lost_after);
    lost_timer_.async_wait([self = shared_from_this()](ErrorCode error) {
        if (!error && self->awaiting_) self->feed(self->follower_.lost(self->lost_why_));
    });
}

void UnitInstance::job_ended(const std::string& job, const std::string& result) {
    if (job != job_) return;
    job_.clear();
    job_over_ = result;
    read();
}

// --- what it is doing ---

void UnitInstance::read() {
    if (closed_ || !bus_->connected()) return;
    if (std::exchange(reading_, true)) {
        again_ = true;
        return;
    }
    again_ = false;
    const auto reading = std::make_shared<Reading>();
    reading->job = std::exchange(job_over_, std::nullopt);
    ask(reading, unit_interface, "Id",
        [](Reading& it, sd_bus_message* m) { it.id = read_text(m); });
    ask(reading, unit_interface, "LoadState",
        [](Reading& it, sd_bus_message* m) { it.values.load = read_text(m); });
    ask(reading, unit_interface, "ActiveState",
        [](Reading& it, sd_bus_message* m) { it.values.active = read_text(m); });
    ask(reading, unit_interface, "SubState",
        [](Reading& it, sd_bus_message* m) { it.values.sub = read_text(m); });
    ask(reading, service_interface, "Result",
        [](Reading& it, sd_bus_message* m) { it.values.result = read_text(m); });
    ask(reading, service_interface, "MainPID", [](Reading& it, sd_bus_message* m) {
        it.values.main_pid = static_cast<int>(read_number<std::uint32_t>(m, "u"));
    });
    ask(reading, service_interface, "ExecMainCode",
        [](Reading& it, sd_bus_message* m) { it.end_code = read_number<std::int32_t>(m, "i"); });
    ask(reading, service_interface, "ExecMainStatus",
        [](Reading& it, sd_bus_message* m) { it.end_status = read_number<std::int32_t>(m, "i"); });
}

/// A property that cannot be read (a unit that is no service has no main process) stays empty.
void UnitInstance::ask(const std::shared_ptr<Reading>& reading, const char* interface,
                       const char* property, std::function<void(Reading&, sd_bus_message*)> take) {
    ++reading->missing;
    bus_->get(path_, interface, property,
              [self = shared_from_this(), reading,
               take = std::move(take)](const Result<sd_bus_message*>& reply) {
                  if (self->closed_) return;
                  if (reply) take(*reading, *reply);
                  if (--reading->missing == 0) self->whole(*reading);
              });
}

void UnitInstance::whole(Reading& reading) {
    reading_ = false;
    if (reading.values.active.empty()) {
        if (!job_over_) job_over_ = reading.job;
        // Not answered: the bus is being lost, or systemd reloads itself.
        if (bus_->connected() && again_) read();
        return;
    }
    if (!reading.id.empty() && path_of(reading.id) != path_) {
        // Named by an alias: signals come from the unit itself.
        path_ = path_of(reading.id);
        bus_->watch(path_);
        if (!job_over_) job_over_ = reading.job;
        return read();
    }
    router::UnitReading& values = reading.values;
    if (values.main_pid > 0) {
        if (const auto stat = read_stat(values.main_pid)) values.main_since = start_time(*stat);
    }
    if (reading.end_code != 0) {
        values.main_end = process::end_in_words(reading.end_code, reading.end_status).how;
    }
    if (reading.job) follower_.job_ended(*reading.job);
    feed(follower_.observe(values));
    if (closed_) return;
    watch_main();
    if (again_) read();
}

void UnitInstance::watch_main() {
    const int pid = follower_.main_pid();
    if (pid == watched_pid_) return;
    ErrorCode error;
    main_ended_.close(error);
    watched_pid_ = pid;
    UniqueFd pidfd = pid > 0 ? process::open_pidfd(pid) : UniqueFd();
    if (!pidfd) return;
    main_ended_.assign(pidfd.get(), error);
    if (error) return;
    (void)pidfd.release();
    main_ended_.async_wait(Descriptor::wait_read, [self = shared_from_this()](ErrorCode failed) {
        if (failed || self->closed_) return;
        self->feed(self->follower_.main_ended());
    });
}

// --- what it shall do ---

void UnitInstance::job_made(bool starting, const Result<sd_bus_message*>& reply) {
    if (closed_) return;
    if (!reply) {
        const std::string& what = reply.error().what;
        std::string why = "systemd refuses to start " + unit_ + ": " + what;
        for (const auto& [name, state] :
             {std::pair{"NoSuchUnit", "not-found"}, std::pair{"UnitMasked", "masked"},
              std::pair{"BadUnitSetting", "bad-setting"}}) {
            if (what.find(std::string("systemd1.") + name) == std::string::npos) continue;
            why = router::load_problem(unit_, state);
        }
        if (starting) feed(follower_.start_refused(why));
        read();
        return;
    }
    const char* job = nullptr;
    if (sd_bus_message_read(*reply, "o", &job) >= 0) job_ = job;
}

void UnitInstance::start() {
    if (!bus_->connected()) return feed({router::input::StartFailed{lost_why_}});
    follower_.start_asked();
    // One that systemd has given up (start-limit-hit) would be refused.
    bus_->call("ResetFailedUnit", {unit_}, [](const Result<sd_bus_message*>&) {});
    bus_->call("StartUnit", {unit_, "replace"},
               [self = shared_from_this()](const Result<sd_bus_message*>& reply) {
                   self->job_made(true, reply);
               });
}

void UnitInstance::stop(const Instance::Done& done) {
    follower_.stop_asked();
    bus_->call("StopUnit", {unit_, "replace"},
               [self = shared_from_this(), done](const Result<sd_bus_message*>& reply) {
                   if (self->closed_) return;
                   self->job_made(false, reply);
                   done(reply ? Result<>() : Result<>(tl::unexpected(reply.error())));
               });
}

void UnitInstance::reload(const Instance::Done& done) {
    bus_->call("ReloadOrRestartUnit", {unit_, "replace"},
               [self = shared_from_this(), done](const Result<sd_bus_message*>& reply) {
                   if (self->closed_) return;
                   done(reply ? Result<>() : Result<>(tl::unexpected(reply.error())));
               });
}

void UnitInstance::signal(int number, const std::string& whom, const Instance::Done& done) {
    bus_->call("KillUnit", {unit_, whom}, number,
               [self = shared_from_this(), done](const Result<sd_bus_message*>& reply) {
                   if (self->closed_) return;
                   done(reply ? Result<>() : Result<>(tl::unexpected(reply.error())));
               });
}

class Handle final : public Instance {
  public:
    explicit Handle(std::shared_ptr<UnitInstance> unit) : unit_(std::move(unit)) {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() override { unit_->close(); }

    Result<> open() override {
        unit_->open();
        return {};
    }
    void start() override { unit_->start(); }
    void signal(int number, Done done) override { unit_->signal(number, "main", done); }
    void stop(Done done) override { unit_->stop(done); }
    void reload(Done done) override { unit_->reload(done); }
    /// StopUnit as well: alone, Restart= would answer the signal.
    void kill() override {
        unit_->stop([](const Result<>&) {});
        unit_->signal(SIGKILL, "all", [](const Result<>&) {});
    }
    /// systemd ends what is left of a unit by itself.
    void end_rest(bool) override {}

  private:
    std::shared_ptr<UnitInstance> unit_;
};

}  // namespace

std::unique_ptr<Instance> make_unit_instance(const asio::any_io_executor& executor,
                                             UnitInstanceConfig config, Instance::Events events) {
    return std::make_unique<Handle>(
        std::make_shared<UnitInstance>(executor, config, std::move(events)));
}

}  // namespace hamr::router_io
