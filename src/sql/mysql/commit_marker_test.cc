#include "sql/mysql/commit_marker.h"

#include "sql/mysql/mysql_test.h"
#include "sys/random.h"

namespace hf::sql::mysql {
namespace {

class CommitMarkerTest : public MysqlTest {
 protected:
  void SetUp() override { ASSERT_TRUE(open()); }
  static constexpr const char* kBatch =
      "START TRANSACTION; INSERT INTO hf_commit_marker VALUES ('b1', 'C', 0); INSERT INTO t VALUES (1)";
};

TEST_F(CommitMarkerTest, ABatchThatIsNotThereIsRolledBackForEver) {
  const auto other = another_client();
  EXPECT_EQ(look_for(*other, "b1"), Ending::rolled_back);
  EXPECT_EQ(look_for(*other, "b1"), Ending::rolled_back) << "asked again";
  ASSERT_TRUE(create({"CREATE TABLE t (id INTEGER PRIMARY KEY)"}));
  const auto late = another_client();
  EXPECT_FALSE(late->control(kBatch)) << "its marker is a duplicate now";
}

TEST_F(CommitMarkerTest, ACommittedBatchIsFound) {
  ASSERT_TRUE(create({"CREATE TABLE t (id INTEGER PRIMARY KEY)"}));
  const auto owner = another_client(), other = another_client();
  ASSERT_TRUE(owner->control(std::string(kBatch) + "; COMMIT"));
  EXPECT_EQ(look_for(*other, "b1"), Ending::committed);
  EXPECT_EQ(look_for(*other, "b1"), Ending::committed);
}

/// A plain SELECT would say "not there", and the owner would commit a moment later.
TEST_F(CommitMarkerTest, ABatchThatIsStillOpenIsUnknown) {
  ASSERT_TRUE(create({"CREATE TABLE t (id INTEGER PRIMARY KEY)"}));
  const auto owner = another_client(), other = another_client();
  ASSERT_TRUE(owner->control(kBatch));
  EXPECT_EQ(look_for(*other, "b1"), Ending::unknown);
  ASSERT_TRUE(owner->control("COMMIT"));
  EXPECT_EQ(look_for(*other, "b1"), Ending::committed);
}

TEST_F(CommitMarkerTest, ABatchWhoseOwnerDiesIsRolledBack) {
  ASSERT_TRUE(create({"CREATE TABLE t (id INTEGER PRIMARY KEY)"}));
  auto owner = another_client();
  const auto other = another_client();
  ASSERT_TRUE(owner->control(kBatch));
  owner.reset();
  // Until the server has noticed its end, the batch may still be committed; the driver looks again, too.
  Ending ending = Ending::unknown;
  EXPECT_TRUE(eventually([&] { return (ending = look_for(*other, "b1")) != Ending::unknown; }));
  EXPECT_EQ(ending, Ending::rolled_back);
  EXPECT_EQ(number("SELECT COUNT(*) FROM t"), 0);
}

TEST_F(CommitMarkerTest, TheTableStaysSmall) {
  ASSERT_TRUE(create({"CREATE TABLE t (id INTEGER PRIMARY KEY)"}));
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(execute("INSERT INTO t VALUES (?)", {i}));
  EXPECT_LE(number("SELECT COUNT(*) FROM hf_commit_marker"), 65);
  EXPECT_GE(number("SELECT COUNT(*) FROM hf_commit_marker"), 1);
}

TEST_F(CommitMarkerTest, WhatTheDeadLeftBehindIsRemovedAfterADay) {
  ASSERT_TRUE(
      execute("INSERT INTO hf_commit_marker VALUES ('old', 'C', 5), "
              "('new', 'C', UNIX_TIMESTAMP() * 1000000 - 3600000000)"));
  close();
  ASSERT_TRUE(open());
  EXPECT_EQ(number("SELECT COUNT(*) FROM hf_commit_marker WHERE batch_id = 'old'"), 0);
  EXPECT_EQ(number("SELECT COUNT(*) FROM hf_commit_marker WHERE batch_id = 'new'"), 1);
}

TEST(MarkerLedger, OnlyWhatIsSettledIsDeletedAndOnlyOnce) {
  sys::SeededRandom random(1);
  MarkerLedger ledger(random);
  const auto slow = ledger.begin();
  for (int i = 0; i < 200; ++i) {
    const auto batch = ledger.begin();
    EXPECT_EQ(batch.cleans_to, 0U) << "the first is still open";
    ledger.committed(batch);
  }
  ledger.committed(slow);
  const auto cleaner = ledger.begin(), other = ledger.begin();
  EXPECT_EQ(cleaner.cleans_to, 201U);
  EXPECT_NE(cleaner.sql.find("DELETE"), std::string::npos);
  EXPECT_EQ(other.cleans_to, 0U) << "one at a time";
  ledger.rolled_back(cleaner);
  EXPECT_EQ(ledger.begin().cleans_to, 202U) << "it is rolled back with its batch: again. The other one is open";
}

TEST(MarkerLedger, AnUnknownBatchKeepsItsMarker) {
  sys::SeededRandom random(1);
  MarkerLedger ledger(random);
  const auto lost = ledger.begin();
  ledger.unknown(lost);
  for (int i = 0; i < 200; ++i) {
    const auto batch = ledger.begin();
    EXPECT_NE(batch.prefix, lost.prefix);
    EXPECT_EQ(batch.sql.find(lost.prefix), std::string::npos);
    ledger.committed(batch);
  }
}

}  // namespace
}  // namespace hf::sql::mysql
