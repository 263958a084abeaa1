#include "oceanbase/dialect.h"

#include <algorithm>
#include <regex>
#include <vector>

namespace hf::oceanbase {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

bool matches(std::string_view text, const char* pattern) {
  const std::regex regex(pattern, std::regex::icase);
  return std::regex_search(text.begin(), text.end(), regex);
}

struct Absent {
  const char* pattern;
  Refusal refusal;
};
const std::vector<Absent>& absent() {
  static const std::vector<Absent> all = {
      {R"(\b(GET|RELEASE)_LOCK\s*\()", {1235, "42000", "Not supported feature or function: GET_LOCK"}},
      {R"(\bSKIP\s+LOCKED\b)", {1064, "42000", "You have an error in your SQL syntax near 'SKIP LOCKED'"}},
      {R"(\bFOR\s+SHARE\b)", {1064, "42000", "You have an error in your SQL syntax near 'SHARE'"}},
      {R"(\bRETURNING\b)", {1064, "42000", "You have an error in your SQL syntax near 'RETURNING'"}},
      {R"(\b(USE|FORCE)\s+INDEX\b)", {1064, "42000", "You have an error in your SQL syntax near 'INDEX'"}},
      {R"(\bMATCH\s*\(.*\)\s*AGAINST\b)", {1235, "42000", "Not supported feature or function: MATCH"}},
      {R"(\bCOLLATE\s*=?\s*(?!utf8mb4_(general_ci|bin|unicode_ci)\b|binary\b)\w+)",
       {1273, "HY000", "Unknown collation"}},
  };
  return all;
}

constexpr const char* kXa = R"(^\s*XA\s)";

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
  const std::regex scope(R"(^\s*(@@)?((session|local)[\s.]+)?(@@)?)", std::regex::icase);
  const std::string bare = lower(std::regex_replace(assignment, scope, ""));
  if (bare.starts_with("transaction isolation level")) return "isolation";
  const std::size_t end = bare.find_first_of("= \t:");
  const std::string name = bare.substr(0, end);
  return name == "transaction_isolation" || name == "tx_isolation" ? "isolation" : name;
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
  if (!has_xa && matches(statement, kXa)) {
    return Refusal{1064, "42000", "You have an error in your SQL syntax; check the manual near 'XA'"};
  }
  const auto found = std::ranges::find_if(absent(), [&](const Absent& a) { return matches(statement, a.pattern); });
  if (found == absent().end()) return std::nullopt;
  return found->refusal;
}

std::vector<std::string> split_statements(std::string_view text) {
  std::vector<std::string> out = split(text, ';');
  std::erase_if(out, [](const std::string& s) { return s.find_first_not_of(" \t\n") == std::string::npos; });
  return out;
}

bool is_set(std::string_view statement) { return matches(statement, R"(^\s*SET\s)"); }

std::set<std::string> variables_of(std::string_view statement) {
  std::set<std::string> out;
  for (const std::string& assignment : assignments(statement)) {
    out.insert(variable_of(assignment));
  }
  return out;
}

std::string without_own_variables(std::string_view statement) {
  std::string out;
  for (const std::string& assignment : assignments(statement)) {
    if (variable_of(assignment).starts_with("ob_")) continue;
    out += (out.empty() ? "SET" : ",") + assignment;
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
  return is_set(statement) ||
         matches(statement, R"(^\s*(SELECT\s+@@|SELECT\s+VERSION|SHOW\s|CREATE\s+DATABASE|USE\s))");
}

}  // namespace hf::oceanbase
