#pragma once

/// The message log: an append-only sequence of records in segment files, made durable in groups.
///
///   append → one buffer in memory → one write, one fdatasync for all that wait → one completion per batch
///
/// Promises (design.md P2): a record whose durable() returned, or that lies below an announced durable end, is there
/// after kill -9 and power loss, intact and in its place. One that was not may be there or not, whole, and never before
/// one that was appended earlier. Bytes on disk: docs/formats/log.md; why so: docs/decisions/0005-log-format.md.
///
/// Threads: everything on the strand of `world`, except read(), Cursor, durable_end() and oldest(): any thread.
/// One writing process per directory, guarded by a lock.

#include <compare>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/task.h"
#include "log/config.h"
#include "sys/world.h"

namespace hf::log {

/// Where a record is: its byte address in the endless sequence of all records ever appended, a multiple of 8. Dense: a
/// record's position plus its size on disk is the next one's. An address and not a running number, so that reading
/// needs no index: a caller that keeps 8 bytes per record finds it with one read. Never reused, strictly increasing.
struct Position {
  std::uint64_t value = 0;
  auto operator<=>(const Position&) const = default;
};

/// What a record is; the meaning belongs to the caller. 0 is the log's own.
using Kind = std::uint8_t;

/// Largest body, bytes. It must also fit into one segment, else `append` says `invalid`.
inline constexpr std::size_t kBodyMax = 8U << 20;

/// A record as it lies in a buffer of the log: valid until the visitor returns, or the cursor moves.
struct RecordView {
  Position position;
  Position next;  ///< where the following record begins
  Kind kind = 0;
  Bytes body;
};
struct Record {
  Position position;
  Position next;
  Kind kind = 0;
  std::string body;
};

/// Is called with each record, oldest first. An error ends the replay and is what open() returns.
using Visitor = std::function<Result<void>(const RecordView&)>;

enum class Urgency {
  now,   ///< committed as soon as the disk is free
  lazy,  ///< starts no commit: rides with the next urgent record, durable(), flush() or close()
};

struct Stats {
  std::uint64_t records = 0, batches = 0, bytes = 0;  ///< made durable since open
  std::uint64_t waiting_bytes = 0;                    ///< appended, not yet durable
  std::uint64_t disk_bytes = 0;                       ///< of all segments, spare ones included
  std::uint64_t segments = 0, spare_segments = 0;
  std::uint64_t truncated_bytes = 0;  ///< of the first record of a torn tail, if this open cut one off
};

class Segments;

class Log {
 public:
  /// Locks the directory, recovers, and calls `visit` with every record from `from` (nullopt: the oldest there is) on.
  /// Blocks: for start-up. What `visit` saw is durable when open returns.
  ///
  /// A torn tail (a write that nobody was told about) is cut off. Errors: `conflict`: another process has the
  /// directory; `corrupt`: damage below the recovery point, or records from `from` are missing (file and offset are
  /// named); `denied`, `exhausted`: the directory cannot be written; `invalid`: impossible options; and what `visit`
  /// returned.
  static Result<std::unique_ptr<Log>> open(sys::World& world, std::string dir, Options options,
                                           std::optional<Position> from, Visitor visit);

  /// Without close() before it, as if the process had died: what was not durable may be lost. On the strand; no
  /// coroutine may be left inside durable(), flush() or close().
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Copies the parts, one after another, as the body of one record and says its position; positions are in the order
  /// of the calls. Never waits. `kind` > 0. Errors, each before anything is taken:
  ///   invalid      the body is above kBodyMax or does not fit into a segment
  ///   exhausted    too many bytes wait for the disk, or no further segment is ready (disk full: the message says so)
  ///   unavailable, exhausted  the log is dead after a failed write or sync; only a restart helps
  Result<Position> append(Kind kind, std::initializer_list<Bytes> parts, Urgency urgency = Urgency::now);
  Result<Position> append(Kind kind, std::span<const Bytes> parts, Urgency urgency = Urgency::now);

  /// Suspends until the record at `position` and all before it are synced. Error: why the log is dead; then it is
  /// unknown whether the record will be there after a restart. `timeout`: `deadline` passed, same uncertainty.
  Task<> durable(Position position, Monotonic deadline = Monotonic::max());
  /// durable() for all that was appended so far.
  Task<> flush();
  /// Suspends until append() has room for a body of `size` bytes again. `timeout` after `deadline`.
  Task<> wait_for_room(std::size_t size, Monotonic deadline);
  /// flush(), then marks the log as cleanly closed: from then on damage to any record is told from a torn write.
  /// Nothing may be appended after it.
  Task<> close();

  /// Called on the strand once for each batch that became durable, before durable() resumes, with the new
  /// durable_end(). At most one callback; it may append.
  void on_durable(std::function<void(Position durable_end)> callback);
  /// Called on the strand, once, when the log dies.
  void on_failed(std::function<void(const Error&)> callback);

  /// Every record below it is durable. Never goes back. Any thread.
  Position durable_end() const;
  /// Where the next record will begin.
  Position end() const;
  /// Bytes left in the active segment and in the next one, if that is ready; a record takes 24 and its body rounded up
  /// to a multiple of 8. With a full disk it only shrinks: a caller may refuse early, to keep a reserve for what
  /// matters more.
  std::uint64_t room() const;

  /// One durable record. Any thread; reads the file, past the writer (page cache). Errors: `not_found`: below oldest(),
  /// not below durable_end(), or no record begins there; `corrupt`: the bytes are damaged; `unavailable`.
  Result<Record> read(Position position) const;

  /// Walks durable records forward. Any thread, one at a time; not beyond the life of the log.
  class Cursor {
   public:
    ~Cursor();
    Cursor(Cursor&&) noexcept;
    Cursor& operator=(Cursor&&) noexcept;
    /// The next record, or nullopt at durable_end() (later more may come). Errors as read().
    Result<std::optional<RecordView>> next();
    /// Where next() continues.
    Position position() const;

   private:
    friend class Log;
    struct Impl;
    Cursor(std::shared_ptr<const Segments> segments, Position from);
    std::unique_ptr<Impl> impl_;
  };
  Cursor scan(Position from) const;

  /// The first position that is still there. Any thread.
  Position oldest() const;
  /// Says that no record below `needed` will be asked for again: segments that lie wholly below are recycled or
  /// removed, in the background. Never the active one.
  void remove_before(Position needed);

  Stats stats() const;

 private:
  struct Impl;
  explicit Log(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::log

template <>
struct std::hash<hf::log::Position> {
  std::size_t operator()(hf::log::Position p) const noexcept { return std::hash<std::uint64_t>{}(p.value); }
};
