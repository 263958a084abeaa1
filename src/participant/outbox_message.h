#pragma once

/// What of a message is in a row, and back. Pure.

#include "mq/message.h"
#include "participant/outbox.h"

namespace hf::participant {

/// Error: invalid, naming what a broker would refuse, before anything is stored (P8).
Result<void> check(const OutboxMessage& message);

/// The same for the same topic and outbox id, for ever: who counts messages by their id counts one that was published
/// twice once. In the shape of wire/rocketmq/message_id.h.
std::string message_id_of(std::string_view topic, std::string_view outbox_id);

/// {"keys": [...], "properties": {...}, "message_group": "..."}, what is empty left out.
std::string attributes_of(const OutboxMessage& message);
/// Total: what cannot be read is left out (only put() writes it). The first key is the outbox id.
void read_attributes(std::string_view attributes, mq::Message& into);

}  // namespace hf::participant
