#include "notifier/callback_edge.h"

#include "base/log.h"
#include "net/crypto.h"
#include "wire/twilio/callback.h"
#include "wire/twilio/signature.h"

namespace hf::notifier {
namespace {

using net::HttpRequest;
using net::HttpResponse;

metrics::Counter& counter(sys::World& world, const char* outcome) {
  return world.metrics.counter("holdfast_notifier_callbacks_total", "status callbacks received, by outcome",
                               {{"outcome", outcome}});
}

/// Calls report what we asked for; the client gets what it asked for.
bool wanted_by_client(const Notification& row, const wire::twilio::StatusUpdate& update) {
  if (update.kind == wire::twilio::Kind::message) return true;
  const std::string event(wire::twilio::event_of_call_status(update.status));
  return ("," + row.client_events + ",").find("," + event + ",") != std::string::npos;
}

}  // namespace

CallbackEdge::CallbackEdge(sys::World world, const NotifierConfig& config, Store& store, Dispatcher& dispatcher)
    : world_(world),
      config_(config),
      store_(store),
      dispatcher_(dispatcher),
      accepted_(counter(world, "accepted")),
      repeated_(counter(world, "repeated")),
      forged_(counter(world, "forged")),
      orphans_(counter(world, "orphan")) {}

asio::awaitable<HttpResponse> CallbackEdge::handle(HttpRequest request) {
  if (request.method != "POST") co_return HttpResponse::text(405, "status callbacks are POSTed\n");
  const Result<wire::twilio::Fields> form = net::parse_form(request.body);
  const std::string_view signature = request.headers.get(wire::twilio::kSignatureHeader).value_or("");
  // The URL is what we told the provider, not what this request claims: proxies rewrite hosts.
  const bool genuine = form && wire::twilio::verify(net::hmac_sha1, config_.auth_token,
                                                    config_.callback_base_url + request.target, *form, signature);
  if (!genuine) {
    forged_.add();
    log::warn("notifier.callback_forged", {{"peer", request.peer}, {"path", request.path()}});
    co_return HttpResponse::text(403, "the signature is wrong\n");
  }
  const auto update = wire::twilio::parse_status_update(*form);
  const Result<wire::twilio::Fields> query = net::parse_form(request.query());
  if (!update || !query) co_return HttpResponse::text(400, "this is no status report\n");
  if (!co_await world_.faults.reach("notifier.before_callback_record"))
    co_return HttpResponse::text(503, "try again\n");

  Reported reported{update->sid, update->status, update->error_code, update->error_message};
  const Result<Applied> applied =
      co_await dispatcher_.report(wire::twilio::field(*query, "n"), std::move(reported), update->key);
  if (!applied && applied.error().code == Code::not_found) {
    orphans_.add();
    log::warn("notifier.callback_orphan", {{"sid", update->sid}, {"status", update->status}});
    const Result<void> kept =
        co_await store_.keep_orphan(update->sid, update->status, update->key, world_.clock.wall());
    co_return HttpResponse::text(kept ? 204 : 503, "");
  }
  if (!applied) {
    log::error("notifier.not_recorded", {{"sid", update->sid}, {"error", applied.error().to_string()}});
    co_return HttpResponse::text(503, "try again\n");
  }
  (applied->repeated ? repeated_ : accepted_).add();
  if (!applied->repeated && wanted_by_client(applied->row, *update)) dispatcher_.pass_on(applied->row, *form);
  co_return HttpResponse::text(204, "");
}

}  // namespace hf::notifier
