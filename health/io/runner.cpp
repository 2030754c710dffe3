// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/runner.hpp"

#include "base/prng.hpp"
#include "health/io/probe.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <boost/asio/steady_timer.hpp>

namespace hamr::health_io {

namespace asio = boost::asio;

namespace {

/// However short the interval and however slow the probe: others get their turn.
constexpr Duration least_pause = std::chrono::milliseconds(1);

health::CheckConfig config_of(const health::CheckSpec& spec) {
    health::CheckConfig config;
    config.name = spec.name;
    config.rise = spec.rise;
    config.fall = spec.fall;
    return config;
}

}  // namespace

class Runner::Impl : public std::enable_shared_from_this<Runner::Impl> {
  public:
    Impl(const asio::any_io_executor& executor, health::CheckSpec spec, std::uint64_t seed,
         Events events)
        : spec_(std::move(spec)),
          check_(config_of(spec_)),
          events_(std::move(events)),
          random_(seed),
          probe_(make_probe(executor, spec_.probe)),
          timer_(executor) {}

    void start() {
        if (std::exchange(running_, true)) return;
        ask();
    }

    void stop() {
        running_ = false;
        ++life_;
        probe_->cancel();
        timer_.cancel();
        check_ = health::Check(config_of(spec_));
    }

    [[nodiscard]] bool running() const { return running_; }
    [[nodiscard]] const health::CheckSpec& spec() const { return spec_; }
    [[nodiscard]] const health::Check& check() const { return check_; }

  private:
    void ask() {
        const BootTime begun = BootClock::now();
        probe_->run(spec_.timeout, [self = shared_from_this(), begun](health::ProbeResult result) {
            self->observe(begun, std::move(result));
        });
    }

    void observe(BootTime begun, health::ProbeResult result) {
        const BootTime now = BootClock::now();
        const auto turned = check_.observe(now, result.ok, begun, std::move(result.text));
        wait(begun + pause() - now);
        // Last: it may stop this runner, or destroy it.
        const auto self = shared_from_this();
        if (events_.observed) events_.observed(check_, turned ? &*turned : nullptr);
    }

    /// From beginning to beginning.
    Duration pause() {
        const std::int64_t jitter = std::max<std::int64_t>(spec_.jitter.count(), 0);
        return spec_.interval + Duration(random_.between(-jitter, jitter));
    }

    void wait(Duration left) {
        // A probe that took longer than the interval still leaves a pause behind it.
        timer_.expires_after(std::max({left, spec_.interval / 10, least_pause}));
        timer_.async_wait(
            [self = shared_from_this(), life = life_](boost::system::error_code error) {
                if (!error && self->running_ && life == self->life_) self->ask();
            });
    }

    health::CheckSpec spec_;
    health::Check check_;
    Events events_;
    Prng random_;
    std::shared_ptr<Probe> probe_;
    asio::steady_timer timer_;
    /// A timer of an earlier life does nothing.
    std::uint64_t life_ = 0;
    bool running_ = false;
};

Runner::Runner(asio::any_io_executor executor, health::CheckSpec spec, std::uint64_t seed,
               Events events)
    : impl_(std::make_shared<Impl>(executor, std::move(spec), seed, std::move(events))) {}

Runner::~Runner() {
    impl_->stop();
}

void Runner::start() {
    impl_->start();
}

void Runner::stop() {
    impl_->stop();
}

bool Runner::running() const {
    return impl_->running();
}

const health::CheckSpec& Runner::spec() const {
    return impl_->spec();
}

const health::Check& Runner::check() const {
    return impl_->check();
}

}  // namespace hamr::health_io
