// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/process.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <mariadb/mysql.h>
#include <sys/socket.h>

// An application that queries without pause, with a new connection for each query or over one that
// it renews when it breaks. libmariadb's blocking calls only know time-outs of whole seconds; its
// non-blocking ones leave the waiting, and so the deadline, to us.

namespace labtool {

namespace {

struct Gap {
    std::int64_t from_ns;
    std::int64_t to_ns;
};

struct Closer {
    void operator()(MYSQL* connection) const {
        // Without a socket to say goodbye over, close cannot wait for a dead server.
        const my_socket fd = mysql_get_socket(connection);
        if (fd >= 0) static_cast<void>(::shutdown(fd, SHUT_RDWR));
        mysql_close(connection);
    }
};
using Connection = std::unique_ptr<MYSQL, Closer>;

class Client {
  public:
    Client(hamr::Endpoint to, std::string user, std::string password, std::string query,
           std::int64_t timeout_ns)
        : address_(to.address.to_string()),
          port_(to.port),
          user_(std::move(user)),
          password_(std::move(password)),
          query_(std::move(query)),
          timeout_ns_(timeout_ns) {}

    /// The first column of the first row, or nothing and error() says why.
    std::optional<std::string> ask(bool keep) {
        const std::int64_t deadline = now_ns() + timeout_ns_;
        error_.clear();
        if (!connection_ && !connect(deadline)) return std::nullopt;
        auto answer = query(deadline);
        if (!answer || !keep) connection_.reset();
        return answer;
    }

    [[nodiscard]] const std::string& error() const { return error_; }
    [[nodiscard]] std::uint64_t connects() const { return connects_; }

  private:
    /// Waits for what libmariadb waits for; 0 when the deadline has passed.
    int wait(int status, std::int64_t deadline) {
        pollfd fd{mysql_get_socket(connection_.get()), 0, 0};
        if ((status & MYSQL_WAIT_READ) != 0) fd.events |= POLLIN;
        if ((status & MYSQL_WAIT_WRITE) != 0) fd.events |= POLLOUT;
        if ((status & MYSQL_WAIT_EXCEPT) != 0) fd.events |= POLLPRI;
        while (now_ns() < deadline && !stopped()) {
            fd.revents = 0;
            poll_until({&fd, 1}, deadline);
            int ready = 0;
            if ((fd.revents & (POLLIN | POLLHUP | POLLERR)) != 0) ready |= MYSQL_WAIT_READ;
            if ((fd.revents & (POLLOUT | POLLHUP | POLLERR)) != 0) ready |= MYSQL_WAIT_WRITE;
            if ((fd.revents & POLLPRI) != 0) ready |= MYSQL_WAIT_EXCEPT;
            if ((ready & status) != 0) return ready & status;
        }
        error_ = "timeout";
        return 0;
    }

    bool connect(std::int64_t deadline) {
        connection_.reset(mysql_init(nullptr));
        MYSQL* handle = connection_.get();
        mysql_options(handle, MYSQL_OPT_NONBLOCK, nullptr);
        ++connects_;
        MYSQL* done = nullptr;
        int status = mysql_real_connect_start(&done, handle, address_.c_str(), user_.c_str(),
                                              password_.c_str(), nullptr, port_, nullptr, 0);
        while (status != 0) {
            const int ready = wait(status, deadline);
            if (ready == 0) return connection_.reset(), false;
            status = mysql_real_connect_cont(&done, handle, ready);
        }
        if (done != nullptr) return true;
        error_ = std::to_string(mysql_errno(handle)) + " " + mysql_error(handle);
        connection_.reset();
        return false;
    }

    std::optional<std::string> query(std::int64_t deadline) {
        MYSQL* handle = connection_.get();
        int failed = 0;
        int status = mysql_real_query_start(&failed, handle, query_.data(), query_.size());
        while (status != 0) {
            const int ready = wait(status, deadline);
            if (ready == 0) return std::nullopt;
            status = mysql_real_query_cont(&failed, handle, ready);
        }
        MYSQL_RES* rows = nullptr;
        if (failed == 0) {
            status = mysql_store_result_start(&rows, handle);
            while (status != 0) {
                const int ready = wait(status, deadline);
                if (ready == 0) return std::nullopt;
                status = mysql_store_result_cont(&rows, handle, ready);
            }
        }
        if (mysql_errno(handle) != 0) {
            error_ = std::to_string(mysql_errno(handle)) + " " + mysql_error(handle);
            return std::nullopt;
        }
        std::string first;
        if (rows != nullptr) {
            const MYSQL_ROW row = mysql_fetch_row(rows);
            if (row != nullptr && row[0] != nullptr) first = row[0];
            mysql_free_result(rows);
        }
        return first;
    }

    std::string address_;
    unsigned port_;
    std::string user_;
    std::string password_;
    std::string query_;
    std::int64_t timeout_ns_;
    Connection connection_;
    std::string error_;
    std::uint64_t connects_ = 0;
};

struct Record {
    std::uint64_t succeeded = 0;
    std::uint64_t failed = 0;
    std::int64_t last_ns = 0;
    std::int64_t longest_ns = 0;
    std::vector<Gap> gaps;
    std::map<std::string, std::uint64_t> answers;
    std::map<std::string, std::uint64_t> errors;

    void note(std::int64_t now, std::int64_t threshold) {
        longest_ns = std::max(longest_ns, now - last_ns);
        if (now - last_ns >= threshold && gaps.size() < 10'000) gaps.push_back({last_ns, now});
    }

    [[nodiscard]] std::string result(std::uint64_t connects, bool open_ended) const {
        std::string out = "{\"event\":\"result\",\"succeeded\":" + std::to_string(succeeded) +
                          ",\"failed\":" + std::to_string(failed) +
                          ",\"connects\":" + std::to_string(connects) +
                          ",\"outage_ms\":" + milliseconds(longest_ns) +
                          ",\"open_ended\":" + (open_ended ? "true" : "false") + ",\"gaps\":[";
        for (const Gap& gap : gaps) {
            if (out.back() == '}') out += ',';
            out += "{\"from_ns\":" + std::to_string(gap.from_ns) +
                   ",\"to_ns\":" + std::to_string(gap.to_ns) +
                   ",\"ms\":" + milliseconds(gap.to_ns - gap.from_ns) + '}';
        }
        out += "],\"answers\":" + counts(answers) + ",\"errors\":" + counts(errors) + '}';
        return out;
    }

    static std::string counts(const std::map<std::string, std::uint64_t>& map) {
        std::string out = "{";
        for (const auto& [key, count] : map) {
            if (out.size() > 1) out += ',';
            out += quoted(key) + ':' + std::to_string(count);
        }
        return out + '}';
    }
};

}  // namespace

int sql(Args args) {
    const std::string mode = args.text("--mode", "connect");
    if (mode != "connect" && mode != "persistent") usage_error("--mode: connect or persistent");
    Client client(args.endpoint("--to"), args.text("--user", "root"), args.text("--password", ""),
                  args.text("--query", "SELECT @@server_id"),
                  args.integer("--timeout-ms", 50) * 1'000'000);
    const std::int64_t interval = args.integer("--interval-us", 0) * 1000;
    const std::int64_t duration = args.integer("--duration-ms", 0) * 1'000'000;
    const std::int64_t threshold = args.integer("--threshold-us", 2000) * 1000;
    args.refuse_unknown();

    print_ready();
    const std::int64_t end =
        duration > 0 ? now_ns() + duration : std::numeric_limits<std::int64_t>::max();
    Record record;
    std::int64_t next = now_ns();
    while (!stopped() && now_ns() < end) {
        const auto answer = client.ask(mode == "persistent");
        const std::int64_t now = now_ns();
        if (answer) {
            if (record.succeeded++ == 0)
                print_line(R"({"event":"answered"})");
            else
                record.note(now, threshold);
            record.last_ns = now;
            ++record.answers[*answer];
        } else if (!stopped()) {
            ++record.failed;
            if (record.errors.size() < 50) ++record.errors[client.error()];
            // A reset comes back at once: do not spin.
            next = std::max(next, now + 1'000'000);
        }
        next = std::max(next + interval, now);
        while (!stopped() && now_ns() < next) poll_until({}, next);
    }
    const std::int64_t now = now_ns();
    const bool open_ended = record.succeeded > 0 && now - record.last_ns >= 10'000'000;
    if (open_ended) record.note(now, threshold);
    print_line(record.result(client.connects(), open_ended));
    return 0;
}

}  // namespace labtool
