#pragma once

/// The phone: a Twilio sandbox on one port. Messages and calls are created, fetched and listed as at Twilio; their
/// statuses go on by themselves; status callbacks are posted and signed; faults are switched on and off through
/// /control; what each customer would have seen is counted. README.md says what is persisted and what a crash does.

#include <memory>

#include "net/http.h"
#include "phone/config.h"
#include "phone/lives.h"
#include "sql/database.h"
#include "sys/world.h"

namespace hf::phone {

/// Lives on its world's strand. `database` outlives it.
class Phone {
 public:
  /// Creates tables, goes on with what a former process left. `transport`: how callbacks travel
  /// (net::HttpClient::send). Errors: invalid (configuration), or the database's.
  static Task<std::unique_ptr<Phone>> start(sys::World world, PhoneConfig config, sql::Database& database,
                                            Transport transport);
  virtual ~Phone() = default;
  /// REST API and control API. The handler must not outlive the phone.
  virtual net::HttpHandler http() = 0;
  /// Ends hanging requests, finishes callbacks under way. Before destruction.
  virtual asio::awaitable<void> stop() = 0;
};

/// Whether this configuration may listen on `host`: the published sandbox token opens loopback only (P10). Error:
/// invalid.
Result<void> check(const PhoneConfig& config, std::string_view host);

}  // namespace hf::phone
