#pragma once

/// The MySQL protocol, as far as somebody who stands between client and server must understand it.
/// Source: the protocol pages of MariaDB and MySQL; older clients' form: no SSL, no compression, EOF packets.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hf::oceanbase {

/// One packet with its header(s): 3 bytes size, 1 byte sequence number, payload; 0xffffff bytes mean that more follow.
struct Packet {
  std::string wire;
  std::string_view payload() const { return std::string_view(wire).substr(4); }
  std::uint8_t first() const { return wire.size() > 4 ? static_cast<std::uint8_t>(wire[4]) : 0; }
};
Packet make_packet(std::uint8_t sequence, std::string_view payload);
Packet make_error(unsigned number, std::string_view sqlstate, std::string_view text);  ///< the answer to a command
Packet make_ok();

/// One end of a TCP or Unix socket, blocking. The descriptor is somebody else's.
class Stream {
 public:
  explicit Stream(int fd) : fd_(fd) {}
  std::optional<Packet> read();  ///< nullopt: closed
  bool write(const Packet& packet);

 private:
  bool read_exactly(char* to, std::size_t size);
  int fd_;
};

/// Commands by their first byte.
enum class Command : std::uint8_t {
  quit = 0x01,
  init_db = 0x02,
  query = 0x03,
  statistics = 0x09,
  change_user = 0x11,
  prepare = 0x16,
  execute = 0x17,
  send_long_data = 0x18,
  close_statement = 0x19,
  reset_statement = 0x1a,
  fetch = 0x1c,
  reset_connection = 0x1f,
};

/// The greeting with another version text, and without what this stub does not follow: TLS, compression, responses
/// without EOF packets, MariaDB's extensions.
Packet rewrite_greeting(const Packet& greeting, std::string_view version);
/// The same for what the client chose; `user` receives the login name.
Packet rewrite_login(const Packet& login, std::string& user);

/// Hears a server's answer packet by packet, and knows when it is complete.
class AnswerReader {
 public:
  explicit AnswerReader(Command command);
  /// True when `packet` was the last one.
  bool complete(const Packet& packet);
  bool failed() const { return failed_; }
  /// Of COM_STMT_PREPARE: what the server calls it.
  std::uint32_t statement_id() const { return statement_id_; }

 private:
  bool first_of_prepare(std::string_view payload);
  bool first_of_result(std::string_view payload);
  enum class Part : std::uint8_t { first, definitions, rows };
  Command command_;
  Part part_;
  bool failed_ = false;
  int eofs_left_ = 0;  ///< of COM_STMT_PREPARE
  std::uint32_t statement_id_ = 0;
};

std::uint32_t get_u32(std::string_view bytes, std::size_t at);

}  // namespace hf::oceanbase
