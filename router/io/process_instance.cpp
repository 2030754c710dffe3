// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/process_instance.hpp"

#include "base/process/process.hpp"
#include "router/io/instance_note.hpp"
#include "router/io/output_pipe.hpp"
#include "router/io/process_tree.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <poll.h>

namespace hamr::router_io {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;
using Descriptor = asio::posix::stream_descriptor;

/// How soon after a signal it is looked whether anything is left, and how rarely in the end.
constexpr auto first_look = 2ms;
constexpr auto longest_look = 200ms;
constexpr auto brief_run = router::Supervision::at_once;

std::string output_path(const std::string& state_file) {
    return state_file + ".out";
}

/// What a note leads to.
struct Found {
    InstanceNote note;
    UniqueFd pidfd;                      ///< the main process, when it lives
    std::vector<ProcessStat> processes;  ///< everything that lives of it
};

/// Nothing when nothing of the noted instance lives; the note is removed then.
std::optional<Found> find_noted(const std::string& state_file) {
    auto note = load_note(state_file);
    if (!note) return std::nullopt;
    Found found{std::move(*note), {}, {}};
    InstanceId& id = found.note.id;
    id.first_seen = false;
    found.processes = members(id);
    if (id.pid == 0) {
        // The agent died between the start and the second note. The first process is the one that
        // leads its session.
        for (const ProcessStat& it : found.processes) {
            if (it.session == it.pid) id.pid = it.pid, id.start = it.start;
        }
    }
    UniqueFd pidfd = id.pid > 0 ? process::open_pidfd(id.pid) : UniqueFd();
    const auto stat = pidfd ? read_stat(id.pid) : std::nullopt;
    if (stat && stat->start == id.start) {
        if (stat->dead()) {
            (void)process::reap(pidfd.get());
        } else {
            found.pidfd = std::move(pidfd);
            id.first_seen = true;
            found.processes = members(id);
        }
    }
    if (found.processes.empty()) {
        remove_note(state_file);
        return std::nullopt;
    }
    return found;
}

class ProcessInstance : public std::enable_shared_from_this<ProcessInstance> {
  public:
    ProcessInstance(const asio::any_io_executor& executor, ProcessInstanceConfig config,
                    Instance::Events events)
        : config_(std::move(config)),
          events_(std::move(events)),
          output_(executor, output_path(config_.state_file), events_.output),
          ended_(executor),
          timer_(executor) {}

    Result<> open();
    void start();
    void signal(int number, const Instance::Done& done);
    void kill();
    void end_rest(bool polite);

    void close() {
        events_ = {};
        boost::system::error_code ignored;
        ended_.close(ignored);
        timer_.cancel();
    }

  private:
    Result<UniqueFd> prepare();
    [[nodiscard]] Result<process::Spawned> spawn(int output) const;
    /// Takes the descriptor when it succeeds.
    Result<> watch(UniqueFd&& pidfd);
    void await_end();
    void exited();
    void look();
    void feed(const router::Input& input) {
        if (events_.input) events_.input(input);
    }

    ProcessInstanceConfig config_;
    Instance::Events events_;
    OutputPipe output_;
    InstanceNote note_;
    Descriptor ended_;
    asio::steady_timer timer_;
    BootTime started_ = long_ago;
    // Ending what is left.
    unsigned left_ = 0;
    int doubts_ = 0;  ///< looks that found nothing and were not sure of it
    int last_signal_ = 0;
    int next_signal_ = 0;
    Duration pause_{};
    bool ending_ = false;
};

Result<> ProcessInstance::open() {
    if (auto opened = output_.open(); !opened) return opened;
    auto found = find_noted(config_.state_file);
    if (!found) {
        feed(router::input::FoundNothing{});
        return {};
    }
    note_ = found->note;
    const bool same = note_.argv == config_.argv && note_.user == config_.user;
    if (!found->pidfd) {
        feed(router::input::FoundOther{0, "an earlier one had left processes behind"});
        return {};
    }
    const pid_t pid = note_.id.pid;
    const auto stat = read_stat(pid);
    started_ = stat ? start_time(*stat) : BootClock::now();
    if (same) (void)save_note(config_.state_file, note_);
    if (auto watched = watch(std::move(found->pidfd)); !watched) return watched;
    if (same) {
        feed(router::input::FoundRunning{pid, started_});
    } else {
        feed(router::input::FoundOther{pid, "it runs with other arguments than it should"});
    }
    return {};
}

/// The note that it is about to be started, and its end of the pipe.
Result<UniqueFd> ProcessInstance::prepare() {
    note_ = InstanceNote{boot_id(), {0, 0, make_marker(), true}, config_.user, config_.argv};
    if (auto saved = save_note(config_.state_file, note_); !saved) {
        return tl::unexpected(saved.error());
    }
    output_.forget();
    return output_.writer();
}

Result<process::Spawned> ProcessInstance::spawn(int output) const {
    process::SpawnSpec spec;
    spec.argv = config_.argv;
    spec.output = output;
    spec.variables = {{marker_variable, note_.id.marker}};
    if (!config_.user.empty()) {
        auto account = process::find_account(config_.user);
        if (!account) return tl::unexpected(account.error());
        spec.account = std::move(*account);
    }
    return process::spawn(spec);
}

void ProcessInstance::start() {
    auto writer = prepare();
    if (!writer) {
        remove_note(config_.state_file);
        return feed(router::input::StartFailed{writer.error().message()});
    }
    auto spawned = spawn(writer->get());
    if (!spawned) {
        remove_note(config_.state_file);
        return feed(router::input::StartFailed{spawned.error().message()});
    }
    started_ = BootClock::now();
    note_.id.pid = spawned->pid;
    if (const auto stat = read_stat(spawned->pid)) note_.id.start = stat->start;
    // Should this fail, the first note still leads to it by the marker.
    (void)save_note(config_.state_file, note_);
    const int pidfd = spawned->pidfd.get();
    if (const auto watched = watch(std::move(spawned->pidfd)); !watched) {
        // What cannot be watched must not be.
        process::send_signal(pidfd, SIGKILL);
        (void)process::reap(pidfd);
        return feed(router::input::StartFailed{watched.error().message()});
    }
    feed(router::input::Started{spawned->pid});
}

Result<> ProcessInstance::watch(UniqueFd&& pidfd) {
    boost::system::error_code error;
    ended_.assign(pidfd.get(), error);
    if (error) return fail("watch the process of " + config_.name + ": " + error.message());
    (void)pidfd.release();
    await_end();
    return {};
}

void ProcessInstance::await_end() {
    ended_.async_wait(Descriptor::wait_read,
                      [self = shared_from_this()](boost::system::error_code failed) {
                          if (failed || !self->events_.input) return;
                          const bool over = process::has_ended(self->ended_.native_handle());
                          over ? self->exited() : self->await_end();
                      });
}

void ProcessInstance::exited() {
    const process::ProcessEnd end = process::reap(ended_.native_handle());
    boost::system::error_code ignored;
    ended_.close(ignored);
    output_.drain();
    const bool brief = BootClock::now() - started_ < brief_run;
    // Of a signal that comes from outside, it had no time to speak.
    const bool outside = end.signal == SIGKILL || end.signal == SIGTERM;
    feed(router::input::Exited{end.how, end.code == 0, outside ? "" : output_.telling(brief)});
}

void ProcessInstance::signal(int number, const Instance::Done& done) {
    if (ended_.is_open()) {
        process::send_signal(ended_.native_handle(), number);
        return done({});
    }
    if (ending_) return done({});
    // No main process, but something of it: all of that is meant.
    signal_all(members(note_.id), number);
    end_rest(true);
    done({});
}

void ProcessInstance::kill() {
    next_signal_ = SIGKILL;
    signal_all(members(note_.id), SIGKILL);
    if (ended_.is_open()) process::send_signal(ended_.native_handle(), SIGKILL);
}

void ProcessInstance::end_rest(bool polite) {
    left_ = 0;
    doubts_ = 0;
    last_signal_ = 0;
    next_signal_ = polite ? SIGTERM : SIGKILL;
    pause_ = first_look;
    ending_ = true;
    // Whoever hears of the exit comes first: this looks through /proc.
    asio::post(timer_.get_executor(), [self = shared_from_this()] { self->look(); });
}

void ProcessInstance::look() {
    if (!events_.input || !ending_) return;
    bool unsure = false;
    const std::vector<ProcessStat> found = members(note_.id, &unsure);
    left_ = std::max(left_, static_cast<unsigned>(found.size()));
    const bool doubtful = found.empty() && unsure && ++doubts_ <= most_doubts;
    if (found.empty() && !doubtful) {
        ending_ = false;
        remove_note(config_.state_file);
        output_.drain();
        return feed(router::input::Gone{left_, ""});
    }
    // A fork may slip through a round: SIGKILL is repeated, a polite request is not.
    if (!doubtful) {
        if (next_signal_ == SIGKILL || last_signal_ != next_signal_) {
            signal_all(found, next_signal_);
        }
        last_signal_ = next_signal_;
    }
    timer_.expires_after(pause_);
    pause_ = std::min<Duration>(pause_ * 2, longest_look);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code failed) {
        if (!failed) self->look();
    });
}

/// What the supervisor holds: the instance itself lives as long as its last handler.
class Handle final : public Instance {
  public:
    explicit Handle(std::shared_ptr<ProcessInstance> process) : process_(std::move(process)) {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() override { process_->close(); }

    Result<> open() override { return process_->open(); }
    void start() override { process_->start(); }
    void signal(int number, Done done) override { process_->signal(number, done); }
    void stop(Done done) override { process_->signal(SIGTERM, done); }
    void reload(Done done) override { process_->signal(SIGHUP, done); }
    void kill() override { process_->kill(); }
    void end_rest(bool polite) override { process_->end_rest(polite); }

  private:
    std::shared_ptr<ProcessInstance> process_;
};

/// Waits until nothing of it is left; what is left then. Children that outlive their parent are
/// asked to end as well.
std::vector<ProcessStat> wait_for_end(const InstanceId& id, Duration limit) {
    const BootTime deadline = BootClock::now() + limit;
    bool asked = false;
    int doubts = 0;
    for (;;) {
        const UniqueFd pidfd = id.pid > 0 ? process::open_pidfd(id.pid) : UniqueFd();
        const auto stat = pidfd ? read_stat(id.pid) : std::nullopt;
        // A child of this process stays a zombie until it is reaped.
        if (stat && stat->start == id.start && stat->dead()) (void)process::reap(pidfd.get());
        bool unsure = false;
        std::vector<ProcessStat> left = members(id, &unsure);
        const bool doubtful = left.empty() && unsure && ++doubts <= most_doubts;
        if ((left.empty() && !doubtful) || BootClock::now() >= deadline) return left;
        const bool orphans =
            !doubtful && std::none_of(left.begin(), left.end(),
                                      [&](const ProcessStat& it) { return it.pid == id.pid; });
        if (orphans && !std::exchange(asked, true)) signal_all(left, SIGTERM);
        ::poll(nullptr, 0, 10);
    }
}

}  // namespace

std::unique_ptr<Instance> make_process_instance(const asio::any_io_executor& executor,
                                                ProcessInstanceConfig config,
                                                Instance::Events events) {
    return std::make_unique<Handle>(
        std::make_shared<ProcessInstance>(executor, std::move(config), std::move(events)));
}

Result<bool> end_noted_process(const std::string& state_file, Duration stop_timeout) {
    const auto found = find_noted(state_file);
    if (!found) {
        OutputPipe::remove(output_path(state_file));
        return false;
    }
    if (found->pidfd) {
        process::send_signal(found->pidfd.get(), SIGTERM);
    } else {
        signal_all(found->processes, SIGTERM);
    }
    const InstanceId& id = found->note.id;
    std::vector<ProcessStat> left = wait_for_end(id, stop_timeout);
    for (int round = 0; round < 10 && !left.empty(); ++round) {
        signal_all(left, SIGKILL);
        left = wait_for_end(id, 200ms);
    }
    if (!left.empty()) {
        return fail("process " + std::to_string(left.front().pid) +
                    " of the router does not end, not even when killed");
    }
    remove_note(state_file);
    OutputPipe::remove(output_path(state_file));
    return true;
}

}  // namespace hamr::router_io
