// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "health/probe.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

// One question that can be asked again and again; each kind of check is one file behind this.
//
// Contract   run() asks once and ends in one callback, from the executor and never from inside the
//            call, at the latest after `timeout` (plus the loop's own delay); unless cancel() comes
//            first: then it is never called. One question at a time.
// Leaves     Nothing: with the answer, the time-out or cancel() every descriptor is closed and
//            every process is killed. (A killed process is reaped as soon as the kernel lets go of
//            it; a TCP probe says goodbye for some tenths of a second.)
// Limits     What a stranger sends is read up to some KiB, see each kind.
// Threading  One thread, the executor's. Nothing blocks.

namespace hamr::health_io {

class Probe : public std::enable_shared_from_this<Probe> {
  public:
    using Done = std::function<void(health::ProbeResult)>;

    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    virtual ~Probe() = default;

    void run(Duration timeout, Done done);
    void cancel();
    [[nodiscard]] bool running() const { return static_cast<bool>(done_); }

  protected:
    explicit Probe(boost::asio::any_io_executor executor);

    /// Asks. May call finish() at once.
    virtual void begin() = 0;
    /// Lets go of everything that the question holds. Also called when there is nothing.
    virtual void release() = 0;
    /// What to say when the time is up; `limit` reads "300 ms".
    [[nodiscard]] virtual std::string overdue(const std::string& limit) const = 0;

    /// The answer; `text` is made printable here.
    void finish(bool ok, std::string text);
    [[nodiscard]] const boost::asio::any_io_executor& executor() const { return executor_; }
    [[nodiscard]] Duration timeout() const { return timeout_; }

    /// A handler that does nothing once the question is over, and keeps this probe alive till then.
    template <class Handler>
    auto guarded(Handler handler) {
        return [self = shared_from_this(), question = question_,
                handler = std::move(handler)](auto&&... arguments) mutable {
            if (question == self->question_)
                handler(std::forward<decltype(arguments)>(arguments)...);
        };
    }

  private:
    void over();

    boost::asio::any_io_executor executor_;
    boost::asio::steady_timer timer_;
    Done done_;
    Duration timeout_{};
    std::uint64_t question_ = 0;
};

/// The probe for what is configured.
[[nodiscard]] std::shared_ptr<Probe> make_probe(const boost::asio::any_io_executor& executor,
                                                const health::ProbeSpec& spec);

/// "300 ms".
[[nodiscard]] std::string in_ms(Duration duration);

}  // namespace hamr::health_io
