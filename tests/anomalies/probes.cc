#include "anomalies/probes.h"

#include "base/assert.h"

namespace hf::anomalies {
namespace {

Finding finding(bool happens, const std::string& otherwise = "no") {
  return {happens, happens ? "happens" : otherwise};
}

/// Two sessions on fresh tables.
struct Pair {
  Pair(Lab& in, Level level) : lab(in), a(in.session(level)), b(in.session(level)) {
    for (const char* table : {"stock", "duty"}) {
      must(*a, std::string("DROP TABLE IF EXISTS ") + table);
      must(*a, std::string("CREATE TABLE ") + table + " (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)");
    }
    must(*a, "INSERT INTO stock VALUES (1, 10)");
    must(*a, "INSERT INTO duty VALUES (1, 1), (2, 1)");
  }
  static std::int64_t must(Session& session, const std::string& sql) {
    const Answer answer = session.run(sql);
    HF_ASSERT(answer.error == 0);
    return answer.value;
  }
  void begin(Session& session) const { must(session, lab.begin()); }
  std::int64_t stock() const { return must(*a, "SELECT n FROM stock WHERE id = 1"); }

  Lab& lab;
  std::unique_ptr<Session> a, b;
};

constexpr const char* kReadStock = "SELECT n FROM stock WHERE id = 1";

/// Reads with `read`, lets the other session `write` and commit, reads again.
Finding read_twice(Lab& lab, Level level, const std::string& read, const std::string& write) {
  Pair pair(lab, level);
  pair.begin(*pair.a);
  const std::int64_t first = Pair::must(*pair.a, read);
  const std::optional<Answer> written = pair.b->step(write);
  const std::int64_t second = Pair::must(*pair.a, read);
  Pair::must(*pair.a, "COMMIT");
  if (!written) HF_ASSERT(pair.b->finish().error == 0);
  return finding(first != second, written ? "no" : "no: the writer waits");
}

struct Writes {
  std::string read_a, read_b;  ///< first statements, or empty
  std::string write_a, write_b;
};

/// Both begin and read, then both write, then both commit; who is told to run its transaction again does.
/// Returns how the conflict was told, or "".
std::string race(Pair& pair, const Writes& writes) {
  pair.begin(*pair.a);
  if (!writes.read_a.empty()) Pair::must(*pair.a, writes.read_a);
  pair.begin(*pair.b);
  if (!writes.read_b.empty()) Pair::must(*pair.b, writes.read_b);
  std::optional<Answer> wrote_a = pair.a->step(writes.write_a);
  std::optional<Answer> wrote_b = pair.b->step(writes.write_b);
  if (!wrote_a) wrote_a = pair.a->finish();  // it waited for b, which is the victim of the deadlock
  pair.a->run(wrote_a->error == 0 ? "COMMIT" : "ROLLBACK");
  if (!wrote_b) wrote_b = pair.b->finish();
  pair.b->run(wrote_b->error == 0 ? "COMMIT" : "ROLLBACK");
  return wrote_a->error != 0 ? pair.lab.conflict(wrote_a->error) : pair.lab.conflict(wrote_b->error);
}

}  // namespace

Finding dirty_read(Lab& lab, Level level) {
  Pair pair(lab, level);
  pair.begin(*pair.b);
  Pair::must(*pair.b, "UPDATE stock SET n = 0 WHERE id = 1");
  pair.begin(*pair.a);
  std::optional<Answer> seen = pair.a->step(kReadStock);
  const bool waited = !seen;
  Pair::must(*pair.b, "ROLLBACK");
  if (waited) seen = pair.a->finish();
  Pair::must(*pair.a, "COMMIT");
  return finding(seen->value != 10, waited ? "no: the reader waits" : "no");
}

Finding non_repeatable_read(Lab& lab, Level level) {
  return read_twice(lab, level, kReadStock, "UPDATE stock SET n = 5 WHERE id = 1");
}

Finding phantom(Lab& lab, Level level) {
  return read_twice(lab, level, "SELECT COUNT(*) FROM stock WHERE n > 0", "INSERT INTO stock VALUES (2, 7)");
}

Finding lost_update(Lab& lab, Level level) {
  Pair pair(lab, level);
  const std::string write = "UPDATE stock SET n = 9 WHERE id = 1";
  const std::string conflict = race(pair, {kReadStock, kReadStock, write, write});
  return finding(conflict.empty() && pair.stock() != 8, "no: " + conflict);
}

Finding lost_guarded_update(Lab& lab, Level level) {
  Pair pair(lab, level);
  const std::string write = "UPDATE stock SET n = n - 1 WHERE id = 1 AND n >= 1";
  const std::string conflict = race(pair, {"", "", write, write});
  const bool lost = conflict.empty() && pair.stock() != 8;
  return finding(lost, conflict.empty() ? "no" : "no: " + conflict);
}

Finding write_skew(Lab& lab, Level level) {
  Pair pair(lab, level);
  const std::string read = "SELECT COUNT(*) FROM duty WHERE n = 1";
  const std::string conflict =
      race(pair, {read, read, "UPDATE duty SET n = 0 WHERE id = 1", "UPDATE duty SET n = 0 WHERE id = 2"});
  return finding(Pair::must(*pair.a, read) == 0, "no: " + conflict);
}

const std::vector<Probe>& probes() {
  static const std::vector<Probe> all = {
      {"dirty read", dirty_read},
      {"non-repeatable read", non_repeatable_read},
      {"phantom", phantom},
      {"lost update (read, then write)", lost_update},
      {"lost guarded update", lost_guarded_update},
      {"write skew", write_skew},
  };
  return all;
}

}  // namespace hf::anomalies
