#include "sql/mysql/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <fstream>

namespace hf::sql::mysql {
namespace {

constexpr std::string_view kScheme = "mysql://";

Error bad(std::string_view what) { return Error{Code::invalid, "the mysql:// URL: " + std::string(what)}; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::size_t> parse_number(std::string_view key, std::string_view text, std::size_t min, std::size_t max) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max) {
    return bad(fmt::format("{}={} is not a number from {} to {}", key, text, min, max));
  }
  return value;
}

Result<std::chrono::milliseconds> parse_ms(std::string_view key, std::string_view text, std::size_t min,
                                           std::size_t max) {
  HF_TRY(const std::size_t ms, parse_number(key, text, min, max));
  return std::chrono::milliseconds(ms);
}

template <class T>
Result<T> parse_choice(std::string_view key, std::string_view text,
                       std::initializer_list<std::pair<std::string_view, T>> choices) {
  std::string all;
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
    all += (all.empty() ? "" : ", ") + std::string(name);
  }
  return bad(fmt::format("{}={}: it is one of {}", key, text, all));
}

Result<std::string> read_password(const std::string& text) {
  if (text.starts_with("env:")) {
    const char* value = std::getenv(text.c_str() + 4);
    if (value == nullptr) return Error{Code::not_found, "the password's variable " + text.substr(4) + " is not set"};
    return std::string(value);
  }
  if (!text.starts_with("file:")) return text;
  std::ifstream file(text.substr(5));
  std::string line;
  if (!file || !std::getline(file, line)) {
    return Error{Code::not_found, "the password's file " + text.substr(5) + " cannot be read, or is empty"};
  }
  return line;
}

Result<void> apply_user(Settings& out, std::string_view part) {
  const std::size_t colon = part.find(':');
  HF_TRY(out.user, percent_decode(part.substr(0, colon)));
  if (out.user.empty()) return bad("no user");
  if (colon == std::string_view::npos) return ok();
  HF_TRY(const std::string password, percent_decode(part.substr(colon + 1)));
  HF_TRY(out.password, read_password(password));
  return ok();
}

Result<void> apply_host(Settings& out, std::string_view part) {
  std::size_t name_end = part.find(':');
  if (part.starts_with('[')) {  // an IPv6 address
    name_end = part.find(']');
    if (name_end == std::string_view::npos) return bad("'[' without ']'");
    out.host = part.substr(1, name_end - 1);
    ++name_end;
    if (name_end < part.size() && part[name_end] != ':') return bad("after ']' comes :port");
  } else {
    out.host = part.substr(0, name_end);
  }
  if (out.host.empty()) return bad("no host");
  if (name_end >= part.size()) return ok();
  HF_TRY(const std::size_t port, parse_number("port", part.substr(name_end + 1), 1, 65535));
  out.port = static_cast<std::uint16_t>(port);
  return ok();
}

/// It stands in statements, between backquotes.
Result<void> apply_database(Settings& out, std::string_view part) {
  HF_TRY(out.database, percent_decode(part));
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '$'; };
  if (out.database.empty() || out.database.size() > 64 || !std::ranges::all_of(out.database, allowed)) {
    return bad("the database's name has 1 to 64 of letters, digits, '_', '-', '$'");
  }
  return ok();
}

/// Into its place, or its error.
template <class T>
Result<void> put(T& into, Result<T> parsed) {
  if (!parsed) return std::move(parsed).error();
  into = std::move(*parsed);
  return ok();
}

/// Parts of the login that several keys give.
struct Login {
  std::string tenant = {}, cluster = {}, route = {};
};

Result<void> apply_option(Settings& out, Login& login, std::string_view key, const std::string& value) {
  const auto count = [&](std::size_t max) { return parse_number(key, value, 1, max); };
  if (key == "socket") return put<std::string>(out.socket, value);
  if (key == "user") return put<std::string>(out.user, value);
  if (key == "tenant") return put<std::string>(login.tenant, value);
  if (key == "cluster") return put<std::string>(login.cluster, value);
  if (key == "route") return put<std::string>(login.route, value);
  if (key == "tls_ca") return put<std::string>(out.tls_ca, value);
  if (key == "writers") return put(out.writers, count(64));
  if (key == "readers") return put(out.readers, count(64));
  if (key == "branches") return put(out.branches, count(512));
  if (key == "create") return put(out.create, parse_choice<bool>(key, value, {{"0", false}, {"1", true}}));
  if (key == "mode") {
    return put(out.access, parse_choice<Access>(key, value, {{"ro", Access::read}, {"rw", Access::write}}));
  }
  if (key == "tls") {
    return put(out.tls,
               parse_choice<Tls>(key, value, {{"off", Tls::off}, {"require", Tls::require}, {"verify", Tls::verify}}));
  }
  if (key == "flavour") {
    return put(out.flavour, parse_choice<std::optional<Flavour>>(key, value,
                                                                 {{"auto", std::nullopt},
                                                                  {"mysql", Flavour::mysql},
                                                                  {"mariadb", Flavour::mariadb},
                                                                  {"oceanbase", Flavour::oceanbase}}));
  }
  if (key == "connect_timeout_ms") return put(out.connect_timeout, parse_ms(key, value, 1'000, 60'000));
  if (key == "answer_timeout_ms") return put(out.answer_timeout, parse_ms(key, value, 1'000, 7'200'000));
  if (key == "resolve_timeout_ms") return put(out.resolve_timeout, parse_ms(key, value, 100, 600'000));
  HF_TRY(const bool known, out.session.set(key, value));
  if (!known) return bad(fmt::format("there is no option \"{}\"", key));
  return ok();
}

Result<void> apply_options(Settings& out, std::string_view options) {
  Login login;
  while (!options.empty()) {
    const std::string_view item = options.substr(0, options.find('&'));
    options.remove_prefix(std::min(options.size(), item.size() + 1));
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) return bad(fmt::format("\"{}\" is not key=value", item));
    HF_TRY(const std::string value, percent_decode(item.substr(equals + 1)));
    HF_TRY(apply_option(out, login, item.substr(0, equals), value));
  }
  HF_TRY(const LoginName name, parse_login_name(out.user, login.tenant, login.cluster));
  HF_TRY(const Route route, parse_route(login.route, out.port));
  HF_TRY(out.user, wire_name(name, route));
  return ok();
}

}  // namespace

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return bad("'%' is followed by two hexadecimal digits; '%' itself is %25");
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

Result<Settings> parse_url(std::string_view url) {
  if (!url.starts_with(kScheme)) return bad("it begins with mysql://");
  url.remove_prefix(kScheme.size());
  const std::string_view main = url.substr(0, url.find('?'));
  const std::string_view options = main.size() < url.size() ? url.substr(main.size() + 1) : std::string_view();
  Settings out;
  const std::size_t at = main.rfind('@');  // a password may have one too
  if (at == std::string_view::npos) return bad("it is mysql://user@host/database");
  const std::string_view place = main.substr(at + 1);
  const std::size_t slash = place.find('/');
  if (slash == std::string_view::npos) return bad("no /database after the host");
  HF_TRY(apply_user(out, main.substr(0, at)));
  HF_TRY(apply_host(out, place.substr(0, slash)));
  HF_TRY(apply_database(out, place.substr(slash + 1)));
  HF_TRY(apply_options(out, options));
  if (out.session.statement_timeout >= out.answer_timeout) {
    return bad("statement_timeout_ms must be below answer_timeout_ms: the server gives up first");
  }
  return out;
}

std::string Settings::display() const {
  const std::string place = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (!socket.empty()) return fmt::format("mysql://{}@{}/{}?socket={}", user, place, database, socket);
  return fmt::format("mysql://{}@{}:{}/{}", user, place, port, database);
}

}  // namespace hf::sql::mysql
