#include "console/coordinator_commands.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdio>

#include "base/bytes.h"
#include "console/json_view.h"
#include "console/spans.h"
#include "console/table.h"
#include "console/timeline.h"

namespace hf::console {
namespace {

namespace json = boost::json;

constexpr int kYes = 0, kNo = 1;
constexpr std::string_view kTransactions = "/admin/coordinator/transactions";
constexpr const char* kServices[] = {"payment", "inventory"};

/// Missing is an answer: another process has that role.
Task<std::optional<json::value>> if_there(Task<json::value> asked) {
  Result<json::value> answer = co_await std::move(asked);
  if (answer) co_return std::optional<json::value>(std::move(*answer));
  if (answer.error().code == Code::not_found) co_return std::optional<json::value>();
  co_return answer.error();
}

/// "payment prepared, inventory told (3 tries): connection refused"
std::string participants_of(const json::value& transaction) {
  std::string out;
  for (const json::value& p : array_of(transaction, "participants")) {
    if (!out.empty()) out += ", ";
    out += text_of(p, "id") + " " + text_of(p, "stage");
    const std::int64_t tries = integer_of(p, "tries");
    if (tries > 0 && text_of(p, "stage") == "told") out += fmt::format(" ({} tries: {})", tries, text_of(p, "detail"));
  }
  return out;
}

void print_transactions(const json::array& transactions, const char* nothing) {
  Table table({"transaction", "state", "outcome", "begun", "participants", "reason"});
  for (const json::value& one : transactions) {
    table.row({text_of(one, "gtrid"), text_of(one, "state"), text_of(one, "outcome"), text_of(one, "began_at"),
               participants_of(one), text_of(one, "reason")});
  }
  std::printf("%s", table.empty() ? (std::string(nothing) + "\n").c_str() : table.print().c_str());
}

void print_heuristics(const json::array& heuristics) {
  Table table({"transaction", "participant", "decided", "found", "at", "reason"});
  for (const json::value& one : heuristics) {
    table.row({text_of(one, "gtrid"), text_of(one, "participant"), text_of(one, "decided"), text_of(one, "found"),
               text_of(one, "at"), text_of(one, "reason")});
  }
  std::printf("%s", table.empty() ? "no heuristic ends\n" : table.print().c_str());
}

/// What the services of this process hold: `list` of GET /admin/branches/<service>.
Task<json::array> branches_of(AdminClient& client, std::string list) {
  json::array all;
  for (const char* service : kServices) {
    HF_CO_TRY(const auto answer, co_await if_there(client.get(fmt::format("/admin/branches/{}", service))));
    if (!answer) continue;
    for (const json::value& branch : array_of(*answer, list)) {
      if (!branch.is_object()) continue;
      json::object row = branch.as_object();
      row["participant"] = service;
      all.push_back(std::move(row));
    }
  }
  co_return all;
}

Task<int> list_in_doubt(AdminClient& client, Format format) {
  const std::string path = std::string(kTransactions) + "?state=in_doubt";
  HF_CO_TRY(const auto answer, co_await if_there(client.get(path)));
  HF_CO_TRY(json::array branches, co_await branches_of(client, "in_doubt"));
  const json::array transactions = answer ? array_of(*answer, "transactions") : json::array{};
  if (format == Format::json) {
    print_json(json::object{{"transactions", transactions}, {"branches", std::move(branches)}});
    co_return kYes;
  }
  print_transactions(transactions, "no decision waits for an acknowledgement");
  Table table({"branch in doubt", "at", "begun", "prepared"});
  for (const json::value& one : branches) {
    table.row(
        {text_of(one, "gtrid"), text_of(one, "participant"), text_of(one, "begun_at"), text_of(one, "prepared_at")});
  }
  std::printf("%s", table.empty() ? "no branch waits for a decision\n" : table.print().c_str());
  co_return kYes;
}

Task<int> list_heuristics(AdminClient& client, Format format) {
  const std::string path = std::string(kTransactions) + "?state=heuristic";
  HF_CO_TRY(const auto answer, co_await if_there(client.get(path)));
  json::array all = answer ? array_of(*answer, "heuristics") : json::array{};
  HF_CO_TRY(json::array branches, co_await branches_of(client, "heuristics"));
  for (json::value& branch : branches) all.push_back(std::move(branch));
  if (format == Format::json) {
    print_json(json::object{{"heuristics", std::move(all)}});
  } else {
    print_heuristics(all);
  }
  co_return kYes;
}

// ---- one ---------------------------------------------------------------------------------------------------------

std::string with_spaces(std::string text) {
  std::replace(text.begin(), text.end(), '-', ' ');
  return text;
}

void add_story(Timeline& timeline, const json::value& story) {
  for (const json::value& step : array_of(story, "story")) {
    const std::string who = text_of(step, "participant");
    timeline.add(integer_of(step, "at_us"), "coordinator",
                 with_spaces(text_of(step, "what")) + (who.empty() ? "" : " " + who), text_of(step, "detail"));
  }
}

void add_trace(Timeline& timeline, const json::value& trace, bool http) {
  for (const json::value& step : array_of(trace, "steps")) {
    const std::string name = text_of(step, "name"), request = text_of(step, "request");
    const bool is_call = !request.empty();
    timeline.add(integer_of(step, "begun_at_us"), "shop", name, is_call ? request : text_of(step, "detail"));
    if (!is_call) continue;
    const json::value* headers = step.as_object().if_contains("headers");
    if (http && headers != nullptr && headers->is_object()) {
      for (const auto& [header, value] : headers->get_object()) {
        timeline.add(integer_of(step, "begun_at_us"), "", "",
                     fmt::format("{}: {}", std::string_view(header.data(), header.size()),
                                 value.is_string() ? std::string(value.get_string()) : ""));
      }
    }
    timeline.add(integer_of(step, "ended_at_us"), "shop", name + " answered",
                 fmt::format("{} {}", text_of(step, "status"), text_of(step, "detail")));
  }
}

}  // namespace

Task<int> list_global_transactions(AdminClient& client, GlobalList which, Format format) {
  if (which == GlobalList::in_doubt) co_return co_await list_in_doubt(client, format);
  if (which == GlobalList::heuristic) co_return co_await list_heuristics(client, format);
  const std::string path = fmt::format("{}?state={}", kTransactions, which == GlobalList::open ? "open" : "finished");
  HF_CO_TRY(const json::value answer, co_await client.get(path));
  if (format == Format::json) {
    print_json(answer);
  } else {
    print_transactions(array_of(answer, "transactions"), "no transactions in that state");
  }
  co_return kYes;
}

Task<int> show_global_transaction(AdminClient& client, std::string id, bool http, Format format) {
  const std::string encoded = percent_encode(id);
  HF_CO_TRY(const auto story, co_await if_there(client.get(fmt::format("{}/{}", kTransactions, encoded))));
  // The order service's half: its calls. In memory there, so it may be gone.
  Result<json::value> trace = co_await client.role_get("shop", fmt::format("/transactions/{}/trace", encoded));
  if (!story && !trace) {
    if (format == Format::json) {
      print_json(json::object{{"error", {{"code", "not_found"}, {"message", "there is no transaction " + id}}}});
    } else {
      std::printf("there is no transaction %s (never begun, aborted by a crash, or ended long ago)\n", id.c_str());
    }
    co_return kNo;
  }
  Timeline timeline;
  std::vector<Span> spans;
  if (trace) {
    add_trace(timeline, *trace, http);
    spans = spans_of_trace(*trace);
  }
  if (story) {
    add_story(timeline, *story);
    for (Span& span : spans_of_story(*story)) {
      if (span.where != "shop" || !trace) spans.push_back(std::move(span));  // the trace knows its calls better
    }
  }
  if (format == Format::json) {
    json::object out{{"timeline", timeline.to_json()}, {"spans", to_json(spans)}};
    out["facts"] = story ? *story : json::value(nullptr);
    out["trace"] = trace ? *trace : json::value(nullptr);
    print_json(out);
    co_return kYes;
  }
  const std::string outcome = story ? text_of(*story, "outcome") + ", " + text_of(*story, "state") : "only the calls";
  std::printf("transaction %s: %s\n%s\n%s", id.c_str(), outcome.c_str(), timeline.print().c_str(),
              print(spans).c_str());
  if (story && !array_of(*story, "heuristics").empty()) print_heuristics(array_of(*story, "heuristics"));
  co_return kYes;
}

Task<int> resolve_global_transaction(AdminClient& client, std::string id, std::string participant, std::string decision,
                                     std::string reason, Format format) {
  const std::string root =
      participant.empty() ? std::string(kTransactions) : "/admin/branches/" + percent_encode(participant);
  const std::string path = fmt::format("{}/{}/resolve", root, percent_encode(id));
  json::object body{{"decision", decision}, {"reason", reason}};
  HF_CO_TRY(const json::value answer, co_await client.post(path, std::move(body)));
  if (format == Format::json) {
    print_json(answer);
  } else if (participant.empty()) {
    std::printf("transaction %s: %s, %s\n", id.c_str(), text_of(answer, "outcome").c_str(),
                text_of(answer, "state").c_str());
  } else {
    std::printf("branch %s at %s: %s\n", id.c_str(), participant.c_str(), text_of(answer, "ended").c_str());
  }
  co_return kYes;
}

}  // namespace hf::console
