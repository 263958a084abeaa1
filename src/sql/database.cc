#include "sql/database.h"

#include <charconv>
#include <filesystem>

#include "sql/mysql/database.h"
#include "sql/sqlite/database.h"

namespace hf::sql {

std::int64_t Row::integer(std::size_t column) const {
  const Value& value = values_.at(column);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  const auto* text = std::get_if<std::string>(&value);
  HF_ASSERT(text != nullptr);
  std::int64_t parsed = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), parsed);
  HF_ASSERT(error == std::errc() && end == text->data() + text->size());
  return parsed;
}

double Row::real(std::size_t column) const {
  const Value& value = values_.at(column);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  const auto* number = std::get_if<double>(&value);
  HF_ASSERT(number != nullptr);
  return *number;
}

const std::string& Row::text(std::size_t column) const {
  const auto* text = std::get_if<std::string>(&values_.at(column));
  HF_ASSERT(text != nullptr);
  return *text;
}

std::string Row::text_or(std::size_t column, std::string other) const {
  return is_null(column) ? std::move(other) : text(column);
}

std::int64_t Row::integer_or(std::size_t column, std::int64_t other) const {
  return is_null(column) ? other : integer(column);
}

Result<std::vector<std::string>> Reader::columns(std::string_view) {
  return Error{Code::internal, "this database does not name its columns"};
}

Result<std::optional<Row>> Reader::query_one(std::string_view sql, Params params) {
  HF_TRY(Rows rows, query(sql, std::move(params)));
  HF_ASSERT(rows.size() <= 1);
  if (rows.empty()) return std::optional<Row>();
  return std::optional<Row>(std::move(rows.front()));
}

Result<std::unique_ptr<Database>> open(sys::World world, std::string_view url, const std::string& base_dir) {
  constexpr std::string_view kSqlite = "sqlite:", kReadOnly = "?mode=ro";
  if (url.starts_with("mysql:")) {
    HF_TRY(mysql::Settings settings, mysql::parse_url(url));
    return mysql::MysqlDatabase::open(std::move(world), std::move(settings));
  }
  if (!url.starts_with(kSqlite)) {
    return Error{Code::invalid, "a database URL is sqlite:<file> or mysql://user@host/database"};
  }
  std::string_view file = url.substr(kSqlite.size());
  sqlite::Options options;
  if (file.ends_with(kReadOnly)) {
    file.remove_suffix(kReadOnly.size());
    options.access = sqlite::Access::read;
  }
  if (file.starts_with("//")) file.remove_prefix(2);  // sqlite:///data/shop.db, sqlite://shop.db
  if (file.empty() || file.find('?') != std::string_view::npos) {
    return Error{Code::invalid,
                 "\"" + std::string(url) + "\": sqlite:<file> wants a file name; the only option is ?mode=ro"};
  }
  options.path = (std::filesystem::path(base_dir) / file).string();
  return sqlite::SqliteDatabase::open(std::move(world), std::move(options));
}

}  // namespace hf::sql
