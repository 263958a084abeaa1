#pragma once

/// The transaction coordinator: global transactions by two-phase commit, presumed abort (wire/two_phase/messages.h).
///
///     begin ─▶ active ──commit──▶ preparing ──all yes──▶ COMMIT recorded, forced ──▶ notifying ──all acks──▶ finished
///                │ abort, or nobody asked for active_max    │ a no, an error, a silence       ▲ retried for ever
///                └────────────────────────▶ aborting ◀──────┘ (nothing forced) ───────────────┘
///
/// Promises. A decision is made when its record is durable, and nobody is told before (P2). It never changes (P3). No
/// commit decision is forgotten before every participant acknowledged. A participant whose prepare was not answered is
/// told `abort` until it acknowledges. After a restart nothing stored means aborted, for ids of this coordinator alone.
/// Epoch fencing: each start takes the next epoch, durably, before anything else; ids carry it.

#include <functional>
#include <memory>
#include <string>

#include "coordinator/config.h"
#include "net/http.h"
#include "sql/database.h"
#include "sys/world.h"

namespace hf::coordinator {

using SendHttp = std::function<Task<net::HttpResponse>(net::HttpRequest request, std::string url, Monotonic deadline)>;

/// One strand. `database` outlives it; stop() is awaited before it is destroyed.
class Coordinator {
 public:
  Coordinator(sys::World world, CoordinatorConfig config, sql::Database& database, SendHttp send);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  /// Takes the next epoch, reads what is unfinished and goes on with it. Errors: the database's; corrupt refuses.
  Task<> start();
  /// /balcoordinator/initiator/…, /2pc/v1/…
  net::HttpHandler http();
  /// /admin/coordinator/…: docs/administration.md.
  net::HttpHandler admin_http();
  asio::awaitable<void> stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::coordinator
