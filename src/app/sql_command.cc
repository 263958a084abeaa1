#include "app/sql_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <cstdio>

#include "app/cli.h"
#include "app/data_layout.h"
#include "app/local_stores.h"
#include "app/stores.h"
#include "base/log.h"
#include "console/table.h"
#include "sql/database.h"
#include "sys/loop.h"

namespace hf::app {
namespace {

namespace json = boost::json;

struct Answer {
  std::vector<std::string> columns;
  sql::Rows rows;
};

std::vector<std::string> words_of(std::string_view statement) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : std::string(statement) + " ") {
    if (std::isspace(static_cast<unsigned char>(c)) == 0 && c != ';' && c != '(') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  return words;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string text_of(const sql::Row& row, std::size_t column) {
  if (row.is_null(column)) return "NULL";
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::nullptr_t>)
          return "NULL";
        else if constexpr (std::is_same_v<T, std::string>)
          return value;
        else
          return fmt::format("{}", value);
      },
      row.value(column));
}

json::value json_of(const sql::Row& row, std::size_t column) {
  return std::visit([](const auto& value) { return json::value(value); }, row.value(column));
}

void print_rows(const Answer& answer) {
  console::Table table(answer.columns);
  for (const sql::Row& row : answer.rows) {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < row.size(); ++i) cells.push_back(text_of(row, i));
    table.row(std::move(cells));
  }
  std::fputs(table.print().c_str(), stdout);
}

void print_json(const Answer& answer) {
  json::array rows;
  for (const sql::Row& row : answer.rows) {
    json::object out;
    for (std::size_t i = 0; i < row.size(); ++i) out[answer.columns[i]] = json_of(row, i);
    rows.push_back(std::move(out));
  }
  std::printf("%s\n", json::serialize(rows).c_str());
}

Task<Answer> ask(sys::World world, const Config& config, std::string url, CatalogueQuery query) {
  HF_CO_TRY(const auto database, sql::open(world, with_option(url, "mode=ro"), config.data));
  std::function<Result<Answer>(sql::Reader&)> work = [&query](sql::Reader& reader) -> Result<Answer> {
    sql::Params parameters(query.parameters.begin(), query.parameters.end());
    Answer answer;
    HF_TRY(answer.columns, reader.columns(query.sql));
    HF_TRY(answer.rows, reader.query(query.sql, std::move(parameters)));
    return answer;
  };
  Result<Answer> answer = co_await database->read(std::move(work));
  co_await database->close();
  co_return answer;
}

Task<Answer> look(sys::World world, Config& config, SqlOptions options) {
  const std::map<std::string, std::string*> stores = databases_of(config);
  const auto store = stores.find(options.store);
  if (store == stores.end()) {
    std::string known;
    for (const auto& [name, url] : stores) known += (known.empty() ? "" : ", ") + name;
    co_return Error{Code::invalid, fmt::format("there is no store '{}' in shop.mode \"{}\"; there are {}",
                                               options.store, to_string(config.mode), known)};
  }
  HF_CO_TRY(CatalogueQuery query, query_for(options.statement, store->second->starts_with("sqlite:")));
  co_return co_await ask(world, config, *store->second, std::move(query));
}

Task<Answer> borrow_and_look(sys::World world, Config config, SqlOptions options) {
  LocalStores local(world);
  if (Result<void> borrowed = co_await local.borrow(config); !borrowed) {
    co_await local.stop();
    co_return borrowed.error();
  }
  Result<Answer> answer = co_await look(world, config, std::move(options));
  co_await local.stop();
  co_return answer;
}

}  // namespace

Result<CatalogueQuery> query_for(std::string_view statement, bool sqlite) {
  const std::vector<std::string> words = words_of(statement);
  const std::string first = words.empty() ? "" : lower(words[0]);
  if ((first == "describe" || first == "desc") && words.size() == 2) {
    if (sqlite) {
      return CatalogueQuery{
          R"(SELECT name AS "Field", type AS "Type", CASE "notnull" WHEN 1 THEN 'NO' ELSE 'YES' END AS)"
          R"( "Null", CASE WHEN pk > 0 THEN 'PRI' ELSE '' END AS "Key" FROM pragma_table_info(?))",
          {words[1]}};
    }
    return CatalogueQuery{
        "SELECT column_name AS `Field`, column_type AS `Type`, is_nullable AS `Null`, column_key AS `Key` "
        "FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? ORDER BY "
        "ordinal_position",
        {words[1]}};
  }
  if (first == "show" && words.size() == 2 && lower(words[1]) == "tables" && sqlite) {
    return CatalogueQuery{R"(SELECT name AS "Table" FROM sqlite_master WHERE type = 'table' ORDER BY name)", {}};
  }
  for (const char* known : {"select", "with", "show", "explain"}) {
    if (first == known) return CatalogueQuery{std::string(statement), {}};
  }
  return Error{Code::invalid, "this only looks: SELECT …, describe TABLE, show tables"};
}

int sql_command(const ConfigSources& sources, const SqlOptions& options, bool json) {
  log::set_level(log::Level::error);
  sys::Loop loop;
  const auto refuse = [](const Error& error) {
    std::fprintf(stderr, "holdfast: %s\n", error.message.c_str());
    return kExitNotDone;
  };
  Result<Config> config = load_configuration_beside(loop.world(), sources);
  if (!config) return refuse(config.error());
  const Result<Answer> answer = loop.run_until_done(borrow_and_look(loop.world(), std::move(*config), options));
  if (!answer) return refuse(answer.error());
  json ? print_json(*answer) : print_rows(*answer);
  return answer->rows.empty() ? kExitNo : kExitYes;
}

}  // namespace hf::app
