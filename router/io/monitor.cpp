// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/monitor.hpp"

#include "base/mysql/session.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/steady_timer.hpp>

namespace hamr::router_io {

namespace asio = boost::asio;
using mysql::Failure;
using mysql::FailureKind;
using router::Observation;

namespace {

/// Both names in one statement that MariaDB, which lacks super_read_only, answers too.
constexpr const char* ask_role =
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only')";

/// MariaDB 12 knows more values than ON, each of them read-only.
bool is_on(const std::string& value) {
    return value != "OFF" && value != "0";
}

/// The two variables, as far as they are there.
void read_role(const mysql::Rows& answer, Observation& observation) {
    for (const auto& row : answer.rows) {
        if (row.size() != 2 || !row[0] || !row[1]) continue;
        if (*row[0] == "read_only") observation.read_only = is_on(*row[1]);
        if (*row[0] == "super_read_only") observation.super_read_only = is_on(*row[1]);
    }
    if (!observation.read_only) {
        observation.failure =
            Failure{FailureKind::server, 0, "server error: it does not tell its read_only"};
    }
}

}  // namespace

class Monitor::Impl : public std::enable_shared_from_this<Monitor::Impl> {
  public:
    Impl(asio::any_io_executor executor, MonitorConfig config, OnObservation observed)
        : config_(std::move(config)),
          observed_(std::move(observed)),
          session_(executor),
          timer_(executor) {}

    void start() {
        stopped_ = false;
        probe();
    }

    void stop() {
        stopped_ = true;
        timer_.cancel();
        session_.close();
    }

  private:
    void probe() {
        timer_.cancel();
        observation_ = {};
        observation_.begun_at = BootClock::now();
        retried_ = false;
        ask();
    }

    [[nodiscard]] Duration left() const {
        const Duration spent = BootClock::now() - observation_.begun_at;
        return std::max<Duration>(config_.timeout - spent, std::chrono::milliseconds(1));
    }

    void ask() {
        if (!session_.connected()) return connect();
        session_.query(ask_role, left(), [this](tl::expected<mysql::Rows, Failure> answer) {
            if (answer) {
                read_role(*answer, observation_);
                return report();
            }
            if (answer.error().kind == FailureKind::lost && !std::exchange(retried_, true)) {
                return connect();
            }
            failed(std::move(answer.error()));
        });
    }

    void connect() {
        const std::string user = config_.user.empty() ? "hamr" : config_.user;
        const mysql::Login login{config_.server, user, config_.password};
        session_.connect(login, left(), [this](tl::expected<std::string, Failure> version) {
            if (version) {
                version_ = *version;
                retried_ = true;
                return ask();
            }
            const bool just_alive =
                config_.user.empty() && version.error().kind == FailureKind::access_denied;
            if (just_alive) return report();
            failed(std::move(version.error()));
        });
    }

    void failed(Failure failure) {
        observation_.failure = std::move(failure);
        report();
    }

    void report() {
        const BootTime now = BootClock::now();
        observation_.latency = now - observation_.begun_at;
        observation_.version = version_;
        const Duration pause = std::max<Duration>(observation_.begun_at + config_.interval - now,
                                                  config_.interval / 10);
        timer_.expires_after(pause);
        timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
            if (error || self->stopped_) return;
            self->early_ = false;
            self->probe();
        });
        if (session_.connected() && !early_) {
            session_.watch([this] {
                early_ = true;
                session_.close();
                probe();
            });
        }
        // Last: the callback may destroy this monitor.
        const auto self = shared_from_this();
        observed_(config_.server, std::exchange(observation_, {}));
    }

    MonitorConfig config_;
    OnObservation observed_;
    mysql::Session session_;
    asio::steady_timer timer_;
    Observation observation_;
    std::string version_;
    bool retried_ = false;
    bool early_ = false;
    bool stopped_ = true;
};

Monitor::Monitor(asio::any_io_executor executor, MonitorConfig config, OnObservation observed)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(config), std::move(observed))) {}

Monitor::~Monitor() {
    impl_->stop();
}

void Monitor::start() {
    impl_->start();
}

void Monitor::stop() {
    impl_->stop();
}

}  // namespace hamr::router_io
