#pragma once

/// What goes to the provider, and what its answers mean. Pure.

#include <optional>
#include <string>
#include <vector>

#include "net/http.h"
#include "notifier/store.h"
#include "wire/twilio/list.h"

namespace hf::notifier {

/// The client's form as the provider shall see it: From filled in if there is none, our own fields and the client's
/// StatusCallback taken out.
wire::twilio::Fields outgoing_form(wire::twilio::Kind kind, const wire::twilio::Fields& form,
                                   const NotifierConfig& config);

/// The order that a text names (config.order_id_after); "": none.
std::string order_id_in(std::string_view text, const NotifierConfig& config);

/// The path and query by which the provider reports to us; the notification's id and the attempt travel in it.
std::string callback_target(wire::twilio::Kind kind, const std::string& id, int attempt);

/// POST of a create call, its URL, its callback. The attempt is the row's.
struct ProviderCall {
  net::HttpRequest request;
  std::string url;
};
ProviderCall create_call(const Notification& row, const NotifierConfig& config);
ProviderCall list_call(const Notification& row, const NotifierConfig& config);
ProviderCall next_page_call(const std::string& next_page_uri, const NotifierConfig& config);
ProviderCall fetch_call(const Notification& row, const NotifierConfig& config);

/// An answer to a create call. The rule (twilio.md, "Outcome of one POST"):
///   2xx with a SID                                  created
///   connection never made                           certainly not created
///   429 with a Twilio body, or a code that says so  certainly not created, later
///   4xx with a Twilio body                          refused, final
///   anything else                                   lost: it may have been created
struct Answer {
  Event event;
  std::string resource;  ///< the provider's JSON, if created
};
Answer read_answer(wire::twilio::Kind kind, const Result<net::HttpResponse>& response);

/// A message or call of the provider's list.
struct Listed {
  std::string sid, status, from, body, resource;
  int error_code = 0;
  WallTime created;
};
std::optional<Listed> read_listed(wire::twilio::Kind kind, const std::string& item);
/// Whether `listed` may be what the row's last call created: sender, time and (messages) text.
bool may_be(const Listed& listed, const Notification& row, const NotifierConfig& config);
/// Nothing on later pages can be it any more.
bool is_too_old(const Listed& listed, const Notification& row, const NotifierConfig& config);

/// What a whole look says. `candidates`: of nobody's yet, oldest first. Calls carry no text in the list, so with fewer
/// candidates than unanswered calls to the same number nobody can say whose they are: then callbacks must.
Event read_look(wire::twilio::Kind kind, const std::vector<Listed>& candidates, const Store::Rivals& rivals);

/// The row as the REST API answers it: the provider's own JSON with the status that the ledger derived.
std::string to_json(const Notification& row, const NotifierConfig& config);

}  // namespace hf::notifier
