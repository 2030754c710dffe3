// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/health/asking.hpp"
#include "tests/unit/router/lab_mariadb.hpp"

#include <fstream>

#include <boost/asio/read.hpp>

namespace hamr::health_io {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using Tls = health::MysqlProbe::Tls;

/// Certificates for 127.0.0.1: one that is good, one that has expired, one of a stranger's CA.
class Certificates {
  public:
    explicit Certificates(const std::string& folder) : folder_(folder) {
        std::ofstream(folder_ + "/make.sh") << R"sh(set -e
cd "$1"
from=$(date -u -d yesterday +%y%m%d%H%M%SZ)
to=$(date -u -d 'next week' +%y%m%d%H%M%SZ)
ca() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout $1.key -out $1.pem -days 2 -subj /CN=$1
}
certificate() {  # name not-before not-after alternative-names
    openssl req -newkey rsa:2048 -nodes -keyout $1.key -out $1.csr -subj /CN=$1
    : >index
    echo "unique_subject = no" >index.attr
    openssl rand -hex 8 >serial
    cat >ca.conf <<END
[ca]
default_ca = ours
[ours]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
x509_extensions = server
[any]
commonName = supplied
[server]
subjectAltName = $4
END
    openssl ca -batch -config ca.conf -cert good_ca.pem -keyfile good_ca.key -in $1.csr \
        -out $1.pem -startdate $2 -enddate $3
}
ca good_ca
ca other_ca
certificate good $from $to IP:127.0.0.1
certificate expired 200101000000Z 200201000000Z IP:127.0.0.1
certificate elsewhere $from $to DNS:elsewhere.example,IP:192.0.2.77
)sh";
        made_ = lab::Namespace::run("sh " + folder_ + "/make.sh " + folder_ + " >" + folder_ +
                                    "/make.log 2>&1") == 0;
    }
    [[nodiscard]] bool made() const { return made_; }
    [[nodiscard]] std::string log() const {
        std::ifstream file(folder_ + "/make.log");
        return {std::istreambuf_iterator<char>(file), {}};
    }
    [[nodiscard]] std::string file(const std::string& name) const {
        return folder_ + "/" + name + ".pem";
    }
    /// What a server is started with to show the certificate of that name.
    [[nodiscard]] std::vector<std::string> options(const std::string& name) const {
        return {"--ssl-cert=" + folder_ + "/" + name + ".pem",
                "--ssl-key=" + folder_ + "/" + name + ".key"};
    }

  private:
    std::string folder_;
    bool made_ = false;
};

/// The test program's own server, started anew with the options that a test wants.
class MariadbTest : public AskingTest {
  protected:
    void SetUp() override {
        HAMR_LAB_NEEDS_MARIADB();
        server_ = lab::MariaDb::shared();
        ASSERT_TRUE(server_->installed());
    }

    static void start(std::vector<std::string> options, std::vector<std::string> launcher = {}) {
        server_->end(SIGTERM);
        server_->set_options(std::move(options), std::move(launcher));
        server_->start();
    }

    health::MysqlProbe as_user(Tls tls = Tls::off, const std::string& ca_file = "") const {
        health::MysqlProbe what;
        what.target = server_->endpoint();
        what.user = "hamr";
        what.password = "right";
        what.tls = tls;
        what.ca_file = ca_file;
        return what;
    }

    health::MysqlProbe as_stranger() const {
        health::MysqlProbe what;
        what.target = server_->endpoint();
        return what;
    }

    /// Waits for a starting server.
    void wait_ready() {
        const BootTime end = BootClock::now() + std::chrono::seconds(20);
        while (!ask(as_stranger()).ok) {
            ASSERT_LT(BootClock::now(), end) << server_->log();
            io_.restart();
            io_.run_for(milliseconds(20));
        }
    }

    static const Certificates& certificates() {
        static const Certificates made(lab::MariaDb::shared()->folder());
        return made;
    }

    static inline lab::MariaDb* server_ = nullptr;
};

TEST_F(MariadbTest, a_stranger_finds_a_server_and_a_user_gets_rows) {
    start({});
    wait_ready();
    EXPECT_THAT(
        ask(as_stranger()),
        IsUp(StartsWith("a server answered (access denied is what was expected; MariaDB ")));
    EXPECT_THAT(ask(as_user()), IsUp(StartsWith("\"SELECT 1\" gave 1 (MariaDB ")));
    health::MysqlProbe what = as_user();
    what.query = "SELECT NULL, 2";
    EXPECT_THAT(ask(what), IsUp(HasSubstr("gave NULL")));
    what.query = "SELECT 'two\nlines\t'";
    EXPECT_THAT(ask(what), IsUp(HasSubstr("gave two lines (")));
    for (const char* nothing : {"SELECT 1 FROM DUAL WHERE 1 = 2", "DO 1"}) {
        what.query = nothing;
        EXPECT_THAT(ask(what), IsDown(HasSubstr("gave no row")));
    }
    what.query = "SELECT rubbish";
    EXPECT_THAT(ask(what), IsDown(HasSubstr("(1054)")));
    what.query = "SELECT SLEEP(600)";
    EXPECT_THAT(ask(what, milliseconds(100)),
                IsDown(EndsWith("did not answer \"SELECT SLEEP(600)\" within 100 ms")));
    what = as_user();
    what.password = "wrong";
    EXPECT_THAT(ask(what), IsDown(HasSubstr("access denied")));
}

TEST_F(MariadbTest, a_stopped_server_accepts_and_never_greets) {
    start({});
    wait_ready();
    server_->signal(SIGSTOP);
    for (const auto& what : {as_stranger(), as_user()}) {
        EXPECT_THAT(ask(what, milliseconds(100)),
                    IsDown(EndsWith("accepted and never greeted within 100 ms")));
    }
    server_->signal(SIGCONT);
}

TEST_F(MariadbTest, tls_is_as_strict_as_asked_for) {
    ASSERT_TRUE(certificates().made()) << certificates().log();
    start(certificates().options("good"));
    wait_ready();
    const std::string good = certificates().file("good_ca");
    health::MysqlProbe what = as_user(Tls::required);
    what.query =
        "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS "
        "WHERE VARIABLE_NAME = 'ssl_version'";
    EXPECT_THAT(ask(what), IsUp(HasSubstr("gave TLSv1")));
    EXPECT_THAT(ask(as_user(Tls::verified, good)), IsUp(HasSubstr("gave 1")));
    EXPECT_THAT(ask(as_user(Tls::verified, certificates().file("other_ca"))),
                IsDown(AllOf(HasSubstr("TLS failed"), HasSubstr("ertificate"))));
    EXPECT_THAT(ask(as_user(Tls::verified, "/nowhere.pem")), IsDown(HasSubstr("TLS failed")));
    EXPECT_TRUE(ask(as_stranger()).ok);

    start(certificates().options("expired"));
    wait_ready();
    EXPECT_THAT(ask(as_user(Tls::verified, good)),
                IsDown(AllOf(HasSubstr("TLS failed"), HasSubstr("expired"))));
    EXPECT_THAT(ask(as_user(Tls::required)), IsUp(HasSubstr("gave 1")));

    start(certificates().options("elsewhere"));
    wait_ready();
    EXPECT_THAT(ask(as_user(Tls::verified, good)), IsDown(HasSubstr("TLS failed")))
        << "a certificate for another address";
    EXPECT_THAT(ask(as_user(Tls::required)), IsUp(HasSubstr("gave 1")));
}

TEST_F(MariadbTest, a_server_without_tls_is_named) {
    start({"--skip-ssl"});
    wait_ready();
    for (const Tls tls : {Tls::required, Tls::verified}) {
        EXPECT_THAT(ask(as_user(tls)), IsDown(EndsWith("TLS failed: the server offers none")));
    }
}

TEST_F(MariadbTest, a_server_that_demands_tls_has_taken_part_all_the_same) {
    ASSERT_TRUE(certificates().made()) << certificates().log();
    auto options = certificates().options("good");
    options.push_back("--require-secure-transport=ON");
    start(options);
    wait_ready();
    EXPECT_THAT(ask(as_stranger()), IsUp(HasSubstr("a server answered")));
    EXPECT_THAT(ask(as_user(Tls::required)), IsUp(HasSubstr("gave 1")));
}

TEST_F(MariadbTest, too_many_connections_is_alive_and_not_usable) {
    start({"--max-connections=10", "--extra-max-connections=1"});
    wait_ready();
    std::vector<std::unique_ptr<boost::asio::ip::tcp::socket>> hogs;
    for (int i = 0; i < 11; ++i) {
        hogs.push_back(std::make_unique<boost::asio::ip::tcp::socket>(io_));
        hogs.back()->connect({boost::asio::ip::address_v4::loopback(), server_->endpoint().port});
        char first = 0;
        boost::asio::read(*hogs.back(), boost::asio::buffer(&first, 1));
    }
    for (const auto& what : {as_stranger(), as_user()}) {
        EXPECT_THAT(ask(what), IsDown(AllOf(HasSubstr("too many connections"), HasSubstr("1040"))));
    }
}

TEST_F(MariadbTest, a_hundred_checks_leave_nothing_behind) {
    ASSERT_TRUE(certificates().made()) << certificates().log();
    start(certificates().options("good"));
    wait_ready();
    const auto stranger = make_probe(io_.get_executor(), as_stranger());
    const auto user = make_probe(io_.get_executor(), as_user());
    const auto with_tls =
        make_probe(io_.get_executor(), as_user(Tls::verified, certificates().file("good_ca")));
    for (int i = 0; i < 33; ++i) {
        for (const auto& probe : {stranger, user, with_tls}) EXPECT_TRUE(ask(*probe).ok);
    }
    health::MysqlProbe what = as_user();
    what.query =
        "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
        "WHERE VARIABLE_NAME = 'Aborted_clients'";
    EXPECT_THAT(ask(what), IsUp(HasSubstr("gave 0 "))) << "each session said goodbye";
    // Cut off at every point of its life.
    for (int step = 0; step < 12; ++step) {
        with_tls->run(milliseconds(5000), [](const health::ProbeResult&) {});
        io_.restart();
        for (int i = 0; i < step; ++i) io_.run_one_for(milliseconds(20));
        with_tls->cancel();
    }
    what.query = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'hamr'";
    ASSERT_TRUE(run_until([&] { return ask(what).text.find("gave 1 ") != std::string::npos; }));
}

TEST_F(MariadbTest, strangers_are_never_blocked) {
    HAMR_LAB_NEEDS_ROOT();
    const lab::Namespace network;
    // Not the loopback's own address: that one is never blocked.
    ASSERT_EQ(network.sh("ip addr add 192.0.2.1/24 dev lo"), 0);
    health::MysqlProbe what = as_stranger();
    what.target.address = *IpAddress::parse("192.0.2.1");
    // A server counts only clients whose address it can resolve.
    const std::string hosts = server_->folder() + "/hosts";
    std::ofstream(hosts) << "192.0.2.1 client.example\n";
    network.in([&] {
        start({"--bind-address=*", "--skip-name-resolve=0", "--max-connect-errors=3"},
              {"unshare", "-m", "sh", "-c", "mount --bind " + hosts + " /etc/hosts && exec \"$@\"",
               "sh"});
        ASSERT_TRUE(run_until([&] { return ask(what).ok; })) << server_->log();
        for (int i = 0; i < 20; ++i) EXPECT_TRUE(ask(what).ok) << i;
        // What becomes of those that break off; the server counts them when it gets to it.
        for (int i = 0; i < 40 && ask(what).ok; ++i) {
            boost::asio::ip::tcp::socket rude(io_);
            rude.connect({boost::asio::ip::make_address("192.0.2.1"), what.target.port});
            char first = 0;
            boost::asio::read(rude, boost::asio::buffer(&first, 1));
        }
        EXPECT_THAT(ask(what), IsDown(AllOf(HasSubstr("blocked"), HasSubstr("1129"))));
        start({});
    });
}

}  // namespace
}  // namespace hamr::health_io
