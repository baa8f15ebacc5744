#include "stores/lmdb_files.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "stores/lmdb_error.hpp"

namespace cellroute::stores {
namespace {

// A file descriptor that closes itself.
class File {
 public:
  File(const std::string& path, int flags) : descriptor_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool ok() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

std::string parent_of(std::string directory) {
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  const std::size_t slash = directory.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : directory.substr(0, slash);
}

Error make_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    if (errno == ENOENT) {
      return store_error(ErrorCode::kNotFound, directory,
                         "its parent directory does not exist; make that first");
    }
    return lmdb_error(directory, "making the directory", errno);
  }
  return sync_directory(parent_of(directory));
}

// What LMDB 0.9 writes at the head of a data file's first two pages (its file format 1).
struct MetaPage {
  std::uint64_t page;
  std::uint16_t pad;
  std::uint16_t flags;
  std::uint32_t lower_upper;
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t address;
  std::uint64_t map_bytes;
  struct Tree {
    std::uint32_t pad;  // of the first tree: the page size
    std::uint16_t flags;
    std::uint16_t depth;
    std::uint64_t branches, leaves, overflows, entries, root;
  } trees[2];
  std::uint64_t last_page;
  std::uint64_t transaction;
};
static_assert(sizeof(MetaPage) == 152);

constexpr std::uint16_t kMetaFlag = 0x08;
constexpr std::uint32_t kMagic = 0xbeefc0de;
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 46;

// What is wrong with a header, or null.
const char* broken_header(const MetaPage& meta, std::uint64_t page_bytes) {
  if ((meta.flags & kMetaFlag) == 0 || meta.magic != kMagic) return "it is no LMDB file";
  if (page_bytes != meta.trees[0].pad || page_bytes < 512 || page_bytes > 65'536 ||
      !std::has_single_bit(page_bytes)) {
    return "its page size is damaged";
  }
  if (meta.last_page < 1 || meta.last_page >= kMaxFileBytes / page_bytes) {
    return "its number of pages is damaged";
  }
  for (const MetaPage::Tree& tree : meta.trees) {
    const bool inside = tree.root >= 2 && tree.root <= meta.last_page;
    if (tree.root != kNoPage && !inside) return "a root lies outside it";
    if (tree.depth > 32) return "a tree's depth is damaged";
  }
  return nullptr;
}

Error read_headers(const LmdbFiles& files, std::uint64_t& missing_pages) {
  const File file(files.data, O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (!file.ok() || ::fstat(file.get(), &status) != 0) {
    return lmdb_error(files.directory, "reading data.mdb", errno);
  }
  const auto corrupt = [&files](std::string_view why) {
    return store_error(ErrorCode::kCorrupt, files.directory,
                       "data.mdb: " + std::string(why) + "; restore it from a copy");
  };
  if (!S_ISREG(status.st_mode)) return corrupt("it is no regular file");
  MetaPage metas[2];
  std::uint64_t page_bytes = 0;
  for (MetaPage& meta : metas) {
    const ssize_t got = ::pread(file.get(), &meta, sizeof meta, static_cast<off_t>(page_bytes));
    if (got < 0) return lmdb_error(files.directory, "reading data.mdb", errno);
    if (got != sizeof meta) return corrupt("it is cut short");
    if (page_bytes == 0) page_bytes = meta.trees[0].pad;
    if (const char* why = broken_header(meta, page_bytes)) return corrupt(why);
    if (meta.version != 1) {
      return store_error(ErrorCode::kUnsupported, files.directory,
                         "data.mdb: another LMDB file format, " + std::to_string(meta.version));
    }
  }
  const MetaPage& newest = metas[metas[1].transaction > metas[0].transaction ? 1 : 0];
  const std::uint64_t pages = static_cast<std::uint64_t>(status.st_size) / page_bytes;
  if (pages < 2) return corrupt("it is cut short");
  missing_pages = newest.last_page + 1 > pages ? newest.last_page + 1 - pages : 0;
  for (const MetaPage::Tree& tree : newest.trees) {
    if (tree.root != kNoPage && tree.root >= pages) return corrupt("it is cut short");
  }
  return {};
}

}  // namespace

LmdbFiles::LmdbFiles(std::string_view path)
    : directory(path),
      data(directory + "/data.mdb"),
      lock(directory + "/lock.mdb"),
      writer(directory + "/writer.lock"),
      fresh(directory + "/data.mdb.new") {}

const char* network_file_system(std::uint32_t magic) noexcept {
  struct Known {
    std::uint32_t magic;
    const char* name;
  };
  static constexpr Known kKnown[] = {
      {0x6969, "NFS"},
      {0x517b, "SMB"},
      {0xfe534d42, "SMB2"},
      {0xff534d42, "CIFS"},
      {0x01021997, "9P"},
      {0x65735546, "FUSE"},
      {0x00c36400, "Ceph"},
      {0x5346414f, "AFS"},
      {0x6b414653, "kAFS"},
      {0x73757245, "Coda"},
      {0x564c, "NCP"},
      {0x0bd00bd0, "Lustre"},
      {0x01161970, "GFS2"},
      {0x7461636f, "OCFS2"},
      {0x47504653, "GPFS"},
      {0x19830326, "BeeGFS"},
      {0x786f4256, "VirtualBox shared folder"},
      {0xaad7aaea, "PanFS"},
  };
  for (const Known& known : kKnown) {
    if (known.magic == magic) return known.name;
  }
  return nullptr;
}

Error prepare_directory(const std::string& directory, bool create) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) {
    if (errno != ENOENT) return lmdb_error(directory, "looking at the directory", errno);
    if (!create) {
      return store_error(ErrorCode::kNotFound, directory, "the directory does not exist");
    }
    if (Error error = make_directory(directory); !error.ok()) return error;
    if (::stat(directory.c_str(), &status) != 0) {
      return lmdb_error(directory, "looking at the directory", errno);
    }
  }
  if (!S_ISDIR(status.st_mode)) {
    return store_error(ErrorCode::kInvalidArgument, directory,
                       "this is a file; the store is a directory");
  }
  struct statfs system {};
  if (::statfs(directory.c_str(), &system) != 0) {
    return lmdb_error(directory, "looking at the file system", errno);
  }
  if (const char* name = network_file_system(static_cast<std::uint32_t>(system.f_type))) {
    return refused("mapping store " + check::quoted(directory) + ": it lies on " + name +
                   ", where LMDB's locks and mapping do not hold; use a local disk");
  }
  return {};
}

Error check_data_file(const LmdbFiles& files, std::uint64_t& missing_pages) {
  // A writer may be at it: LMDB replaces a header in place. What is damaged stays damaged.
  constexpr int kTries = 5;
  Error error;
  for (int i = 0; i < kTries; ++i) {
    error = read_headers(files, missing_pages);
    if (error.code() != ErrorCode::kCorrupt) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return error;
}

Error sync_directory(const std::string& directory) {
  const File file(directory, O_RDONLY | O_DIRECTORY);
  if (file.ok() && ::fsync(file.get()) == 0) return {};
  return lmdb_error(directory, "syncing the directory", errno);
}

}  // namespace cellroute::stores
