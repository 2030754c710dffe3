// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/mysql/session.hpp"

#include "base/assert.hpp"
#include "base/mysql/overheard.hpp"
#include "base/mysql/side_stack.hpp"

#include <cerrno>
#include <utility>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <errmsg.h>
#include <fcntl.h>
#include <mysql.h>
#include <sys/socket.h>

namespace hamr::mysql {

namespace asio = boost::asio;

namespace {

/// Plugins that never send the password readably over an open connection.
constexpr const char* allowed_plugins =
    "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519";

/// Where Debian and its relatives keep those whom the system trusts.
constexpr const char* all_authorities = "/etc/ssl/certs/ca-certificates.crt";

/// For libmariadb's work: a password plugin's arithmetic, certificates.
constexpr std::size_t stack_bytes = 256 * 1024;

/// What the library itself names, and no server.
bool of_the_library(unsigned code) {
    return (code >= 2000 && code < 3000) || (code >= 5000 && code < 5100);
}

FailureKind kind_of(unsigned code, int error) {
    switch (code) {
        case 1044:
        case 1045:
        case 1142:
        case 1227:
        case 1698:
            return FailureKind::access_denied;
        case 1040:
        case 1203:
        case 1226:
            return FailureKind::too_many_connections;
        case 1129:
            return FailureKind::host_blocked;
        case 1130:
            return FailureKind::host_not_allowed;
        case CR_SERVER_GONE_ERROR:
        case CR_SERVER_LOST:
        case CR_SERVER_LOST_EXTENDED:
            return FailureKind::lost;
        case CR_OUT_OF_MEMORY:
        case CR_SOCKET_CREATE_ERROR:
            return FailureKind::client;
        case CR_SSL_CONNECTION_ERROR:
            return FailureKind::tls;
        case CR_CONN_HOST_ERROR:
        case CR_CONNECTION_ERROR:
            break;
        default:
            return of_the_library(code) ? FailureKind::protocol : FailureKind::server;
    }
    switch (error) {
        case ECONNREFUSED:
            return FailureKind::refused;
        case ETIMEDOUT:
            return FailureKind::timeout;
        case EHOSTUNREACH:
        case ENETUNREACH:
        case ENETDOWN:
        case EHOSTDOWN:
            return FailureKind::no_route;
        default:
            return FailureKind::lost;
    }
}

}  // namespace

class Session::Impl : public std::enable_shared_from_this<Session::Impl> {
  public:
    explicit Impl(asio::any_io_executor executor) : descriptor_(executor), timer_(executor) {}
    ~Impl() { drop(); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void connect(const Login& login, Duration timeout, OnConnect done);
    void query(std::string sql, Duration timeout, OnRows done);
    void watch(OnReadable done);
    void drop();
    [[nodiscard]] bool connected() const { return connected_; }
    [[nodiscard]] Waits waits_for() const;

  private:
    enum class Step { idle, connecting, querying, fetching };

    bool prepare();
    void prepare_tls();
    int connecting(SideStack::Call call);
    int aside(std::optional<int> status) const;
    void start_clock(Duration timeout);
    void run(int status);
    int resume(int happened);
    void wait_for(int status);
    void expire();
    std::optional<int> step_done();
    void take_row();
    void finish();
    void finish(Failure failure);
    void complete(std::optional<Failure> failure);
    Failure failure_now() const;
    std::optional<Failure> failure_overheard(unsigned code) const;
    void unwind();
    void stop_waiting();
    bool own_descriptor();

    MYSQL* mysql_ = nullptr;
    MYSQL_RES* result_ = nullptr;
    Login login_;
    std::string host_;
    std::string sql_;
    Step step_ = Step::idle;
    bool connected_ = false;
    bool suspended_ = false;
    Duration timeout_{};
    Rows rows_;
    OnConnect on_connect_;
    OnRows on_rows_;

    /// While a session with TLS is connecting.
    std::unique_ptr<SideStack> side_;
    std::optional<Overheard> heard_;
    MYSQL* connect_result_ = nullptr;
    int query_result_ = 0;
    MYSQL_ROW row_ = nullptr;

    /// A duplicate of libmariadb's socket, so that its registration is ours alone.
    asio::posix::stream_descriptor descriptor_;
    asio::steady_timer timer_;
    /// Handlers of an earlier wait carry an older number and do nothing.
    unsigned wait_ = 0;
    unsigned call_ = 0;
};

bool Session::Impl::prepare() {
    mysql_ = mysql_init(nullptr);
    if (mysql_ == nullptr) return false;
    const unsigned no = 0;
    const unsigned long packet = 1U << 20;
    const my_bool off = 0;
    const std::size_t stack = stack_bytes;
    mysql_options(mysql_, MYSQL_OPT_NONBLOCK, &stack);
    mysql_options(mysql_, MARIADB_OPT_IO_WAIT, reinterpret_cast<void*>(&SideStack::io_wait));
    mysql_options(mysql_, MYSQL_OPT_LOCAL_INFILE, &no);
    mysql_options(mysql_, MYSQL_OPT_RECONNECT, &off);
    mysql_options(mysql_, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
    mysql_options(mysql_, MARIADB_OPT_RESTRICTED_AUTH, allowed_plugins);
    mysql_options4(mysql_, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "hamrd");
    // Whole seconds, a second line behind our own timer, which counts milliseconds.
    const auto seconds = static_cast<unsigned>(
        std::chrono::duration_cast<std::chrono::seconds>(timeout_).count() + 2);
    mysql_options(mysql_, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(mysql_, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_options(mysql_, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    prepare_tls();
    return true;
}

/// Says what is not wanted, too: newer versions of the library want TLS unless told otherwise.
void Session::Impl::prepare_tls() {
    const my_bool wanted = login_.tls != Tls::off ? 1 : 0;
    const my_bool verified = login_.tls == Tls::verified ? 1 : 0;
    mysql_options(mysql_, MYSQL_OPT_SSL_ENFORCE, &wanted);
    mysql_options(mysql_, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verified);
    if (verified != 0) {
        const bool named = !login_.ca_file.empty();
        mysql_options(mysql_, MYSQL_OPT_SSL_CA, named ? login_.ca_file.c_str() : all_authorities);
    }
    heard_.emplace(wanted != 0);
    if (wanted != 0) side_ = std::make_unique<SideStack>();
}

/// A part of the connecting, which may want to wait in the middle of a TLS handshake.
int Session::Impl::connecting(SideStack::Call call) {
    const Overheard::Listening listening(*heard_, mysql_);
    return side_ ? aside(side_->run(std::move(call))) : call();
}

/// As libmariadb's own status: 0 when the call is over, else what it waits for.
int Session::Impl::aside(std::optional<int> status) const {
    if (status) return *status;
    return side_->for_reading() ? MYSQL_WAIT_READ : MYSQL_WAIT_WRITE;
}

Session::Waits Session::Impl::waits_for() const {
    switch (step_) {
        case Step::idle:
            return Waits::nothing;
        case Step::querying:
        case Step::fetching:
            return Waits::answer;
        case Step::connecting:
            break;
    }
    if (!descriptor_.is_open()) return Waits::connection;
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    // Asio lets nobody ask a const descriptor for its number.
    const int fd = mysql_ != nullptr ? static_cast<int>(mysql_get_socket(mysql_)) : -1;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0) {
        return Waits::connection;
    }
    if (side_ && side_->waiting()) return Waits::tls;
    return heard_ && heard_->greeting() ? Waits::login : Waits::greeting;
}

void Session::Impl::start_clock(Duration timeout) {
    timeout_ = timeout;
    ++call_;
    timer_.expires_after(timeout);
    timer_.async_wait([self = shared_from_this(), call = call_](boost::system::error_code error) {
        if (!error && call == self->call_ && self->step_ != Step::idle) self->expire();
    });
}

void Session::Impl::connect(const Login& login, Duration timeout, OnConnect done) {
    HAMR_ASSERT(step_ == Step::idle);
    drop();
    login_ = login;
    host_ = login.server.address.to_string();
    on_connect_ = std::move(done);
    step_ = Step::connecting;
    start_clock(timeout);
    if (!prepare()) {
        finish(Failure{FailureKind::client, CR_OUT_OF_MEMORY, "client error: out of memory"});
        return;
    }
    run(connecting([this] {
        return mysql_real_connect_start(&connect_result_, mysql_, host_.c_str(),
                                        login_.user.c_str(), login_.password.c_str(), nullptr,
                                        login_.server.port, nullptr, 0);
    }));
}

void Session::Impl::query(std::string sql, Duration timeout, OnRows done) {
    HAMR_ASSERT(connected_ && step_ == Step::idle);
    stop_waiting();
    sql_ = std::move(sql);
    rows_ = {};
    on_rows_ = std::move(done);
    step_ = Step::querying;
    start_clock(timeout);
    run(mysql_real_query_start(&query_result_, mysql_, sql_.data(),
                               static_cast<unsigned long>(sql_.size())));
}

void Session::Impl::watch(OnReadable done) {
    HAMR_ASSERT(connected_ && step_ == Step::idle);
    if (!own_descriptor()) return;
    const unsigned wait = ++wait_;
    descriptor_.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [self = shared_from_this(), wait, done = std::move(done)](boost::system::error_code error) {
            if (!error && wait == self->wait_) done();
        });
}

/// Goes on until libmariadb wants to wait or the call is over.
void Session::Impl::run(int status) {
    std::optional<int> next = status;
    while (next && *next == 0) {
        suspended_ = false;
        stop_waiting();
        next = step_done();
    }
    if (!next) return;
    suspended_ = true;
    wait_for(*next);
}

int Session::Impl::resume(int happened) {
    switch (step_) {
        case Step::connecting:
            if (side_ && side_->waiting()) {
                const Overheard::Listening listening(*heard_, mysql_);
                return aside(side_->go_on(happened != MYSQL_WAIT_TIMEOUT));
            }
            return connecting([this, happened] {
                return mysql_real_connect_cont(&connect_result_, mysql_, happened);
            });
        case Step::querying:
            return mysql_real_query_cont(&query_result_, mysql_, happened);
        case Step::fetching:
            return mysql_fetch_row_cont(&row_, result_, happened);
        case Step::idle:
            break;
    }
    return 0;
}

bool Session::Impl::own_descriptor() {
    if (descriptor_.is_open()) return true;
    const int copy = ::fcntl(mysql_get_socket(mysql_), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return false;
    boost::system::error_code error;
    descriptor_.assign(copy, error);
    if (error) ::close(copy);
    return !error;
}

void Session::Impl::wait_for(int status) {
    const unsigned wait = ++wait_;
    if (!own_descriptor()) {
        unwind();
        finish(Failure{FailureKind::client, 0, "client error: no descriptor left"});
        return;
    }
    const auto wait_one = [&](asio::posix::stream_descriptor::wait_type type, int bit) {
        if ((status & bit) == 0) return;
        descriptor_.async_wait(
            type, [self = shared_from_this(), wait, bit](boost::system::error_code error) {
                if (error || wait != self->wait_) return;
                ++self->wait_;
                self->run(self->resume(bit));
            });
    };
    wait_one(asio::posix::stream_descriptor::wait_read, MYSQL_WAIT_READ);
    wait_one(asio::posix::stream_descriptor::wait_write, MYSQL_WAIT_WRITE);
}

/// Our time is up: libmariadb is told, so that it unwinds and frees what it holds.
void Session::Impl::expire() {
    const auto ms = std::chrono::round<std::chrono::milliseconds>(timeout_).count();
    std::string text = "timed out after " + std::to_string(ms) + " ms";
    const Waits waits = waits_for();
    if (waits == Waits::greeting) text += ": it accepted and never greeted";
    if (waits == Waits::tls) text += ": it greeted and did not agree on TLS";
    if (waits == Waits::login) text += ": it greeted and did not answer the login";
    unwind();
    finish(Failure{FailureKind::timeout, 0, std::move(text)});
}

/// Ends a suspended call. An abandoned one would leak its socket and stack.
void Session::Impl::unwind() {
    if (!suspended_) return;
    stop_waiting();
    // A few rounds: a time-out while reading an answer may be followed by one while closing.
    for (int round = 0; suspended_ && round < 16; ++round) {
        suspended_ = resume(MYSQL_WAIT_TIMEOUT) != 0;
    }
    suspended_ = false;
}

/// A step has ended: the status of the next one, or nothing when the call is over.
std::optional<int> Session::Impl::step_done() {
    switch (step_) {
        case Step::connecting:
            side_.reset();
            if (connect_result_ == nullptr) break;
            connected_ = true;
            finish();
            return std::nullopt;
        case Step::querying:
            if (query_result_ != 0) break;
            result_ = mysql_use_result(mysql_);
            if (result_ == nullptr) break;
            step_ = Step::fetching;
            return mysql_fetch_row_start(&row_, result_);
        case Step::fetching:
            if (row_ == nullptr) break;
            if (rows_.rows.size() == max_rows) {
                finish(Failure{FailureKind::protocol, 0, "protocol error: too many rows"});
                return std::nullopt;
            }
            take_row();
            return mysql_fetch_row_start(&row_, result_);
        case Step::idle:
            return std::nullopt;
    }
    if (step_ != Step::connecting && mysql_errno(mysql_) == 0) {
        finish();
    } else {
        finish(failure_now());
    }
    return std::nullopt;
}

void Session::Impl::take_row() {
    const unsigned columns = mysql_num_fields(result_);
    const unsigned long* lengths = mysql_fetch_lengths(result_);
    auto& row = rows_.rows.emplace_back();
    row.reserve(columns);
    for (unsigned i = 0; i < columns; ++i) {
        if (row_[i] == nullptr) {
            row.emplace_back(std::nullopt);
        } else {
            row.emplace_back(std::string(row_[i], lengths[i]));
        }
    }
}

/// What libmariadb's own words would hide or get wrong while it connects.
std::optional<Failure> Session::Impl::failure_overheard(unsigned code) const {
    if (step_ != Step::connecting || !heard_) return std::nullopt;
    if (heard_->lacks_tls()) {
        return Failure{FailureKind::tls, CR_SSL_CONNECTION_ERROR,
                       "TLS failed: the server offers none"};
    }
    const auto& error = heard_->error();
    if (code == CR_MALFORMED_PACKET && error && of_the_library(error->code)) {
        return Failure{
            FailureKind::server, error->code,
            "server error: " + error->message + " (" + std::to_string(error->code) + ")"};
    }
    if (kind_of(code, 0) == FailureKind::lost && !heard_->greeting()) {
        return Failure{FailureKind::lost, code,
                       "connection lost: it accepted and closed without a greeting"};
    }
    return std::nullopt;
}

Failure Session::Impl::failure_now() const {
    const unsigned code = mysql_errno(mysql_);
    // The library puts the errno of a failed connect into its text, and leaves errno as it was.
    const std::string message = mysql_error(mysql_);
    int error = errno;
    const auto bracket = message.rfind('(');
    const bool of_connect = code == CR_CONN_HOST_ERROR || code == CR_CONNECTION_ERROR;
    if (of_connect && bracket != std::string::npos) {
        error = std::atoi(message.c_str() + bracket + 1);
    }
    if (!of_connect) {
        if (auto better = failure_overheard(code)) return std::move(*better);
    }
    const FailureKind kind = kind_of(code, error);
    if (kind == FailureKind::refused || kind == FailureKind::no_route) {
        return {kind, code, to_string(kind)};
    }
    return {kind, code,
            std::string(to_string(kind)) + ": " + message + " (" + std::to_string(code) + ")"};
}

void Session::Impl::finish() {
    if (result_ != nullptr) mysql_free_result(std::exchange(result_, nullptr));
    complete(std::nullopt);
}

void Session::Impl::finish(Failure failure) {
    const bool session_lives = step_ != Step::connecting && answered(failure.kind);
    if (session_lives) {
        if (result_ != nullptr) mysql_free_result(std::exchange(result_, nullptr));
    } else {
        auto on_connect = std::exchange(on_connect_, nullptr);
        auto on_rows = std::exchange(on_rows_, nullptr);
        const Step step = step_;
        drop();
        step_ = step;
        on_connect_ = std::move(on_connect);
        on_rows_ = std::move(on_rows);
    }
    complete(std::move(failure));
}

/// Posts the one callback of the call; close() before it runs takes it back.
void Session::Impl::complete(std::optional<Failure> failure) {
    timer_.cancel();
    const bool connecting = step_ == Step::connecting;
    step_ = Step::idle;
    const unsigned call = ++call_;
    asio::post(timer_.get_executor(),
               [self = shared_from_this(), connecting, call, failure = std::move(failure)] {
                   if (call != self->call_) return;
                   if (connecting) {
                       const auto done = std::exchange(self->on_connect_, nullptr);
                       if (failure) return done(tl::unexpected<Failure>(*failure));
                       return done(std::string(mysql_get_server_info(self->mysql_)));
                   }
                   const auto done = std::exchange(self->on_rows_, nullptr);
                   if (failure) return done(tl::unexpected<Failure>(*failure));
                   done(std::exchange(self->rows_, Rows{}));
               });
}

void Session::Impl::stop_waiting() {
    ++wait_;
    boost::system::error_code ignored;
    descriptor_.cancel(ignored);
}

void Session::Impl::drop() {
    // A server that is in the middle of an answer, or hangs, gets no goodbye: reading the rest of
    // a result or writing to a full socket would block.
    if (step_ != Step::idle && descriptor_.is_open()) {
        ::shutdown(descriptor_.native_handle(), SHUT_RDWR);
    }
    unwind();
    stop_waiting();
    timer_.cancel();
    ++call_;
    on_connect_ = nullptr;
    on_rows_ = nullptr;
    if (result_ != nullptr) mysql_free_result(std::exchange(result_, nullptr));
    if (mysql_ != nullptr) mysql_close(std::exchange(mysql_, nullptr));
    boost::system::error_code ignored;
    descriptor_.close(ignored);
    side_.reset();
    connected_ = false;
    step_ = Step::idle;
}

Session::Session(asio::any_io_executor executor)
    : impl_(std::make_shared<Impl>(std::move(executor))) {}

Session::~Session() {
    impl_->drop();
}

void Session::connect(const Login& login, Duration timeout, OnConnect done) {
    impl_->connect(login, timeout, std::move(done));
}

void Session::query(std::string sql, Duration timeout, OnRows done) {
    impl_->query(std::move(sql), timeout, std::move(done));
}

void Session::watch(OnReadable done) {
    impl_->watch(std::move(done));
}

void Session::close() {
    impl_->drop();
}

bool Session::connected() const {
    return impl_->connected();
}

Session::Waits Session::waits_for() const {
    return impl_->waits_for();
}

}  // namespace hamr::mysql
