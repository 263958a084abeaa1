#pragma once

/// Branches of a global transaction on a MySQL-protocol server: XA START, END, PREPARE, COMMIT, ROLLBACK, RECOVER.
///
/// What MariaDB does, measured (docs/protocols/two-phase-commit.md): a PREPARED branch survives everything, an ACTIVE
/// or IDLE one nothing; a failed statement does *not* poison the branch, so we do it here; a prepared branch that wrote
/// nothing is lost at disconnect, so it is never prepared; the format id is not part of the key.
///
/// Who ends a PREPARED branch: the session that prepared it, as long as it lasts. Another session cannot (1397 although
/// XA RECOVER lists it); and while the owner's session is being taken down there is a moment in which XA COMMIT or XA
/// ROLLBACK of another says OK **and does nothing**: the branch is listed no more, keeps its locks, and comes back,
/// prepared, when the server is restarted (1 in 2 500 where both happen at once). So the connection of a prepared
/// branch is kept, and whoever ends a branch without it looks afterwards whether that took effect.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sql/database.h"

namespace hf::sql {

/// Both printable ASCII without quotes, gtrid 1 … 64 bytes, bqual 0 … 64. Their boundary is part of the key.
struct Xid {
  std::string gtrid, bqual;
  bool operator==(const Xid&) const = default;
};
/// Errors: invalid, naming what is wrong (a hostile id).
Result<void> check(const Xid& xid);

enum class XaVote {
  prepared,   ///< durable: only commit() or roll_back() ends it now
  read_only,  ///< it wrote nothing: rolled back, nothing to decide
};

/// What XA COMMIT or XA ROLLBACK met.
enum class XaEnd {
  done,
  attached,     ///< 1397 and XA RECOVER lists it: its owner is still connected. Again later, not soon: see above
  absent,       ///< 1397 and not listed: finished earlier, or never prepared. The branch's own marker row tells
  rolled_back,  ///< 1402: the server rolled it back. The marker row tells whether there was something to lose
};

/// One branch on a connection of its own, from XA START to its end. Strand of the caller; one call at a time. Destroyed
/// before prepare(): the connection is closed, and the server rolls back. Destroyed when prepared: the branch stays,
/// and XaResource ends it.
class XaBranch {
 public:
  virtual ~XaBranch() = default;
  /// Runs `work` inside the branch, on a database thread. After any error in it, or of a statement even if `work` hides
  /// it, the branch can only be rolled back: prepare() says `conflict`.
  template <class T>
  Task<T> run(std::function<Result<T>(Transaction&)> work);
  Task<> run(std::function<Result<void>(Transaction&)> work) { return run_erased(std::move(work)); }

  /// XA END, XA PREPARE. Errors: conflict (a statement failed; rolled back) · unavailable (certainly not prepared, or
  /// rolled back by the server) · timeout (the answer was lost: it may be prepared).
  virtual Task<XaVote> prepare() = 0;
  /// Before prepare(), whatever state it is in. Errors: none that matter: a lost connection rolls back as well.
  virtual Task<> roll_back() = 0;

  /// After `prepared`: ends it, and gives the connection back. done: durable. Errors: denied (read-only server: later)
  /// · unavailable, timeout (whether it ended is not known; the connection may be lost: attached()).
  virtual Task<XaEnd> commit_prepared() = 0;
  virtual Task<XaEnd> roll_back_prepared() = 0;
  /// It holds the session of its branch. Once it does not, whatever is still prepared is for XaResource to end.
  virtual bool attached() const = 0;

 protected:
  virtual Task<> run_erased(std::function<Result<void>(Transaction&)> work) = 0;
};

class XaResource {
 public:
  virtual ~XaResource() = default;
  /// Errors: conflict (the id exists, 1440) · exhausted (all branch connections are taken: refuse early) · unavailable.
  virtual Task<std::unique_ptr<XaBranch>> start(Xid xid) = 0;
  /// Of a branch whose owner is gone. Idempotent in effect. `done` is what the server said: look at what the branch
  /// wrote (see above). Errors: unavailable, timeout (unknown: ask again for ever) · denied (read-only server; 1290).
  virtual Task<XaEnd> commit(Xid xid) = 0;
  virtual Task<XaEnd> roll_back(Xid xid) = 0;
  /// All prepared branches the server lists, whoever made them. Read: never touches one.
  virtual Task<std::vector<Xid>> recover() = 0;
};

template <class T>
Task<T> XaBranch::run(std::function<Result<T>(Transaction&)> work) {
  std::optional<T> out;
  std::function<Result<void>(Transaction&)> erased = [&out, work = std::move(work)](Transaction& tx) -> Result<void> {
    HF_TRY(T value, work(tx));
    out.emplace(std::move(value));
    return ok();
  };
  HF_CO_TRY(co_await run_erased(std::move(erased)));
  co_return std::move(*out);
}

}  // namespace hf::sql
