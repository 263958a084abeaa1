#include "sql/mysql/local_server.h"

#include <fcntl.h>
#include <mysql.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/log.h"

namespace hf::sql::mysql {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kReadyWithin = 60s;     // a recovery after kill -9 replays the redo log: seconds on a slow disk
constexpr auto kShutDownWithin = 60s;  // then the log does it: kill -9 loses nothing
constexpr std::size_t kSocketPathMax = sizeof(sockaddr_un::sun_path) - 1;

std::string find_program(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    for (const char* folder : {"/usr/sbin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/"}) {
      if (::access((std::string(folder) + name).c_str(), X_OK) == 0) return std::string(folder) + name;
    }
  }
  return {};
}

Error errno_error(Code code, const std::string& what) {
  return Error{code, fmt::format("{}: {}", what, std::strerror(errno))};
}

/// In the child, between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(const std::vector<char*>& arguments, int log, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  ::setsid();                               // a Ctrl-C at the terminal is ours to handle, not the server's
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // our listeners' ports must be free as soon as we are gone
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

pid_t spawn(const std::vector<std::string>& command, const std::string& log_path) {
  std::vector<char*> arguments;
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return -1;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) become(arguments, log, parent);
  ::close(log);
  return child;
}

int wait_for(pid_t child) {
  int status = -1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// Another process may take the port between this and the server's own bind: then its start fails and says so.
Result<std::uint16_t> free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = fd >= 0 && ::bind(fd, generic, size) == 0 && ::getsockname(fd, generic, &size) == 0;
  if (fd >= 0) ::close(fd);
  if (!bound) return errno_error(Code::unavailable, "no free port on 127.0.0.1");
  return ntohs(address.sin_port);
}

}  // namespace

LocalServer::LocalServer(LocalServerOptions options) : options_(std::move(options)) {}

Result<std::unique_ptr<LocalServer>> LocalServer::start(LocalServerOptions options) {
  std::unique_ptr<LocalServer> server(new LocalServer(std::move(options)));
  HF_TRY(server->make_folder());
  HF_TRY(server->install());
  if (server->options_.tcp) {  // as late as can be: until the server binds it, anybody may
    HF_TRY(server->port_, free_port());
  }
  HF_TRY(server->launch());
  return server;
}

LocalServer::~LocalServer() {
  kill_now();
  std::error_code ignored;
  if (!socket_folder_.empty()) fs::remove_all(socket_folder_, ignored);
}

std::string LocalServer::url(const std::string& database, const std::string& more_options) const {
  return fmt::format("mysql://root@localhost/{}?socket={}&create=1{}{}", database, socket_,
                     more_options.empty() ? "" : "&", more_options);
}

Result<void> LocalServer::make_folder() {
  std::error_code failed;
  const fs::path folder = fs::absolute(options_.folder, failed);
  fs::create_directories(folder / "tmp", failed);
  if (failed || ::chmod(folder.c_str(), 0700) != 0) {
    return Error{Code::denied, fmt::format("{}: cannot be made, or is not ours", folder.string())};
  }
  socket_ = (folder / "mariadb.sock").string();
  if (socket_.size() <= kSocketPathMax) return ok();
  std::string name = "/tmp/hf-mariadb-XXXXXX";  // made with mode 0700, which protects the socket
  if (::mkdtemp(name.data()) == nullptr) return errno_error(Code::denied, name);
  socket_folder_ = name;
  socket_ = name + "/mariadb.sock";
  return ok();
}

/// One of its own: a server that starts removes all temporary tables of its folder for such, also those of the others.
std::string LocalServer::temporary_folder() const { return fs::absolute(options_.folder).string() + "/tmp"; }

/// Into a folder of another name first: a data folder that exists is complete.
Result<void> LocalServer::install() {
  const std::string data = options_.folder + "/data", half = options_.folder + "/data.new";
  if (fs::exists(data)) return ok();
  const std::string program = find_program({"mariadb-install-db", "mysql_install_db"});
  if (program.empty()) return Error{Code::invalid, "no mariadb-install-db here: install mariadb-server-core"};
  std::error_code ignored;
  fs::remove_all(half, ignored);
  // Without syncs (3.4 s become 0.4), then everything at once.
  std::vector<std::string> arguments = {program,
                                        "--no-defaults",
                                        "--datadir=" + half,
                                        "--tmpdir=" + temporary_folder(),
                                        "--auth-root-authentication-method=normal",
                                        "--skip-test-db",
                                        "--skip-name-resolve",
                                        "--innodb-log-file-size=64M",
                                        "--debug-no-sync",
                                        "--innodb-flush-method=nosync"};
  if (::geteuid() == 0) arguments.push_back("--user=root");
  const pid_t child = spawn(arguments, options_.folder + "/log");
  if (child < 0) return errno_error(Code::denied, options_.folder);
  if (wait_for(child) != 0 || !fs::exists(half + "/mysql")) {
    return Error{Code::unavailable, "mariadb-install-db failed: " + end_of_log()};
  }
  const int folder = ::open(options_.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced =
      folder >= 0 && ::syncfs(folder) == 0 && ::rename(half.c_str(), data.c_str()) == 0 && ::fsync(folder) == 0;
  if (folder >= 0) ::close(folder);
  if (!synced) return errno_error(Code::unavailable, data);
  return ok();
}

std::vector<std::string> LocalServer::command() const {
  const std::string folder = fs::absolute(options_.folder).string();
  std::vector<std::string> out = {
      find_program({"mariadbd", "mysqld"}),
      "--no-defaults",
      "--datadir=" + folder + "/data",
      "--tmpdir=" + temporary_folder(),
      "--socket=" + socket_,
      "--pid-file=" + folder + "/pid",
      "--character-set-server=utf8mb4",
      "--collation-server=utf8mb4_nopad_bin",
      "--skip-name-resolve",
      "--innodb-log-file-size=64M",
      "--innodb-buffer-pool-size=64M",
      fmt::format("--innodb-flush-log-at-trx-commit={}", options_.flush_log_at_commit),
  };
  if (::geteuid() == 0) out.push_back("--user=root");
  if (options_.binary_log) {
    out.insert(out.end(), {"--log-bin=binlog", "--sync-binlog=1", "--server-id=1", "--binlog-format=ROW",
                           "--expire-logs-days=2", "--max-binlog-size=64M"});
  }
  if (options_.tcp) {
    out.insert(out.end(), {"--bind-address=127.0.0.1", fmt::format("--port={}", port_)});
  } else {
    out.push_back("--skip-networking");
  }
  out.insert(out.end(), options_.more.begin(), options_.more.end());
  return out;
}

Result<void> LocalServer::launch() {
  std::vector<std::string> arguments = command();
  if (arguments.front().empty()) return Error{Code::invalid, "no mariadbd here: install mariadb-server-core"};
  {
    std::unique_lock lock(mutex_);
    HF_ASSERT(pid_ < 0);
    if (keeper_.joinable()) keeper_.join();
    forked_ = false;
    keeper_ = std::thread([this, started = std::move(arguments)] { keep(started); });
    changed_.wait(lock, [this] { return forked_; });
  }
  return wait_until_ready();
}

void LocalServer::keep(const std::vector<std::string>& command) {
  pid_t child = -1;
  {
    const std::lock_guard lock(mutex_);
    child = pid_ = spawn(command, options_.folder + "/log");
    forked_ = true;
  }
  changed_.notify_all();
  if (child < 0) return;
  siginfo_t ended{};
  while (::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
  {
    const std::lock_guard lock(mutex_);  // nobody signals an id that is no longer ours
    wait_for(child);
    pid_ = -1;
  }
  changed_.notify_all();
}

Result<void> LocalServer::wait_until_ready() {
  const auto deadline = std::chrono::steady_clock::now() + kReadyWithin;
  std::unique_lock lock(mutex_);
  while (pid_ > 0 && std::chrono::steady_clock::now() < deadline) {
    lock.unlock();
    const bool ready = accepts();
    lock.lock();
    if (ready && pid_ > 0) {
      log::info("sql.local_server.started", {{"folder", options_.folder}, {"pid", pid_}, {"port", port_}});
      return ok();
    }
    changed_.wait_for(lock, 5ms);
  }
  const bool ended = pid_ < 0;
  lock.unlock();
  kill_now();
  return Error{Code::unavailable, fmt::format("mariadbd in {} {}: {}", options_.folder,
                                              ended ? "ended at once" : "does not accept connections", end_of_log())};
}

bool LocalServer::accepts() const {
  MYSQL* handle = ::mysql_init(nullptr);
  const unsigned seconds = 5;
  ::mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
  ::mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &seconds);
  const bool in = ::mysql_real_connect(handle, "localhost", "root", nullptr, nullptr, 0, socket_.c_str(), 0) != nullptr;
  ::mysql_close(handle);
  return in;
}

std::string LocalServer::end_of_log() const {
  std::ifstream file(options_.folder + "/log", std::ios::binary | std::ios::ate);
  if (!file) return "(no log)";
  constexpr std::streamoff kShown = 1500;
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - kShown));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

pid_t LocalServer::pid() const {
  const std::lock_guard lock(mutex_);
  return pid_;
}

void LocalServer::wait_until_gone() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return pid_ < 0; });
}

void LocalServer::kill_now() { stop(SIGKILL); }
void LocalServer::shut_down() { stop(SIGTERM); }

void LocalServer::stop(int signal) {
  std::unique_lock lock(mutex_);
  const auto gone = [this] { return pid_ < 0; };
  if (pid_ > 0) ::kill(pid_, signal);
  if (!changed_.wait_for(lock, kShutDownWithin, gone)) {
    ::kill(pid_, SIGKILL);
    changed_.wait(lock, gone);
  }
  lock.unlock();
  if (keeper_.joinable()) keeper_.join();
}

Result<void> LocalServer::start_again() { return launch(); }

}  // namespace hf::sql::mysql
