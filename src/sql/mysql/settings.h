#pragma once

/// What a mysql:// URL says. Pure, but for passwords that are read from where the URL points.
///
///   mysql://user:password@host:3306/database?writers=2&isolation=repeatable-read
///   mysql://root@localhost/shop?socket=/run/mysqld/mysqld.sock&create=1
///   mysql://app%40tenant%23cluster:env:DB_PASSWORD@proxy:2883/shop   or   …?tenant=tenant&cluster=cluster
///
/// Every key is named at its field below; beside them `user=`, `tenant=`, `cluster=`, `route=` (login.h). `%xx` is
/// decoded everywhere. A password `env:NAME` or `file:/path` stands elsewhere, so that the URL is no secret.

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "sql/mysql/login.h"

namespace hf::sql::mysql {

enum class Tls : std::uint8_t {
  off,
  require,  ///< encrypted; whoever answers is believed
  verify,   ///< the certificate must be signed by `tls_ca` (or the system's authorities) and name the host
};

enum class Access : std::uint8_t { write, read };

struct Settings {
  std::string user = {}, password = {}, host = {}, database = {};
  std::uint16_t port = 3306;
  std::string socket = {};  ///< a Unix socket instead of host and port

  Access access = Access::write;        ///< mode=ro
  bool create = false;                  ///< create=1: CREATE DATABASE IF NOT EXISTS
  std::size_t writers = 1;              ///< 1 … 64 connections that run batches side by side
  std::size_t readers = 2;              ///< 1 … 64
  std::size_t branches = 64;            ///< 1 … 512 XA branches open at once, a connection each
  std::optional<Flavour> flavour = {};  ///< auto: by the greeting
  Tls tls = Tls::off;                   ///< off | require | verify
  std::string tls_ca = {};              ///< file

  std::chrono::milliseconds connect_timeout{3'000};   ///< connect_timeout_ms, 1 s … 1 min, whole seconds
  std::chrono::milliseconds answer_timeout{30'000};   ///< answer_timeout_ms: a silent server counts as lost. 1 s … 2 h
  std::chrono::milliseconds resolve_timeout{10'000};  ///< resolve_timeout_ms: how long a lost COMMIT is looked for
  SessionOptions session = {};                        ///< isolation and the server's own limits (login.h)

  /// "mysql://user@host:3306/database": for logs.
  std::string display() const;
};

/// Error `invalid`, naming the part; `not_found` for a password's file or variable that is not there. The text never
/// has the password.
Result<Settings> parse_url(std::string_view url);

/// "no%40body" → "no@body". `invalid` for a broken escape.
Result<std::string> percent_decode(std::string_view text);

}  // namespace hf::sql::mysql
