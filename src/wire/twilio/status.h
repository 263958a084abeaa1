#pragma once

/// The life of a message and of a call, as statuses with a rank. Callbacks arrive in any order and more than once; the
/// status of a resource is the one of the highest rank that was ever reported, so order does not matter.

#include <string_view>

namespace hf::wire::twilio {

enum class Kind { message, call };
std::string_view to_string(Kind kind);  ///< "message", "call"

/// accepted, scheduled 10 · queued 20 · sending 30 · sent 40 · undelivered, failed, canceled 50 · delivered 60 ·
/// read 70. Calls: queued 10 · initiated 20 · ringing 30 · in-progress 40 · busy, failed, no-answer, canceled 50 ·
/// completed 60. 0: no status of this kind.
int status_rank(Kind kind, std::string_view status);
/// Nothing but a repeat or (delivered → read) a confirmation follows.
bool is_final(Kind kind, std::string_view status);
/// A final status that says the customer was not reached.
bool is_failure(Kind kind, std::string_view status);
/// True if `next` outranks `current`. Equal ranks keep the first: a late `failed` does not replace `undelivered`.
bool advances(Kind kind, std::string_view current, std::string_view next);

}  // namespace hf::wire::twilio
