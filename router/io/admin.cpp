// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/admin.hpp"

#include "base/mysql/session.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <sys/un.h>

namespace hamr::router_io {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

using Done = std::function<void(Result<std::string>)>;
using Failed = tl::unexpected<Error>;

std::string in_words(Duration timeout) {
    return std::to_string(std::chrono::round<std::chrono::milliseconds>(timeout).count()) + " ms";
}

/// What both have in common: one time-out, one answer. The pending alarm keeps the call alive.
class Call : public std::enable_shared_from_this<Call> {
  public:
    Call(asio::any_io_executor executor, std::string whom, Duration timeout, Done done)
        : executor_(executor),
          whom_(std::move(whom)),
          timeout_(timeout),
          end_(BootClock::now() + timeout),
          done_(std::move(done)),
          alarm_(executor) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    virtual ~Call() = default;

    void start() {
        alarm_.expires_after(timeout_);
        alarm_.async_wait([self = shared_from_this()](error_code error) {
            if (!error) self->failed("no answer within " + in_words(self->timeout_));
        });
        begin();
    }

  protected:
    virtual void begin() = 0;
    /// Lets go of whatever waits.
    virtual void end() = 0;

    [[nodiscard]] bool over() const { return !done_; }
    [[nodiscard]] const asio::any_io_executor& executor() const { return executor_; }
    [[nodiscard]] Duration left() const {
        return std::max<Duration>(end_ - BootClock::now(), std::chrono::milliseconds(1));
    }

    void failed(const std::string& what, std::error_code code = {}) {
        finish(Failed(Error{whom_ + ": " + what, code}));
    }

    void finish(Result<std::string> result) {
        if (over()) return;
        asio::post(executor_, [done = std::exchange(done_, nullptr),
                               result = std::move(result)]() mutable { done(std::move(result)); });
        alarm_.cancel();
        end();
    }

    /// Whether it still fits; else the call has failed.
    bool add(std::string_view piece) {
        if (answer_.size() + piece.size() > max_admin_answer) {
            failed("an answer of more than " + std::to_string(max_admin_answer / 1024) + " KiB");
            return false;
        }
        answer_ += piece;
        return true;
    }

    std::string answer_;

  private:
    asio::any_io_executor executor_;
    std::string whom_;
    Duration timeout_;
    BootTime end_;
    Done done_;
    asio::steady_timer alarm_;
};

/// HAProxy reads one line, answers, and closes.
class StatsSocket final : public Call {
  public:
    StatsSocket(asio::any_io_executor executor, const std::string& path, std::string text,
                Duration timeout, Done done)
        : Call(executor, "HAProxy's stats socket " + path, timeout, std::move(done)),
          path_(path),
          text_(std::move(text)),
          socket_(executor) {}

  private:
    std::shared_ptr<StatsSocket> self() {
        return std::static_pointer_cast<StatsSocket>(shared_from_this());
    }

    void begin() override {
        text_.erase(text_.find_last_not_of("\r\n") + 1);
        if (text_.find('\n') != std::string::npos) return failed("a command must be one line");
        text_ += '\n';
        // Asio throws on a path that does not fit into an address.
        if (path_.size() >= sizeof(sockaddr_un::sun_path)) return failed("its path is too long");
        socket_.async_connect(asio::local::stream_protocol::endpoint(path_),
                              [self = self()](error_code error) {
                                  if (self->over()) return;
                                  if (error) return self->broken("is it running? connect", error);
                                  self->write();
                              });
    }

    void write() {
        asio::async_write(socket_, asio::buffer(text_),
                          [self = self()](error_code error, std::size_t) {
                              if (self->over()) return;
                              if (error) return self->broken("write", error);
                              self->read();
                          });
    }

    void read() {
        socket_.async_read_some(asio::buffer(buffer_),
                                [self = self()](error_code error, std::size_t size) {
                                    if (self->over()) return;
                                    if (error == asio::error::eof) return self->complete();
                                    if (error) return self->broken("read", error);
                                    if (self->add({self->buffer_.data(), size})) self->read();
                                });
    }

    void complete() {
        answer_.erase(answer_.find_last_not_of("\r\n") + 1);
        finish(std::move(answer_));
    }

    void broken(const char* doing, error_code error) { failed(doing, error); }

    void end() override {
        error_code ignored;
        socket_.close(ignored);
    }

    std::string path_;
    std::string text_;
    asio::local::stream_protocol::socket socket_;
    std::array<char, 16 * 1024> buffer_{};
};

/// The statements of a text; a ';' within quotes separates nothing.
std::vector<std::string> statements_of(std::string_view text) {
    std::vector<std::string> statements;
    std::string one;
    const auto take = [&] {
        constexpr const char* blanks = " \t\r\n";
        one.erase(0, std::min(one.find_first_not_of(blanks), one.size()));
        one.erase(one.find_last_not_of(blanks) + 1);
        if (!one.empty()) statements.push_back(one);
        one.clear();
    };
    char quote = 0;
    for (const char c : text) {
        if (quote == 0 && c == ';') {
            take();
            continue;
        }
        if (quote == 0 && (c == '\'' || c == '"' || c == '`')) {
            quote = c;
        } else if (c == quote) {
            quote = 0;
        }
        one += c;
    }
    take();
    return statements;
}

/// ProxySQL's admin port. The session sends nothing but the login and these statements: the port
/// would refuse what real servers accept (SET NAMES, several variables at once).
class AdminPort final : public Call {
  public:
    AdminPort(asio::any_io_executor executor, mysql::Login login, std::string_view text,
              Duration timeout, Done done)
        : Call(executor, "ProxySQL's admin port " + login.server.to_string(), timeout,
               std::move(done)),
          login_(std::move(login)),
          statements_(statements_of(text)),
          session_(executor) {}

  private:
    void begin() override {
        // The session never calls back once it is gone, and it goes with this.
        session_.connect(login_, left(), [this](tl::expected<std::string, mysql::Failure> got) {
            if (over()) return;
            if (!got) return refused(got.error());
            next();
        });
    }

    void refused(const mysql::Failure& failure) {
        std::string words = "login as '" + login_.user + "': " + failure.text;
        if (failure.kind == mysql::FailureKind::access_denied) {
            words += "; write its account into router.admin";
        }
        failed(words);
    }

    void next() {
        if (at_ == statements_.size()) {
            answer_.erase(answer_.find_last_not_of('\n') + 1);
            return finish(std::move(answer_));
        }
        session_.query(statements_[at_], left(),
                       [this](tl::expected<mysql::Rows, mysql::Failure> got) {
                           if (over()) return;
                           if (!got) return stopped(got.error());
                           ++at_;
                           if (take(*got)) next();
                       });
    }

    /// ProxySQL gives every error the number of a refused login.
    void stopped(const mysql::Failure& failure) {
        std::string_view words = failure.text;
        constexpr std::string_view misleading = "access denied: ";
        if (words.starts_with(misleading)) words.remove_prefix(misleading.size());
        failed("'" + statements_[at_] + "': " + std::string(words));
    }

    bool take(const mysql::Rows& rows) {
        for (const auto& row : rows.rows) {
            std::string line;
            for (const auto& value : row) {
                if (!line.empty() || &value != &row.front()) line += '\t';
                line += value.value_or("NULL");
            }
            line += '\n';
            if (!add(line)) return false;
        }
        return true;
    }

    void end() override {
        // Not from inside a callback of the session.
        asio::post(executor(), [self = shared_from_this(), this] { session_.close(); });
    }

    mysql::Login login_;
    std::vector<std::string> statements_;
    std::size_t at_ = 0;
    mysql::Session session_;
};

void refuse(const asio::any_io_executor& executor, Done done, std::string what) {
    asio::post(executor, [done = std::move(done), what = std::move(what)] { done(fail(what)); });
}

}  // namespace

void run_admin(asio::any_io_executor executor, const router::Plan& plan,
               const router::ProviderConfig& config, std::string text, Duration timeout,
               Done done) {
    if (config.kind == router::ProviderKind::haproxy) {
        if (plan.stats_socket.empty()) {
            return refuse(executor, std::move(done),
                          "HAProxy has no stats socket: write `stats socket "
                          "/run/haproxy/admin.sock mode 660 level admin` into the global section "
                          "of " +
                              router::config_path(config));
        }
        std::make_shared<StatsSocket>(executor, plan.stats_socket, std::move(text), timeout,
                                      std::move(done))
            ->start();
        return;
    }
    if (config.kind == router::ProviderKind::proxysql) {
        if (!plan.admin.address || plan.admin.user.empty()) {
            return refuse(executor, std::move(done),
                          "ProxySQL's admin port or its account is not known: write router.admin");
        }
        const mysql::Login login{*plan.admin.address, plan.admin.user, plan.admin.password};
        std::make_shared<AdminPort>(executor, login, text, timeout, std::move(done))->start();
        return;
    }
    refuse(
        executor, std::move(done),
        "a router of kind " + std::string(router::to_string(config.kind)) + " has no admin side");
}

}  // namespace hamr::router_io
