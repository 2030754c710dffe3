// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/supervisor.hpp"

#include "router/io/admin.hpp"
#include "router/io/process_instance.hpp"
#include "router/io/run_command.hpp"
#include "router/io/unit_instance.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace hamr::router_io {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;
namespace input = router::input;
namespace action = router::action;

/// How long a router may take to answer a request, and its judge to judge.
constexpr auto request_timeout = 5s;
constexpr auto judge_timeout = 30s;

bool has(const router::Request& request) {
    return !std::holds_alternative<std::monostate>(request);
}

router::SupervisionSettings settings_of(const router::ProviderConfig& config,
                                        const router::Plan& plan) {
    router::SupervisionSettings settings;
    settings.name = plan.unit.empty() ? plan.name : plan.unit;
    settings.stop_timeout = config.stop_timeout;
    settings.can_judge = !plan.judge.empty();
    settings.can_reload = has(plan.reload) || !plan.unit.empty();
    settings.can_finish = has(plan.finish);
    settings.ends_when_finished = plan.ends_when_finished;
    settings.can_resume = has(plan.resume);
    if (config.kind == router::ProviderKind::haproxy) {
        settings.background_remedy = "remove `daemon` from its configuration";
    }
    return settings;
}

}  // namespace

class Supervisor::Impl : public std::enable_shared_from_this<Supervisor::Impl> {
  public:
    Impl(asio::any_io_executor executor, router::ProviderConfig config, router::Plan plan,
         Events events)
        : executor_(std::move(executor)),
          timer_(executor_),
          config_(std::move(config)),
          plan_(std::move(plan)),
          events_(std::move(events)),
          machine_(settings_of(config_, plan_)) {}

    void make_instance(const std::string& state_file, const SupervisorOptions& options) {
        // The instance must not keep this alive: this holds the instance.
        const std::weak_ptr<Impl> weak = weak_from_this();
        Instance::Events events;
        events.input = [weak](const router::Input& input) {
            if (const auto self = weak.lock()) self->feed(input);
        };
        events.output = [weak](std::string_view line) {
            const auto self = weak.lock();
            if (self && self->events_.output) self->events_.output(line);
        };
        instance_ =
            plan_.unit.empty()
                ? make_process_instance(executor_, {plan_.name, plan_.argv, plan_.user, state_file},
                                        std::move(events))
                : make_unit_instance(executor_, {plan_.unit, options.buses}, std::move(events));
    }

    Result<> start() { return instance_->open(); }

    void reload(std::function<void(Result<>)> done) {
        reloads_.push_back(std::move(done));
        feed(input::Reload{});
    }

    void stop(std::function<void()> done) {
        stops_.push_back(std::move(done));
        feed(input::Stop{});
    }

    /// One input at a time, also when performing an action brings the next one.
    void feed(const router::Input& input) {
        if (closed_) return;
        inputs_.push_back(input);
        if (inputs_.size() > 1) return;
        const auto self = shared_from_this();
        while (!inputs_.empty()) {
            const auto actions = machine_.step(BootClock::now(), inputs_.front());
            for (const router::Action& action : actions) {
                if (closed_) return;
                std::visit([this](const auto& it) { perform(it); }, action);
            }
            inputs_.pop_front();
        }
        set_timer();
    }

    void close() {
        closed_ = true;
        timer_.cancel();
        instance_.reset();
    }

    [[nodiscard]] const SupervisorStatus& status() const { return machine_.status(); }

  private:
    void perform(const action::Start&) { instance_->start(); }
    void perform(const action::Kill&) { instance_->kill(); }
    void perform(const action::EndRest& it) { instance_->end_rest(it.polite); }
    void perform(const action::Request& it) { request(it.what); }

    void perform(const action::Crashed& it) {
        post([reason = it.reason](Impl& self) {
            if (self.events_.crashed) self.events_.crashed(reason);
        });
    }

    void perform(const action::Changed&) {
        post([status = machine_.status()](Impl& self) {
            if (self.events_.changed) self.events_.changed(status);
        });
    }

    void perform(const action::ReloadDone& it) {
        post([done = std::exchange(reloads_, {}), result = it.result](Impl&) {
            for (const auto& call : done) {
                if (call) call(result);
            }
        });
    }

    void perform(const action::Stopped&) {
        post([done = std::exchange(stops_, {})](Impl&) {
            for (const auto& call : done) {
                if (call) call();
            }
        });
    }

    void perform(const action::Judge&) {
        run_command(executor_, plan_.judge, plan_.user, judge_timeout,
                    [self = shared_from_this()](const Result<std::string>& said) {
                        if (said) return self->feed(input::Judged{});
                        self->feed(input::Judged{
                            fail("the configuration is refused: " + said.error().message())});
                    });
    }

    void request(router::Ask what);
    void answer(router::Ask what, const Result<>& result);

    template <class Work>
    void post(Work work) {
        asio::post(executor_, [self = shared_from_this(), work = std::move(work)] {
            if (!self->closed_) work(*self);
        });
    }

    void set_timer() {
        const BootTime next = machine_.next();
        if (next == never) {
            timer_.cancel();
            return;
        }
        timer_.expires_after(std::max<Duration>(next - BootClock::now(), 0ms));
        timer_.async_wait([self = shared_from_this()](boost::system::error_code failed) {
            if (!failed) self->feed(input::Tick{});
        });
    }

    asio::any_io_executor executor_;
    asio::steady_timer timer_;
    router::ProviderConfig config_;
    router::Plan plan_;
    Events events_;
    router::Supervision machine_;
    std::unique_ptr<Instance> instance_;
    std::deque<router::Input> inputs_;
    std::vector<std::function<void(Result<>)>> reloads_;
    std::vector<std::function<void()>> stops_;
    bool closed_ = false;
};

void Supervisor::Impl::request(router::Ask what) {
    const router::Request& request = what == router::Ask::stop     ? plan_.stop
                                     : what == router::Ask::finish ? plan_.finish
                                     : what == router::Ask::resume ? plan_.resume
                                                                   : plan_.reload;
    const auto answered = [self = shared_from_this(), what](const Result<>& result) {
        self->answer(what, result);
    };
    const auto said = [answered](const Result<std::string>& text) {
        answered(text ? Result<>() : Result<>(tl::unexpected(text.error())));
    };
    if (const auto* signal = std::get_if<router::SendSignal>(&request)) {
        instance_->signal(signal->number, answered);
    } else if (const auto* admin = std::get_if<router::AdminCommand>(&request)) {
        run_admin(executor_, plan_, config_, admin->text, request_timeout, said);
    } else if (const auto* command = std::get_if<router::RunCommand>(&request)) {
        run_command(executor_, command->argv, plan_.user, judge_timeout, said);
    } else if (what == router::Ask::stop) {
        instance_->stop(answered);
    } else {
        instance_->reload(answered);
    }
}

/// May come much later than the request: what it was for may be over.
void Supervisor::Impl::answer(router::Ask what, const Result<>& result) {
    if (closed_) return;
    const bool plain = !has(plan_.stop) || std::holds_alternative<router::SendSignal>(plan_.stop);
    const bool fall_back = what == router::Ask::stop && !result && !plain &&
                           machine_.status().state == RunState::stopping;
    if (!fall_back) return feed(input::Answered{what, result});
    instance_->stop([](const Result<>&) {});
    feed(input::Answered{what, fail("could not be stopped in its own way (" +
                                    result.error().message() + "), so it was sent SIGTERM")});
}

Supervisor::Supervisor(asio::any_io_executor executor, router::ProviderConfig config,
                       router::Plan plan, std::string state_file, Events events,
                       SupervisorOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(config), std::move(plan),
                                   std::move(events))) {
    impl_->make_instance(state_file, options);
}

Supervisor::~Supervisor() {
    impl_->close();
}

Result<> Supervisor::start() {
    return impl_->start();
}

void Supervisor::want(bool wanted) {
    impl_->feed(input::Want{wanted});
}

void Supervisor::finish(BootTime deadline) {
    impl_->feed(input::Finish{deadline});
}

void Supervisor::reload(std::function<void(Result<>)> done) {
    impl_->reload(std::move(done));
}

void Supervisor::stop(std::function<void()> done) {
    impl_->stop(std::move(done));
}

void Supervisor::serves() {
    impl_->feed(input::Serves{});
}

SupervisorStatus Supervisor::status() const {
    return impl_->status();
}

Result<bool> end_orphan(const std::string& state_file, Duration stop_timeout) {
    return end_noted_process(state_file, stop_timeout);
}

}  // namespace hamr::router_io
