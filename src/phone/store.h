#pragma once

/// What the sandbox keeps: every message and call, and what is still to become of them. A create is answered after the
/// resource and its whole planned life are durable, in one transaction; after a restart the driver goes on with what is
/// open. Tables: docs/formats/ledger.md, "The phone's tables".

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "phone/lifecycle.h"
#include "sql/database.h"
#include "wire/twilio/call.h"
#include "wire/twilio/list.h"
#include "wire/twilio/message.h"

namespace hf::phone {

/// A message or a call as it is stored.
struct Resource {
  wire::twilio::Kind kind = wire::twilio::Kind::message;
  std::string sid, account_sid, messaging_service_sid;
  std::string to, from;
  std::string text;   ///< a message's body; what a call says
  std::string twiml;  ///< calls
  std::string url;    ///< calls: where the TwiML comes from
  std::string status;
  int error_code = 0;
  std::int64_t num_segments = 0, num_media = 0, duration_s = 0;
  std::string callback_url;  ///< as given, with its fragment; "": nobody asked
  WallTime created, updated;
  std::optional<WallTime> sent, ended;
};
wire::twilio::Message to_message(const Resource& resource);
wire::twilio::Call to_call(const Resource& resource);
/// Of either kind, as the REST API answers it.
std::string to_json(const Resource& resource);

/// A step of a life, with the time it is due at.
struct Step {
  std::int64_t sequence = 0;
  std::string status;
  int error_code = 0;
  WallTime due, callback_due;
  bool applied = false;   ///< the resource has the status
  bool reported = false;  ///< a callback is (still) to be sent
  std::string callback;   ///< none, due, sent, lost, failed
};
struct Life {
  Resource resource;
  std::vector<Step> steps;
};

/// What one customer would have seen, and of all of them.
struct CustomerTotals {
  std::int64_t customers = 0, messages = 0, calls = 0, sms = 0, whatsapp = 0;
  std::int64_t duplicates = 0;     ///< beyond the first of the same kind, To and text
  std::int64_t not_delivered = 0;  ///< of messages and calls: ended in a failure
};
struct CustomerView {
  std::string to;
  std::vector<Resource> received;  ///< oldest first
};

/// Coroutines complete on the caller's strand; every write is durable when it completes. Errors: those of
/// sql/database.h.
class Store {
 public:
  explicit Store(sql::Database& database) : database_(database) {}
  Task<> migrate();
  Task<> create(Life life);
  /// All lives with an open step, oldest first.
  Task<std::vector<Life>> unfinished();
  /// Steps that took effect: the resource's new status and the step itself.
  struct Applied {
    Resource resource;
    std::int64_t sequence = 0;
  };
  Task<> apply(std::vector<Applied> applied);
  Task<> callback_done(std::string sid, std::int64_t sequence, std::string outcome);
  Task<> set_text(std::string sid, std::string text);

  Task<std::optional<Resource>> find(wire::twilio::Kind kind, std::string sid);
  /// Newest first, one more than the page holds if there are more.
  Task<std::vector<Resource>> list(wire::twilio::ListQuery query);
  Task<CustomerTotals> totals();
  /// Customers with To > `after`, at most `limit`, by To. `to` not empty: that one.
  Task<std::vector<CustomerView>> customers(std::string after, std::string to, std::size_t limit);
  /// How callbacks of `sid` went, for people.
  Task<std::vector<Step>> steps(std::string sid);

 private:
  sql::Database& database_;
};

}  // namespace hf::phone
