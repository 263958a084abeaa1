#pragma once

/// What only one mode of the shop promises. Pure; called by audit().

#include <string>

#include "reconcile/audit.h"

namespace hf::reconcile {

/// Local message table: each order with its message row, and no such row without an order; stock taken once an order;
/// both services remember the same result; the message row is done when the order is decided.
void audit_outbox(const Facts& facts, Report& report);

/// Two-phase commit: money and stock are conserved, reserved included; each order is in both stores or in none; no
/// branch is prepared for a transaction that is over; what ended against a decision is listed.
void audit_two_phase(const Facts& facts, Report& report);

/// Counts what is on its way, with at most ten examples.
void note_open(Report& report, const std::string& what);

}  // namespace hf::reconcile
