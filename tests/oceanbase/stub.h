#pragma once

/// An OceanBase that can be told how to fail: a proxy of the MySQL protocol in front of a real MariaDB.
///
/// It greets as OceanBase does, takes its login names and session variables (and refuses work in a session that was not
/// told all of them), refuses what OceanBase's MySQL mode refuses (XA, GET_LOCK, SKIP LOCKED …), and answers chosen
/// statements with a chosen error, silence or a cut connection, before or after the statement took effect. Everything
/// else goes to MariaDB and back, byte by byte.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace hf::oceanbase {

/// What became of the statement before its answer was spoilt.
enum class Effect : std::uint8_t {
  none,                 ///< the server never heard it; the transaction is as it was
  executed,             ///< it was executed
  rolled_back,          ///< instead of it, the transaction was rolled back
  executed_on_release,  ///< the session lives on at the server, and executes it when release() is called
};
enum class Answer : std::uint8_t {
  error,
  cut,      ///< the connection ends
  silence,  ///< nothing, until the client gives up
};
struct Fault {
  std::string statement = {};  ///< regular expression, found anywhere in the statement's text, case ignored
  Effect effect = Effect::none;
  Answer answer = Answer::error;
  unsigned number = 0;  ///< of the error
  std::string sqlstate = {}, text = {};
  int skip = 0;   ///< let so many pass first
  int times = 1;  ///< then spoil so many
};

struct StubOptions {
  std::string upstream_socket = {};  ///< a MariaDB with a root that needs no password
  std::string version = "5.7.25 OceanBase 4.3.1.0";
  bool is_proxy = true;  ///< false: a server of the cluster, which refuses a login that names the cluster
  bool has_xa = false;
};

/// Threads of its own; all calls from any thread.
class Stub {
 public:
  static Result<std::unique_ptr<Stub>> start(StubOptions options);
  ~Stub();  ///< cuts everything
  Stub(const Stub&) = delete;
  Stub& operator=(const Stub&) = delete;

  /// "mysql://app%40shop%23c1:secret@127.0.0.1:port/<database>?create=1&…": with the cluster only if it is a proxy.
  /// Patient (sql/mysql/slow_machine.h).
  std::string url(const std::string& database, const std::string& more_options = "") const;
  std::uint16_t port() const { return port_; }

  void play(Fault fault);
  int played() const;  ///< so many statements were spoilt
  void release();      ///< for executed_on_release; returns when those statements were executed (or refused)
  /// Waits until a statement that matches was received (since the start). False: not within 10 s.
  bool wait_for_statement(const std::string& pattern);
  void cut_sessions();  ///< as after wait_timeout, or when the proxy is restarted

  /// Login names seen, in order of their first login.
  std::vector<std::string> logins() const;
  int sessions_opened() const;
  /// What a client of OceanBase must not do: work in a session that was not set up, statements it does not have.
  std::vector<std::string> violations() const;

 private:
  friend class Session;
  explicit Stub(StubOptions options) : options_(std::move(options)) {}
  Result<void> make_accounts();
  Result<void> listen();
  void accept_sessions();
  void serve(int client, int upstream);
  struct Met {
    Fault fault;
    int releases_before;
  };
  std::optional<Met> fault_for(const std::string& statement);
  bool wait_for_release(int releases_before);
  void released_one();
  void note_login(const std::string& user);
  void note_received(const std::string& statement);
  void note_violation(std::string what);

  struct Planned {
    Fault fault;
    std::regex statement;
    int seen = 0;
  };
  StubOptions options_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::thread acceptor_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  int played_ = 0, opened_ = 0;
  int held_ = 0;  ///< statements that wait for release(), or are being executed after it
  int releases_ = 0;
  std::vector<Planned> plan_;
  std::vector<std::string> received_;
  std::set<int> descriptors_;  ///< of all sessions, to be cut
  std::list<std::thread> sessions_;
  std::vector<std::string> logins_, violations_;
};

}  // namespace hf::oceanbase
