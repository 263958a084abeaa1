#include "oceanbase/session.h"

#include <poll.h>
#include <sys/socket.h>

#include "oceanbase/dialect.h"

namespace hf::oceanbase {
namespace {

Packet query(std::string_view text) {
  return make_packet(0, std::string(1, static_cast<char>(Command::query)).append(text));
}

bool has_answer(Command command) {
  return command != Command::quit && command != Command::send_long_data && command != Command::close_statement;
}

constexpr std::uint32_t kLastPrepared = 0xffffffff;  // COM_STMT_EXECUTE of MariaDB's client: "the one just prepared"

}  // namespace

void Session::run() {
  if (!log_in()) return;
  while (wait_for_client()) {
    const std::optional<Packet> command = client_.read();
    if (!command || handle(*command) == Next::end) return;
  }
}

bool Session::log_in() {
  const std::optional<Packet> greeting = upstream_.read();
  if (!greeting || !client_.write(rewrite_greeting(*greeting, stub_.options_.version))) return false;
  const std::optional<Packet> login = client_.read();
  if (!login) return false;
  std::string user;
  const Packet rewritten = rewrite_login(*login, user);
  stub_.note_login(user);
  if (!stub_.options_.is_proxy && user.find('#') != std::string::npos) {
    client_.write(
        make_packet(2, std::string("\xff\x15\x04#28000", 9) + "Access denied for user '" + user + "'"));  // 1045
    return false;
  }
  return upstream_.write(rewritten) && finish_login();
}

/// The challenge is passed through unchanged, so the client's proof is good for the server behind.
bool Session::finish_login() {
  while (true) {
    const std::optional<Packet> packet = upstream_.read();
    if (!packet || !client_.write(*packet) || packet->first() == 0xff) return false;
    if (packet->first() == 0x00) return true;
    const std::optional<Packet> proof = client_.read();
    if (!proof || !upstream_.write(*proof)) return false;
  }
}

/// Between commands: passes on what the server says unasked ("connection was killed"), and its end.
bool Session::wait_for_client() {
  pollfd both[] = {{client_fd_, POLLIN, 0}, {upstream_fd_, POLLIN, 0}};
  while (::poll(both, 2, -1) < 0) {
  }
  if (both[1].revents == 0) return true;
  while (const std::optional<Packet> last = upstream_.read()) client_.write(*last);
  return false;
}

std::string Session::text_of(const Packet& command, Command what) const {
  const std::string_view payload = command.payload();
  if (what == Command::query || what == Command::prepare) return std::string(payload.substr(1));
  if (what != Command::execute) return {};
  const std::uint32_t id = get_u32(payload, 1);
  const auto found = prepared_.find(id == kLastPrepared ? last_prepared_ : id);
  return found == prepared_.end() ? std::string() : found->second;
}

Session::Next Session::handle(const Packet& command) {
  const auto what = static_cast<Command>(command.first());
  if (what == Command::quit) {
    upstream_.write(command);
    return Next::end;
  }
  if (what == Command::reset_connection) told_.clear();
  const std::string text = text_of(command, what);
  return text.empty() ? forward(command, what) : handle_statement(command, what, text);
}

Session::Next Session::handle_statement(const Packet& command, Command what, const std::string& text) {
  if (what != Command::prepare) stub_.note_received(text);
  if (const std::optional<Refusal> refusal = refuse(text, stub_.options_.has_xa)) {
    if (!text.starts_with("XA ")) stub_.note_violation("no such thing here: " + text);  // XA is probed for
    return answer_error(refusal->number, refusal->sqlstate, refusal->text);
  }
  std::string for_server;
  for (const std::string& statement : split_statements(text)) {
    if (const std::string lacks = missing(told_); !lacks.empty() && !is_allowed_before_setup(statement)) {
      stub_.note_violation("before the session was told " + lacks + ": " + statement);
      return answer_error(1105, "HY000", "this session was not told " + lacks);
    }
    if (is_set(statement)) told_.merge(variables_of(statement));
    for_server += (for_server.empty() ? "" : ";") + (is_set(statement) ? for_mariadb(statement) : statement);
  }
  if (what != Command::prepare) {
    if (const std::optional<Stub::Met> met = stub_.fault_for(text)) return spoil(command, what, *met);
  }
  return forward(what == Command::query && for_server != text ? query(for_server) : command, what);
}

Session::Next Session::answer_error(unsigned number, std::string_view sqlstate, std::string_view text) {
  return client_.write(make_error(number, sqlstate, text)) ? Next::go_on : Next::end;
}

Session::Next Session::spoil(const Packet& command, Command what, const Stub::Met& met) {
  const Fault& fault = met.fault;
  switch (fault.effect) {
    case Effect::none:
      break;
    case Effect::executed:
      run_upstream(command, what, false);
      break;
    case Effect::rolled_back:
      run_upstream(query("ROLLBACK"), Command::query, false);
      break;
    case Effect::executed_on_release:
      ::shutdown(client_fd_, SHUT_RDWR);
      if (stub_.wait_for_release(met.releases_before)) run_upstream(command, what, false);
      stub_.released_one();
      return Next::end;
  }
  switch (fault.answer) {
    case Answer::error:
      return answer_error(fault.number, fault.sqlstate, fault.text);
    case Answer::cut:
      return Next::end;
    case Answer::silence:
      client_.read();  // returns when the client has had enough
      return Next::end;
  }
  return Next::end;
}

Session::Next Session::forward(const Packet& command, Command what) {
  if (!has_answer(what)) return upstream_.write(command) ? Next::go_on : Next::end;
  const std::optional<std::uint32_t> statement = run_upstream(command, what, true);
  if (!statement) return Next::end;
  if (what == Command::prepare && *statement != 0) {
    last_prepared_ = *statement;
    prepared_[*statement] = text_of(command, what);
  }
  return Next::go_on;
}

/// The id of a statement that was prepared, or 0; nullopt: one side is gone.
std::optional<std::uint32_t> Session::run_upstream(const Packet& command, Command what, bool relay) {
  if (!upstream_.write(command)) return std::nullopt;
  AnswerReader answer(what);
  while (true) {
    const std::optional<Packet> packet = upstream_.read();
    if (!packet) return std::nullopt;
    if (relay && !client_.write(*packet)) return std::nullopt;
    if (answer.complete(*packet)) return answer.failed() ? 0 : answer.statement_id();
  }
}

}  // namespace hf::oceanbase
