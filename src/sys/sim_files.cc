#include "sys/sim_files.h"

#include <fmt/format.h>

namespace hf::sys {
namespace {

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

void apply(std::string& content, std::uint64_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size(), '\0');
  content.replace(offset, bytes.size(), bytes);
}

void apply_some_sectors(std::string& content, std::uint64_t offset, std::string_view bytes, Random& random) {
  constexpr std::uint64_t kSector = 512;
  while (!bytes.empty()) {
    const std::string_view sector = bytes.substr(0, kSector - offset % kSector);
    if (random.below(2) == 0) apply(content, offset, sector);
    offset += sector.size();
    bytes.remove_prefix(sector.size());
  }
}

class SimDirLock final : public DirLock {
 public:
  explicit SimDirLock(std::function<void()> release) : release_(std::move(release)) {}
  ~SimDirLock() override { release_(); }
  SimDirLock(const SimDirLock&) = delete;
  SimDirLock& operator=(const SimDirLock&) = delete;

 private:
  std::function<void()> release_;
};

}  // namespace

/// A handle to a node; dead once its disk has crashed.
class SimFile final : public File {
 public:
  SimFile(SimDisk& disk, std::shared_ptr<SimDisk::Node> node, bool writable)
      : disk_(disk), node_(std::move(node)), generation_(disk.generation_), writable_(writable) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) const override {
    HF_TRY(alive());
    HF_TRY(disk_.step("reading"));
    if (offset >= node_->now.size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(out.size(), node_->now.size() - offset);
    std::memcpy(out.data(), node_->now.data() + offset, count);
    return count;
  }

  Result<void> write_at(std::uint64_t offset, Bytes bytes) override {
    HF_TRY(alive());
    if (!writable_) return Error{Code::denied, "the file was opened for reading"};
    HF_TRY(disk_.step("writing"));
    const std::uint64_t end = offset + bytes.size();
    const std::uint64_t growth = end > node_->now.size() ? end - node_->now.size() : 0;
    if (disk_.used() + growth > disk_.capacity_) return Error{Code::exhausted, "no space left on the simulated disk"};
    apply(node_->now, offset, as_text(bytes));
    node_->unsynced.push_back({offset, std::string(as_text(bytes))});
    return ok();
  }

  Result<void> sync() override {
    HF_TRY(alive());
    HF_TRY(disk_.step("syncing"));
    ++disk_.syncs_;
    node_->durable = node_->now;
    node_->unsynced.clear();
    return ok();
  }

  Result<std::uint64_t> size() const override {
    HF_TRY(alive());
    return node_->now.size();
  }

  Result<void> truncate(std::uint64_t size) override {
    HF_TRY(alive());
    if (!writable_) return Error{Code::denied, "the file was opened for reading"};
    HF_TRY(disk_.step("truncating"));
    if (size > node_->now.size() && disk_.used() + size - node_->now.size() > disk_.capacity_) {
      return Error{Code::exhausted, "no space left on the simulated disk"};
    }
    node_->now.resize(size, '\0');
    return ok();  // durable with the next sync; a crash before it brings the old length back
  }

 private:
  Result<void> alive() const {
    if (generation_ != disk_.generation_) return Error{Code::unavailable, "the simulated machine crashed"};
    return ok();
  }

  SimDisk& disk_;
  const std::shared_ptr<SimDisk::Node> node_;
  const std::uint64_t generation_;
  const bool writable_;
};

Result<void> SimDisk::step(const char* what) {
  ++operations_;
  if (failure_ && operations_ >= fail_from_ && operations_ < fail_until_) {
    return failure_->with_context(fmt::format("{} (operation {})", what, operations_));
  }
  return ok();
}

void SimDisk::fail_operation(std::uint64_t n, Error error, std::uint64_t repeat) {
  fail_from_ = operations_ + n;
  fail_until_ = repeat > UINT64_MAX - fail_from_ ? UINT64_MAX : fail_from_ + repeat;
  failure_ = std::move(error);
}

std::uint64_t SimDisk::used() const {
  std::uint64_t total = 0;
  for (const auto& [name, node] : nodes_) total += node->now.size();
  return total;
}

Result<std::unique_ptr<File>> SimDisk::open(const std::string& path, OpenMode mode) {
  HF_TRY(step("opening"));
  const auto found = nodes_.find(path);
  const bool is_there = found != nodes_.end();
  if (is_there && mode == OpenMode::create_new) return Error{Code::conflict, path + " exists"};
  if (!is_there && (mode == OpenMode::read || mode == OpenMode::read_write)) {
    return Error{Code::not_found, "no file " + path};
  }
  if (!is_there && !dirs_.contains(parent_of(path))) return Error{Code::not_found, "no folder " + parent_of(path)};
  const std::shared_ptr<Node> node = is_there ? found->second : nodes_[path] = std::make_shared<Node>();
  return std::unique_ptr<File>(std::make_unique<SimFile>(*this, node, mode != OpenMode::read));
}

Result<void> SimDisk::make_dirs(const std::string& path) {
  HF_TRY(step("creating"));
  for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    dirs_.insert(path.substr(0, at));  // folders are durable at once: losing one is not a case worth simulating
    if (at == std::string::npos) return ok();
  }
}

Result<std::vector<std::string>> SimDisk::list(const std::string& dir) {
  HF_TRY(step("listing"));
  if (!dirs_.contains(dir)) return Error{Code::not_found, "no folder " + dir};
  std::vector<std::string> names;
  for (const auto& [path, node] : nodes_) {
    if (parent_of(path) == dir) names.push_back(path.substr(dir.size() + 1));
  }
  for (const std::string& path : dirs_) {
    if (!path.empty() && path != dir && parent_of(path) == dir) names.push_back(path.substr(dir.size() + 1));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<bool> SimDisk::exists(const std::string& path) {
  HF_TRY(step("looking at"));
  return nodes_.contains(path) || dirs_.contains(path);
}

Result<void> SimDisk::rename(const std::string& from, const std::string& to) {
  HF_TRY(step("renaming"));
  const auto found = nodes_.find(from);
  if (found == nodes_.end()) return Error{Code::not_found, "no file " + from};
  const std::shared_ptr<Node> node = found->second;
  nodes_.erase(found);
  nodes_[to] = node;
  return ok();
}

Result<void> SimDisk::remove(const std::string& path) {
  HF_TRY(step("removing"));
  if (nodes_.erase(path) == 0) return Error{Code::not_found, "no file " + path};
  return ok();
}

Result<void> SimDisk::sync_dir(const std::string& dir) {
  HF_TRY(step("syncing folder"));
  if (!dirs_.contains(dir)) return Error{Code::not_found, "no folder " + dir};
  std::erase_if(durable_names_, [&](const auto& entry) { return parent_of(entry.first) == dir; });
  for (const auto& [path, node] : nodes_) {
    if (parent_of(path) == dir) durable_names_[path] = node;
  }
  return ok();
}

Result<std::unique_ptr<DirLock>> SimDisk::lock(const std::string& path) {
  HF_TRY(step("locking"));
  if (!locks_.insert(path).second) return Error{Code::conflict, parent_of(path) + " is in use by another process"};
  return std::unique_ptr<DirLock>(std::make_unique<SimDirLock>([this, path, generation = generation_] {
    if (generation == generation_) locks_.erase(path);
  }));
}

void SimDisk::crash(Unsynced unsynced) {
  ++generation_;
  locks_.clear();
  failure_.reset();
  if (unsynced == Unsynced::kept) return;
  nodes_ = durable_names_;
  for (auto& [path, node] : nodes_) {
    std::string survivor = node->durable;
    if (unsynced == Unsynced::torn) {
      for (const Write& write : node->unsynced) {
        const std::size_t kept = random_.below(write.bytes.size() + 1);
        if (kept > 0) apply(survivor, write.offset, std::string_view(write.bytes).substr(0, kept));
      }
    }
    if (unsynced == Unsynced::scattered) {
      for (const Write& write : node->unsynced) apply_some_sectors(survivor, write.offset, write.bytes, random_);
    }
    node->now = node->durable = std::move(survivor);
    node->unsynced.clear();
  }
}

std::string& SimDisk::content(const std::string& path) {
  const auto found = nodes_.find(path);
  HF_ASSERT(found != nodes_.end());
  return found->second->now;
}

}  // namespace hf::sys
