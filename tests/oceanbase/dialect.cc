#include "oceanbase/dialect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <vector>

namespace hf::oceanbase {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::regex pattern(const char* text) { return std::regex(text, std::regex::icase | std::regex::optimize); }

bool matches(std::string_view text, const std::regex& regex) {
  return std::regex_search(text.begin(), text.end(), regex);
}

struct Absent {
  std::regex regex;
  Refusal refusal;
};
const std::vector<Absent>& absent() {
  static const std::vector<Absent> all = {
      {pattern(R"(\b(GET|RELEASE)_LOCK\s*\()"), {1235, "42000", "Not supported feature or function: GET_LOCK"}},
      {pattern(R"(\bSKIP\s+LOCKED\b)"), {1064, "42000", "You have an error in your SQL syntax near 'SKIP LOCKED'"}},
      {pattern(R"(\bFOR\s+SHARE\b)"), {1064, "42000", "You have an error in your SQL syntax near 'SHARE'"}},
      {pattern(R"(\bRETURNING\b)"), {1064, "42000", "You have an error in your SQL syntax near 'RETURNING'"}},
      {pattern(R"(\b(USE|FORCE)\s+INDEX\b)"), {1064, "42000", "You have an error in your SQL syntax near 'INDEX'"}},
      {pattern(R"(\bMATCH\s*\(.*\)\s*AGAINST\b)"), {1235, "42000", "Not supported feature or function: MATCH"}},
      {pattern(R"(\bCOLLATE\s*=?\s*(?!utf8mb4_(general_ci|bin|unicode_ci)\b|binary\b)\w+)"),
       {1273, "HY000", "Unknown collation"}},
  };
  return all;
}

const std::regex& xa() {
  static const std::regex regex = pattern(R"(^\s*XA\s)");
  return regex;
}

/// Cut at `separator` outside quotes.
std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (const char c : text) {
    if (c == '\'') quoted = !quoted;
    if (c == separator && !quoted) {
      out.emplace_back();
    } else {
      out.back().push_back(c);
    }
  }
  return out;
}

/// Of a SET statement.
std::vector<std::string> assignments(std::string_view statement) {
  constexpr std::size_t kSet = 3;
  return split(statement.substr(statement.find_first_not_of(" \t\n") + kSet), ',');
}

std::string variable_of(const std::string& assignment) {
  static const std::regex scope = pattern(R"(^\s*(@@)?((session|local)[\s.]+)?(@@)?)");
  const std::string bare = lower(std::regex_replace(assignment, scope, ""));
  if (bare.starts_with("transaction isolation level")) return "isolation";
  const std::size_t end = bare.find_first_of("= \t:");
  const std::string name = bare.substr(0, end);
  return name == "transaction_isolation" || name == "tx_isolation" ? "isolation" : name;
}

/// OceanBase's limits are microseconds, MariaDB's seconds. Empty: it has nothing like that.
std::string translated(const std::string& name, const std::string& assignment) {
  const long long microseconds = std::strtoll(assignment.c_str() + assignment.find('=') + 1, nullptr, 10);
  const long long seconds = (microseconds + 999'999) / 1'000'000;
  if (name == "ob_trx_lock_timeout") return fmt::format(" innodb_lock_wait_timeout = {}", seconds);
  if (name == "ob_trx_idle_timeout") return fmt::format(" idle_transaction_timeout = {}", seconds);
  if (name == "ob_query_timeout") return fmt::format(" max_statement_time = {}", seconds);
  return {};
}

constexpr const char* kRequired[] = {"names",
                                     "isolation",
                                     "autocommit",
                                     "time_zone",
                                     "sql_mode",
                                     "ob_query_timeout",
                                     "ob_trx_timeout",
                                     "ob_trx_idle_timeout",
                                     "ob_trx_lock_timeout",
                                     "ob_read_consistency"};

}  // namespace

std::optional<Refusal> refuse(std::string_view statement, bool has_xa) {
  if (!has_xa && matches(statement, xa())) {
    return Refusal{1064, "42000", "You have an error in your SQL syntax; check the manual near 'XA'"};
  }
  const auto found = std::ranges::find_if(absent(), [&](const Absent& a) { return matches(statement, a.regex); });
  if (found == absent().end()) return std::nullopt;
  return found->refusal;
}

std::vector<std::string> split_statements(std::string_view text) {
  std::vector<std::string> out = split(text, ';');
  std::erase_if(out, [](const std::string& s) { return s.find_first_not_of(" \t\n") == std::string::npos; });
  return out;
}

bool is_set(std::string_view statement) {
  static const std::regex regex = pattern(R"(^\s*SET\s)");
  return matches(statement, regex);
}

std::set<std::string> variables_of(std::string_view statement) {
  std::set<std::string> out;
  for (const std::string& assignment : assignments(statement)) {
    out.insert(variable_of(assignment));
  }
  return out;
}

std::string for_mariadb(std::string_view statement) {
  std::string out;
  for (const std::string& assignment : assignments(statement)) {
    const std::string name = variable_of(assignment);
    const std::string theirs = name.starts_with("ob_") ? translated(name, assignment) : assignment;
    if (!theirs.empty()) out += (out.empty() ? "SET" : ",") + theirs;
  }
  return out.empty() ? "DO 0" : out;
}

std::string missing(const std::set<std::string>& told) {
  std::string out;
  for (const char* name : kRequired) {
    if (!told.contains(name)) out += (out.empty() ? "" : ", ") + std::string(name);
  }
  return out;
}

bool is_allowed_before_setup(std::string_view statement) {
  static const std::regex regex = pattern(R"(^\s*(SELECT\s+@@|SELECT\s+VERSION|SHOW\s|CREATE\s+DATABASE|USE\s))");
  return is_set(statement) || matches(statement, regex);
}

}  // namespace hf::oceanbase
