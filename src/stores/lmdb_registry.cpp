// The environments that this process has open, by device and inode: the one global of the library.
// LMDB holds POSIX locks on its lock file, and closing a second descriptor of it would drop them.
#include <sys/stat.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "stores/lmdb_env.hpp"
#include "stores/lmdb_error.hpp"

namespace cellroute::stores {
namespace {

using FileId = std::pair<std::uint64_t, std::uint64_t>;

struct Registry {
  ForkGuard fork;
  std::mutex mutex;
  std::condition_variable closed;
  std::map<FileId, std::weak_ptr<LmdbEnv>> open;
};

// A child of fork() begins with an empty one: what it inherited is not its to use, and may have
// been locked at that moment by a thread that the child does not have. Never destroyed, because a
// store may be a global that outlives every other.
Registry& registry() {
  static std::atomic<Registry*> current{nullptr};
  Registry* found = current.load(std::memory_order_acquire);
  while (found == nullptr || !found->fork.same_process()) {
    auto fresh = std::make_unique<Registry>();
    if (current.compare_exchange_strong(found, fresh.get(), std::memory_order_acq_rel)) {
      return *fresh.release();
    }
  }
  return *found;
}

// Closes the environment before anybody may open the file again.
void close_shared(LmdbEnv* env, const FileId& id) {
  const bool ours = env->check_process().ok();
  delete env;
  if (!ours) return;
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  all.open.erase(id);
  all.closed.notify_all();
}

// What the stores of one environment share; closes it with the last of them.
struct Shared {
  Shared() = default;
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() {
    if (env) close_shared(env.release(), id);
  }

  std::unique_ptr<LmdbEnv> env;
  FileId id;
};

// The data file's id, or nothing where there is no file yet.
bool find_id(const std::string& path, FileId& id) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return false;
  id = {status.st_dev, status.st_ino};
  return true;
}

}  // namespace

Result<std::shared_ptr<LmdbEnv>> share_lmdb_env(std::string_view path,
                                                const StoreOptions& options) {
  if (path.empty() || path.find('\0') != path.npos) {
    return store_error(ErrorCode::kInvalidArgument, path,
                       "a path is needed, without NUL bytes: lmdb:PATH");
  }
  LmdbFiles files(path);
  const auto made = std::make_shared<Shared>();  // before the lock, which closing takes
  Registry& all = registry();
  std::unique_lock lock(all.mutex);
  Error error = prepare_directory(files.directory, options.create);
  if (!error.ok()) return error;
  FileId id;
  while (find_id(files.data, id)) {
    const auto found = all.open.find(id);
    if (found == all.open.end()) break;
    if (std::shared_ptr<LmdbEnv> env = found->second.lock()) return env;
    all.closed.wait(lock);  // another thread lets the last one go
  }
  auto env = std::make_unique<LmdbEnv>(std::move(files));
  error = env->open(options);
  if (error.ok()) error = env->file_id(id.first, id.second);
  if (!error.ok()) return error;
  std::weak_ptr<LmdbEnv>& place = all.open[id];
  made->id = id;  // from here on nothing fails
  made->env = std::move(env);
  std::shared_ptr<LmdbEnv> shared(made, made->env.get());
  place = shared;
  return shared;
}

}  // namespace cellroute::stores
