#pragma once

/// XA branches on MariaDB and MySQL (sql/xa.h has the contract, docs/protocols/two-phase-commit.md the measured facts).

#include <atomic>

#include "sql/mysql/connector.h"
#include "sql/xa.h"

namespace hf::sql::mysql {

/// What the answer to XA COMMIT or XA ROLLBACK says, as far as it can without looking at XA RECOVER. Pure.
enum class XaAnswer : std::uint8_t {
  done,
  unknown_id,     ///< 1397: not there, or still attached to its owner's session: XA RECOVER tells which
  rolled_back,    ///< 1402, and the other reasons of a rollback by the server
  wrong_session,  ///< 1399, or the session was lost before anything was sent: once more on another connection
  failed,         ///< the verdict's code
};
XaAnswer read_answer(unsigned number, const Verdict& verdict);

/// Any thread but where said. Branches are started, and end, before it is closed.
class MysqlXa final : public XaResource {
 public:
  MysqlXa(sys::World& world, const Settings& settings, Connector& connector);
  ~MysqlXa() override;

  Task<std::unique_ptr<XaBranch>> start(Xid xid) override;
  Task<XaEnd> commit(Xid xid) override;
  Task<XaEnd> roll_back(Xid xid) override;
  Task<std::vector<Xid>> recover() override;
  /// Waits for what runs. Branches that are still open lose their connection, and with it their work.
  void close();

 private:
  friend class MysqlBranch;
  /// What branches share with us; it lives as long as the last of them.
  struct Shared;

  Task<XaEnd> end(std::string verb, Xid xid);
  Result<XaEnd> end_blocking(const std::string& verb, const Xid& xid);
  struct Attempt {
    Result<XaEnd> met;
    bool wrong_session = false;  ///< nothing was done: again on another connection
  };
  Attempt try_end(Connection& connection, const std::string& statement, const Xid& xid);

  const std::shared_ptr<Shared> shared_;
};

}  // namespace hf::sql::mysql
