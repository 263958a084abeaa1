#pragma once

/// The delivery ledger: one row per notification, and every event that touched it, appended. An event is applied by the
/// machine inside the transaction that writes both, so the row always is what its events say.
/// Tables: docs/formats/ledger.md.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "notifier/ledger_machine.h"
#include "sql/database.h"
#include "wire/twilio/fields.h"
#include "wire/twilio/list.h"

namespace hf::notifier {

/// A row of the ledger.
struct Notification {
  std::string id;         ///< "NT" + 32 hex; travels in the callback URL
  std::string dedup_key;  ///< event id, kind and To; a notification without event id has its own id here
  std::string event_id;   ///< as the client gave it; "": none
  std::string order_id;   ///< as the client gave it; "": none
  Entry entry;
  std::string to, from, messaging_service_sid;
  std::string text;             ///< body, or TwiML, or URL: what the customer gets
  std::string form;             ///< what goes to the provider, encoded, without our callback
  std::string fingerprint;      ///< SHA-256 of the client's form: the same event id must mean the same request
  std::string client_callback;  ///< the StatusCallback the client asked for; reports are passed on to it
  std::string client_events;    ///< calls: which of them, comma-separated
  std::string resource;         ///< the provider's JSON, once seen
};

/// One line of a notification's history.
struct LedgerEvent {
  std::int64_t sequence = 0;
  std::string what;    ///< name_of(event)
  std::string detail;  ///< why, or which SID
  std::string status;  ///< reported
  int error_code = 0;
  std::string state;  ///< after it
  WallTime at;
};

/// What an applied event did.
struct Applied {
  Notification row;
  Step step;
  bool repeated = false;  ///< this very report was recorded before; nothing changed
};

/// Coroutines complete on the caller's strand; every write is durable when it completes. Errors: those of
/// sql/database.h.
class Store {
 public:
  Store(sql::Database& database, const NotifierConfig& config) : database_(database), config_(config) {}
  Task<> migrate();

  struct Inserted {
    bool inserted = false;
    Notification row;  ///< the one given, or the one that was there
  };
  /// Writes the row in state `sending`, unless its dedup key is taken.
  Task<Inserted> insert(Notification row);
  /// Runs the machine on `id`, or, for a report, on the notification that owns its SID. `report_key`: makes a report
  /// that comes twice one event. `resource`: the provider's JSON, kept. Errors: not_found (id); conflict (the SID
  /// belongs to another notification).
  Task<Applied> apply(std::string id, Event event, WallTime now, std::string report_key = {},
                      std::string resource = {});
  /// Of a report that names no notification of ours. Counted and kept, linked to nothing.
  Task<> keep_orphan(std::string sid, std::string status, std::string key, WallTime now);

  Task<std::optional<Notification>> by_id(std::string id);
  Task<std::optional<Notification>> by_sid(std::string sid);
  /// Id, SID, event id or order id. Oldest first.
  Task<std::vector<Notification>> by_any(std::string name);
  /// All that something is still owed to: waiting, sending, unknown; created with a poll due.
  Task<std::vector<Notification>> open();
  /// Which of these SIDs belong to a notification already.
  Task<std::vector<std::string>> taken(std::vector<std::string> sids);
  struct Rivals {
    std::int64_t unknown = 0;  ///< the one that asks included
    std::int64_t sending = 0;
  };
  /// Unresolved notifications that a look could not tell from this one: same kind and To, and for messages same text.
  Task<Rivals> rivals(wire::twilio::Kind kind, std::string to, std::string text);

  struct Filter {
    std::optional<State> state;
    std::string to, order_id;
    std::string after;  ///< id of the last one seen
    std::size_t limit = 100;
  };
  /// Newest first.
  Task<std::vector<Notification>> list(Filter filter);
  /// Twilio's list: rows with a SID, newest first, one more than the page holds if there are more.
  Task<std::vector<Notification>> page(wire::twilio::ListQuery query);
  Task<std::vector<LedgerEvent>> history(std::string id);
  Task<std::map<std::string, std::int64_t>> counts_by_state();

 private:
  sql::Database& database_;
  const NotifierConfig& config_;
};

}  // namespace hf::notifier
