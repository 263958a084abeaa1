#include "shop/decisions.h"

#include <gtest/gtest.h>

namespace hf::shop {
namespace {

constexpr auto kCommitted = TxState::committed, kRolledBack = TxState::rolled_back;

TEST(Decisions, Order) {
  struct Case {
    const char* what;
    Seen seen;
    Verdict verdict;
    TxState state;
  };
  constexpr Case kCases[] = {
      {"in stock", {false, true}, Verdict::confirm, kCommitted},
      {"sold out", {false, false}, Verdict::refuse, kRolledBack},
      {"the key is known: stock is not looked at", {true, true}, Verdict::repeat, kRolledBack},
      {"the key is known, and sold out since", {true, false}, Verdict::repeat, kRolledBack},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(decide_order(c.seen), c.verdict) << c.what;
    EXPECT_EQ(state_of(decide_order(c.seen)), c.state) << c.what;
  }
}

TEST(Decisions, Resolution) {
  struct Case {
    const char* what;
    std::optional<TxState> stored;
    std::optional<Code> error;
    std::optional<TxState> want;
  };
  constexpr Case kCases[] = {
      {"confirmed", kCommitted, std::nullopt, kCommitted},
      {"refused", kRolledBack, std::nullopt, kRolledBack},
      {"it did not run", std::nullopt, std::nullopt, std::nullopt},
      {"fenced by the tombstone", std::nullopt, Code::conflict, kRolledBack},
      {"the commit's answer was lost", std::nullopt, Code::timeout, std::nullopt},
      {"the database is away", std::nullopt, Code::unavailable, std::nullopt},
      {"the disk is full", std::nullopt, Code::exhausted, std::nullopt},
      {"a bug", std::nullopt, Code::internal, std::nullopt},
      {"an error outweighs what was seen", kCommitted, Code::timeout, std::nullopt},
  };
  for (const Case& c : kCases) EXPECT_EQ(decide_resolution(c.stored, c.error), c.want) << c.what;
}

}  // namespace
}  // namespace hf::shop
