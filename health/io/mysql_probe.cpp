// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/mysql_probe.hpp"

#include "base/mysql/greeting.hpp"
#include "base/mysql/session.hpp"
#include "health/io/mysql_words.hpp"
#include "health/io/tcp_target.hpp"
#include "health/text.hpp"

#include <array>
#include <chrono>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

namespace hamr::health_io {

namespace asio = boost::asio;
using asio::ip::tcp;
using mysql::AnonymousLogin;
using mysql::Failure;

namespace {

constexpr const char* nobody = "hamr-health";
/// The session's own time-out is only a second line: ours says more.
constexpr auto session_grace = std::chrono::seconds(1);

/// The handshake as a stranger.
class StrangerTalk final : public Probe {
  public:
    StrangerTalk(asio::any_io_executor executor, health::MysqlProbe what)
        : Probe(std::move(executor)),
          what_(std::move(what)),
          where_(what_.target.to_string()),
          socket_(this->executor()) {}

  protected:
    void begin() override {
        login_.reset();
        socket_.async_connect(to_asio(what_.target),
                              guarded([this](boost::system::error_code error) { met(error); }));
    }

    void release() override { leave(socket_); }

    [[nodiscard]] std::string overdue(const std::string& limit) const override {
        if (login_) return stuck(*login_, where_) + " within " + limit;
        return "no connection to " + where_ + " within " + limit;
    }

  private:
    void met(boost::system::error_code error) {
        if (!error && met_itself(socket_)) error = asio::error::connection_refused;
        if (error) return finish(false, why_not_connected(error, what_.target));
        login_.emplace(nobody);
        read();
    }

    void read() {
        socket_.async_read_some(asio::buffer(piece_),
                                guarded([this](boost::system::error_code error, std::size_t bytes) {
                                    // What ends a connection is of no interest: it ended.
                                    if (error) {
                                        login_->closed();
                                        return over();
                                    }
                                    reply_ = login_->feed({piece_.data(), bytes});
                                    if (reply_.empty()) return go_on();
                                    asio::async_write(socket_, asio::buffer(reply_),
                                                      guarded([this](boost::system::error_code,
                                                                     std::size_t) { go_on(); }));
                                }));
    }

    void go_on() {
        if (login_->stage() == AnonymousLogin::Stage::over) return over();
        read();
    }

    void over() {
        health::ProbeResult result = judge(*login_, where_);
        finish(result.ok, std::move(result.text));
    }

    health::MysqlProbe what_;
    std::string where_;
    tcp::socket socket_;
    std::optional<AnonymousLogin> login_;
    std::array<char, 4096> piece_{};
    std::string reply_;
};

mysql::Tls tls_of(health::MysqlProbe::Tls tls) {
    switch (tls) {
        case health::MysqlProbe::Tls::off:
            return mysql::Tls::off;
        case health::MysqlProbe::Tls::required:
            return mysql::Tls::required;
        case health::MysqlProbe::Tls::verified:
            return mysql::Tls::verified;
    }
    return mysql::Tls::verified;
}

/// Login and query.
class UserTalk final : public Probe {
  public:
    UserTalk(asio::any_io_executor executor, health::MysqlProbe what)
        : Probe(std::move(executor)),
          what_(std::move(what)),
          where_(what_.target.to_string()),
          session_(this->executor()) {
        if (what_.query.empty()) what_.query = "SELECT 1";
    }

  protected:
    void begin() override {
        const mysql::Login login{what_.target, what_.user, what_.password, tls_of(what_.tls),
                                 what_.ca_file};
        session_.connect(login, timeout() + session_grace,
                         guarded([this](tl::expected<std::string, Failure> version) {
                             if (!version) return failed(version.error());
                             version_ = mysql::version_in_words(*version);
                             ask();
                         }));
    }

    /// Says goodbye to a server that is not in the middle of something.
    void release() override { session_.close(); }

    [[nodiscard]] std::string overdue(const std::string& limit) const override {
        const std::string within = " within " + limit;
        switch (session_.waits_for()) {
            case mysql::Session::Waits::greeting:
                return where_ + " accepted and never greeted" + within;
            case mysql::Session::Waits::tls:
                return where_ + " greeted and did not agree on TLS" + within;
            case mysql::Session::Waits::login:
                return where_ + " greeted and did not answer the login" + within;
            case mysql::Session::Waits::answer:
                return where_ + " (" + version_ + ") did not answer \"" +
                       health::printable(what_.query, shown) + "\"" + within;
            case mysql::Session::Waits::connection:
            case mysql::Session::Waits::nothing:
                break;
        }
        return "no connection to " + where_ + within;
    }

  private:
    static constexpr std::size_t shown = 120;

    void ask() {
        session_.query(what_.query, timeout() + session_grace,
                       guarded([this](tl::expected<mysql::Rows, Failure> rows) {
                           if (!rows) return failed(rows.error());
                           answered(*rows);
                       }));
    }

    void answered(const mysql::Rows& rows) {
        const std::string question = '"' + health::printable(what_.query, shown) + '"';
        if (rows.rows.empty() || rows.rows.front().empty()) {
            return finish(false, question + " gave no row (" + version_ + ")");
        }
        const auto& value = rows.rows.front().front();
        finish(true, question + " gave " +
                         (value ? health::printable(*value, shown) : std::string("NULL")) + " (" +
                         version_ + ")");
    }

    void failed(const Failure& failure) { finish(false, why_failed(failure, where_)); }

    health::MysqlProbe what_;
    std::string where_;
    mysql::Session session_;
    std::string version_;
};

}  // namespace

std::shared_ptr<Probe> make_mysql_probe(asio::any_io_executor executor, health::MysqlProbe what) {
    if (what.user.empty()) {
        return std::make_shared<StrangerTalk>(std::move(executor), std::move(what));
    }
    return std::make_shared<UserTalk>(std::move(executor), std::move(what));
}

}  // namespace hamr::health_io
