#include "console/outbox_commands.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdio>

#include "console/json_view.h"
#include "console/table.h"
#include "net/http.h"

namespace hf::console {
namespace {

namespace json = boost::json;

constexpr int kYes = 0, kNo = 1;
constexpr const char* kServices[] = {"shop", "inventory"};

std::string path_of(const std::string& service, std::string_view rest) {
  return fmt::format("/admin/outbox/{}{}", service, rest);
}

/// What every service of this process answers; one without an outbox is passed over.
Task<std::vector<json::value>> ask_all(AdminClient& client, std::string rest) {
  std::vector<json::value> answers;
  for (const char* service : kServices) {
    Result<json::value> answer = co_await client.get(path_of(service, rest));
    if (answer) {
      answers.push_back(std::move(*answer));
    } else if (answer.error().code != Code::not_found) {
      co_return answer.error();
    }
  }
  co_return answers;
}

std::string counts_of(const json::value& answer) {
  std::string text;
  const json::value* counts = answer.is_object() ? answer.get_object().if_contains("counts") : nullptr;
  if (counts == nullptr || !counts->is_object()) return text;
  for (const auto& member : counts->get_object()) {
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", std::string(member.key()), integer_of(*counts, member.key()));
  }
  return text;
}

void print(const std::vector<json::value>& answers) {
  Table table({"service", "id", "state", "topic", "tries", "behind", "put at", "next at", "error"});
  for (const json::value& answer : answers) {
    for (const json::value& row : array_of(answer, "rows")) {
      table.row({text_of(answer, "service"), text_of(row, "id"), text_of(row, "state"), text_of(row, "topic"),
                 text_of(row, "attempts"), text_of(row, "behind"), text_of(row, "put_at"), text_of(row, "due_at"),
                 text_of(row, "error")});
    }
  }
  if (!table.empty()) std::printf("%s", table.print().c_str());
  for (const json::value& answer : answers) {
    const std::string counts = counts_of(answer);
    std::printf("%s: %s\n", text_of(answer, "service").c_str(), counts.empty() ? "no rows" : counts.c_str());
  }
}

/// The service that was named, or the one that has the row.
Task<std::string> service_with(AdminClient& client, std::string service, std::string id) {
  if (!service.empty()) co_return service;
  for (const char* one : kServices) {
    const Result<json::value> row = co_await client.get(path_of(one, "/" + id));
    if (row) co_return std::string(one);
    if (row.error().code != Code::not_found) co_return row.error();
  }
  co_return Error{Code::not_found, "no outbox of this process has a row " + id};
}

Task<int> change(AdminClient& client, std::string service, std::string id, std::string action, json::object body,
                 Format format) {
  HF_CO_TRY(const std::string owner, co_await service_with(client, std::move(service), id));
  json::value request = std::move(body);
  const Result<json::value> row = co_await client.post(path_of(owner, fmt::format("/{}/{}", id, action)), request);
  if (!row && (row.error().code == Code::conflict || row.error().code == Code::not_found)) {
    std::fprintf(stderr, "%s\n", row.error().message.c_str());
    co_return kNo;
  }
  if (!row) co_return row.error();
  if (format == Format::json) {
    print_json(*row);
  } else {
    std::printf("%s of %s is %s\n", text_of(*row, "id").c_str(), owner.c_str(), text_of(*row, "state").c_str());
  }
  co_return kYes;
}

}  // namespace

Task<int> list_outbox(AdminClient& client, std::string state, Format format) {
  const std::string query =
      state.empty() ? "?limit=1000" : "?limit=1000&state=" + net::encode_form({{"", state}}).substr(1);
  HF_CO_TRY(const std::vector<json::value> answers, co_await ask_all(client, query));
  if (answers.empty())
    co_return Error{Code::not_found, "no service of this process has an outbox (--shop outbox, 2pc)"};
  std::size_t rows = 0;
  for (const json::value& answer : answers) rows += array_of(answer, "rows").size();
  if (format == Format::json) {
    print_json(json::object{{"outboxes", json::array(answers.begin(), answers.end())}});
  } else {
    print(answers);
  }
  co_return rows > 0 ? kYes : kNo;
}

Task<int> unblock_outbox(AdminClient& client, std::string service, std::string id, Format format) {
  json::object body;
  co_return co_await change(client, std::move(service), std::move(id), "unblock", std::move(body), format);
}

Task<int> skip_outbox(AdminClient& client, std::string service, std::string id, std::string reason, Format format) {
  json::object body = {{"reason", reason}};
  co_return co_await change(client, std::move(service), std::move(id), "skip", std::move(body), format);
}

}  // namespace hf::console
