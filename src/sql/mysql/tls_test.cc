#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "sql/mysql/connection.h"
#include "sql/mysql/local_server.h"
#include "sql/mysql/slow_machine.h"

namespace hf::sql::mysql {
namespace {

/// A server that has a certificate for 127.0.0.1, signed by itself, and one that nobody has.
class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    char name[] = "/tmp/hf_tls_XXXXXX";
    HF_ASSERT(::mkdtemp(name) != nullptr);
    dir_ = name;
    make_certificate("server");
    make_certificate("stranger");
    LocalServerOptions options;
    options.folder = dir_ + "/db";
    options.tcp = true;
    options.more = {"--ssl-cert=" + dir_ + "/server.pem", "--ssl-key=" + dir_ + "/server.key",
                    "--ssl-ca=" + dir_ + "/server.pem"};
    auto server = LocalServer::start(std::move(options));
    HF_ASSERT(server.has_value());
    server_ = std::move(*server);
  }
  static void TearDownTestSuite() {
    server_.reset();
    std::filesystem::remove_all(dir_);
  }
  static void make_certificate(const std::string& name) {
    const std::string command = fmt::format(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 -addext "
        "subjectAltName=IP:127.0.0.1 -keyout {0}/{1}.key -out {0}/{1}.pem 2>/dev/null",
        dir_, name);
    HF_ASSERT(std::system(command.c_str()) == 0);
  }
  static Result<std::string> cipher(const std::string& options) {
    HF_TRY(const Settings settings,
           parse_url(fmt::format("mysql://root@127.0.0.1:{}/mysql?{}", server_->port(), patient(options))));
    HF_TRY(const auto connection, Connection::open(settings, Purpose::read));
    HF_TRY(const Rows rows, connection->control_query("SHOW STATUS LIKE 'Ssl_cipher'"));
    return rows.at(0).text(1);
  }

  static inline std::string dir_;
  static inline std::unique_ptr<LocalServer> server_;
};

TEST_F(TlsTest, EachWayToConnect) {
  EXPECT_EQ(*cipher("tls=off"), "");
  const Result<std::string> encrypted = cipher("tls=require");
  ASSERT_TRUE(encrypted) << encrypted.error().to_string();
  EXPECT_NE(*encrypted, "");
  const Result<std::string> verified = cipher("tls=verify&tls_ca=" + dir_ + "/server.pem");
  ASSERT_TRUE(verified) << verified.error().to_string();
  EXPECT_NE(*verified, "");
  const Result<std::string> stranger = cipher("tls=verify&tls_ca=" + dir_ + "/stranger.pem");
  ASSERT_FALSE(stranger) << "signed by somebody else";
  EXPECT_EQ(stranger.error().code, Code::unavailable) << stranger.error().to_string();
}

/// Writing to it must not end the process (SIGPIPE).
TEST_F(TlsTest, AServerThatIsGone) {
  const Settings settings =
      *parse_url(fmt::format("mysql://root@127.0.0.1:{}/mysql?{}", server_->port(), patient("tls=require")));
  std::vector<std::unique_ptr<Connection>> connections;
  for (int i = 0; i < 4; ++i) {
    auto connection = Connection::open(settings, Purpose::write);
    ASSERT_TRUE(connection) << connection.error().to_string();
    ASSERT_TRUE((*connection)->query("SELECT 1"));  // a prepared statement, to be closed later
    connections.push_back(std::move(*connection));
  }
  server_->kill_now();
  connections.pop_back();
  for (const auto& connection : connections) {
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(connection->control("SELECT 1"));
    EXPECT_FALSE(connection->usable());
  }
  connections.clear();
  ASSERT_TRUE(server_->start_again());
}

}  // namespace
}  // namespace hf::sql::mysql
