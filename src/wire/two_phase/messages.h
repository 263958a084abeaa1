#pragma once

/// Two-phase commit between services, as data. Two faces over one transaction:
///
/// * `/balcoordinator/…`: Ballerina's coordination protocol (module ballerinai/transaction, language 2201): register,
///   prepare, notify, and the headers on business calls. Bodies, paths and texts are that source's.
/// * `/2pc/v1/…`: ours, for what that protocol lacks: begin, commit, abort, and the outcome query.
///
/// No I/O. Errors of every parse: invalid, with a sentence for the caller.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf::wire::two_phase {

// ---- on business calls ---------------------------------------------------------------------------------------------
inline constexpr std::string_view kXidHeader = "x-b7a-xid";                 ///< transaction id (our gtrid)
inline constexpr std::string_view kRegisterAtHeader = "x-b7a-register-at";  ///< URL where the callee must register
inline constexpr std::string_view kInfoRecordHeader = "x-b7a-info-record";  ///< [{"xid":…,"retryNumber":0,…}]
inline constexpr std::string_view kOldXidHeader = "x-xid", kOldRegisterAtHeader = "x-register-at-url";
/// On register, prepare, notify and /2pc/v1 when a shared secret is configured: "Authorization: Bearer <secret>".
inline constexpr std::string_view kSecretHeader = "authorization";
/// On register, "yes": in doubt, this participant asks for the outcome by itself, so nothing need be stored of it
/// before the decision. The original's participants do not ask.
inline constexpr std::string_view kAsksOutcomeHeader = "x-holdfast-asks-outcome";

// ---- paths ---------------------------------------------------------------------------------------------------------
/// Templates for net::HttpRouter. {block} at the initiator: we use the transaction id. At the participant: likewise.
inline constexpr std::string_view kRegisterPath = "/balcoordinator/initiator/{block}/register";
inline constexpr std::string_view kPreparePath = "/balcoordinator/participant/2pc/{block}/prepare";
inline constexpr std::string_view kNotifyPath = "/balcoordinator/participant/2pc/{block}/notify";
inline constexpr std::string_view kBeginPath = "/2pc/v1/tx";                    ///< POST
inline constexpr std::string_view kTransactionPath = "/2pc/v1/tx/{gtrid}";      ///< GET: the whole story
inline constexpr std::string_view kCommitPath = "/2pc/v1/tx/{gtrid}/commit";    ///< POST
inline constexpr std::string_view kAbortPath = "/2pc/v1/tx/{gtrid}/abort";      ///< POST
inline constexpr std::string_view kOutcomePath = "/2pc/v1/tx/{gtrid}/outcome";  ///< GET

std::string register_url(std::string_view coordinator, std::string_view gtrid);
std::string participant_url(std::string_view participant, std::string_view gtrid);  ///< U, without /prepare, /notify

// ---- identity ------------------------------------------------------------------------------------------------------
/// "hf1.<coordinator>.<epoch>.<32 hex>": ≤ 64 bytes, printable. The epoch counts the coordinator's starts, so recovery
/// never touches a branch of the one that runs.
struct Gtrid {
  std::string coordinator;  ///< 1 … 12 of [a-z0-9-]
  std::uint64_t epoch = 0;
  std::string unique;  ///< 32 hexadecimal digits, time first (UUID version 7)
  std::string to_string() const;
  /// When it began, µs since the Unix epoch by its coordinator's clock, exact to the millisecond.
  std::int64_t began_us() const;
  bool operator==(const Gtrid&) const = default;
};
/// nullopt: not one of ours (a foreign initiator's id).
std::optional<Gtrid> parse_gtrid(std::string_view text);
/// Any transaction id we let near a database or a path: 1 … 64 of [A-Za-z0-9._:-]. Errors: invalid.
Result<void> check_transaction_id(std::string_view id);

// ---- register ------------------------------------------------------------------------------------------------------
enum class Protocol {
  completion,  ///< does not vote; told the outcome, for certain, after every other participant has acknowledged it
  volatile_,   ///< "volatile": prepared before the durable ones
  durable,
};
std::string_view to_string(Protocol protocol);
std::optional<Protocol> protocol_from(std::string_view text);

struct ProtocolAt {
  Protocol name = Protocol::durable;
  std::string url;
};
struct RegisterRequest {
  std::string transaction_id, participant_id;
  std::vector<ProtocolAt> protocols;  ///< at least one
  bool asks_outcome = false;          ///< kAsksOutcomeHeader: not in the body
};
struct RegisterResponse {
  std::string transaction_id;
  std::vector<ProtocolAt> protocols;
};
std::string encode(const RegisterRequest& request);
std::string encode(const RegisterResponse& response);
Result<RegisterRequest> parse_register_request(std::string_view json);
Result<RegisterResponse> parse_register_response(std::string_view json);
/// {"errorMessage":"…"}: the shape of a refused registration, status 400.
std::string encode_error_message(std::string_view message);

// ---- prepare, notify -----------------------------------------------------------------------------------------------
enum class Vote { prepared, aborted, committed, read_only };  ///< "prepared" "aborted" "committed" "read-only"
enum class Decision { commit, abort };                        ///< "commit" "abort"
enum class Notified { committed, aborted };                   ///< "committed" "aborted"
inline constexpr std::string_view kTransactionUnknown = "Transaction-Unknown";  ///< 404
inline constexpr std::string_view kNotPrepared = "not-prepared";                ///< 400
inline constexpr std::string_view kFailed = "failed";                           ///< 500
std::string_view to_string(Vote vote);
std::string_view to_string(Decision decision);
std::string_view to_string(Notified notified);
std::optional<Vote> vote_from(std::string_view text);
std::optional<Decision> decision_from(std::string_view text);
std::optional<Notified> notified_from(std::string_view text);

struct PrepareRequest {
  std::string transaction_id;
};
struct NotifyRequest {
  std::string transaction_id;
  Decision decision = Decision::abort;
};
/// {"message":M}, and of ours, where a participant has something to say about an aborted vote, "reason":"…".
struct Message {
  std::string message, reason;
};
std::string encode(const PrepareRequest& request);
std::string encode(const NotifyRequest& request);
std::string encode(const Message& message);
Result<PrepareRequest> parse_prepare_request(std::string_view json);
Result<NotifyRequest> parse_notify_request(std::string_view json);
Result<Message> parse_message(std::string_view json);

// ---- /2pc/v1 -------------------------------------------------------------------------------------------------------
/// 201 of begin.
struct Begun {
  std::string gtrid, register_at;
};
enum class Outcome {
  pending,    ///< not decided. Ask again
  committed,  ///< durable
  aborted,    ///< decided, or presumed: the coordinator owns the id, has read all it stored, and knows nothing of it
};
std::string_view to_string(Outcome outcome);
std::optional<Outcome> outcome_from(std::string_view text);
/// 200 of commit, abort and outcome (an aborted commit is an answer, too: the status is 200).
struct OutcomeReport {
  std::string gtrid, coordinator;
  Outcome outcome = Outcome::pending;
  bool finished = false;    ///< every participant has acknowledged
  std::string participant;  ///< aborted: who said no, if somebody did
  std::string reason;       ///< aborted: why
  bool operator==(const OutcomeReport&) const = default;
};
std::string encode(const Begun& begun);
std::string encode(const OutcomeReport& report);
Result<Begun> parse_begun(std::string_view json);
Result<OutcomeReport> parse_outcome_report(std::string_view json);

}  // namespace hf::wire::two_phase
