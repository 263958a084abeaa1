#pragma once

/// The notifier: a Twilio gateway with a delivery ledger. Clients point their Twilio base URL at it; it makes each
/// notification reach the provider at most once per event, whatever dies when (P4, P5). README.md tells how.

#include <memory>

#include "net/http.h"
#include "notifier/config.h"
#include "notifier/dispatcher.h"
#include "sql/database.h"
#include "sys/world.h"

namespace hf::notifier {

/// Lives on its world's strand. `database` outlives it.
class Notifier {
 public:
  /// Creates tables, turns calls that a former process left open into unknown ones, begins to resolve them.
  /// `transport`: how the provider is reached (net::HttpClient::send). Errors: the database's.
  static Task<std::unique_ptr<Notifier>> start(sys::World world, NotifierConfig config, sql::Database& database,
                                               Transport transport);
  virtual ~Notifier() = default;
  /// The REST API and the status callbacks. Handlers must not outlive the notifier.
  virtual net::HttpHandler http() = 0;
  /// /admin/notifier/… and the page /notifications.
  virtual net::HttpHandler admin_http() = 0;
  /// Waits for calls under way (at most config.call_timeout). Before destruction.
  virtual asio::awaitable<void> stop() = 0;
};

/// Whether this configuration is sound and may listen on `host`: the published sandbox token opens loopback only (P10).
/// Error: invalid, naming the field.
Result<void> check(const NotifierConfig& config, std::string_view host);

}  // namespace hf::notifier
