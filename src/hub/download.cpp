#include "hub/download.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/gguf_part_name.h"
#include "base/interrupt.h"
#include "hub/cache.h"
#include "hub/http.h"

namespace gavel::hub {
namespace fs = std::filesystem;
namespace {

// What the hub says of one file.
struct RemoteFile {
  std::string name;
  std::string url;   // at the hub
  std::string at;    // where the contents are: the same, or signed and good for a while
  std::string etag;  // SHA-256 of large files, git's SHA-1 of small ones
  uint64_t size = 0;
  fs::path blob;
};

// ---- hashes ----

std::string hash_of(const fs::path& path, const EVP_MD* kind, const std::string& prefix) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> ctx(EVP_MD_CTX_new(),
                                                                    EVP_MD_CTX_free);
  EVP_DigestInit_ex(ctx.get(), kind, nullptr);
  EVP_DigestUpdate(ctx.get(), prefix.data(), prefix.size());
  std::ifstream in(path, std::ios::binary);
  std::vector<char> buffer(size_t{1} << 20);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0)
    EVP_DigestUpdate(ctx.get(), buffer.data(), static_cast<size_t>(in.gcount()));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_DigestFinal_ex(ctx.get(), digest, &length);
  std::string out;
  for (unsigned i = 0; i < length; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

// Whether the contents are those that the etag names. An etag of another kind says nothing.
bool matches(const fs::path& path, const std::string& etag, uint64_t size) {
  if (etag.find_first_not_of("0123456789abcdef") != std::string::npos) return true;
  if (etag.size() == 64) return hash_of(path, EVP_sha256(), "") == etag;
  if (etag.size() == 40)
    return hash_of(path, EVP_sha1(), fmt::format("blob {}", size) + '\0') == etag;
  return true;
}

// ---- files ----

// Held while a blob is written, under the name that huggingface_hub uses too.
class FileLock {
 public:
  explicit FileLock(const fs::path& path) {
    fs::create_directories(path.parent_path());
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) fail("cannot write {}: {}", path.string(), std::strerror(errno));
    while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~FileLock() { ::close(fd_); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_ = -1;
};

// The file that receives a download: appended to, or begun anew.
class Incomplete {
 public:
  explicit Incomplete(fs::path path) : path_(std::move(path)) {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) fail("cannot write {}: {}", path_.string(), std::strerror(errno));
    size_ = static_cast<uint64_t>(::lseek(fd_, 0, SEEK_END));
  }
  ~Incomplete() { ::close(fd_); }
  Incomplete(const Incomplete&) = delete;
  Incomplete& operator=(const Incomplete&) = delete;

  uint64_t size() const { return size_; }
  void clear() {
    if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) != 0)
      fail("cannot write {}: {}", path_.string(), std::strerror(errno));
    size_ = 0;
  }
  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail("cannot write {}: {}", path_.string(), std::strerror(errno));
      bytes.remove_prefix(static_cast<size_t>(n));
      size_ += static_cast<uint64_t>(n);
    }
  }
  void sync() {
    if (::fsync(fd_) != 0) fail("cannot sync {}: {}", path_.string(), std::strerror(errno));
  }

 private:
  fs::path path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

// snapshots/<commit>/<file> -> ../../blobs/<etag>, replaced atomically.
void link(const fs::path& snapshot, const RemoteFile& file) {
  fs::path target = "../..";
  for (const char c : file.name)
    if (c == '/') target /= "..";
  target = target / "blobs" / file.etag;
  const fs::path at = snapshot / file.name;
  std::error_code ec;
  if (fs::read_symlink(at, ec) == target && !ec) return;
  fs::create_directories(at.parent_path(), ec);
  const fs::path temporary =
      at.parent_path() / fmt::format(".{}.{}", at.filename().string(), ::getpid());
  fs::remove(temporary, ec);
  fs::create_symlink(target, temporary);
  fs::rename(temporary, at);
}

// ---- what the hub says ----

std::string quoted(const std::string& text, bool keep_slash) {
  std::string out;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string_view("-._~+").find(c) != std::string_view::npos;
    out += plain || (c == '/' && keep_slash)
               ? std::string(1, c)
               : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

RemoteFile ask_file(HttpClient& http, const HubName& name, const std::string& commit,
                    const std::string& file, const HubOptions& o) {
  RemoteFile f;
  f.name = file;
  f.url = fmt::format("{}/{}{}/resolve/{}/{}", o.endpoint, name.data_set ? "datasets/" : "",
                      name.repo, commit, quoted(file, true));
  const Answer a = http.head(f.url);
  if (a.status >= 400 || a.status < 200) fail_for(a, name, o, file);
  f.at = a.url;
  if (const auto says = a.header("x-repo-commit"); !says.empty() && says != commit)
    fail("{} answers for commit {} instead of {}", f.url, says, commit);
  const bool linked = !a.header("x-linked-etag").empty();
  f.etag = a.header(linked ? "x-linked-etag" : "etag");
  if (f.etag.starts_with("W/")) f.etag.erase(0, 2);
  std::erase(f.etag, '"');
  const bool has_size = linked && !a.header("x-linked-size").empty();
  const std::string size = a.header(has_size ? "x-linked-size" : "content-length");
  if (!is_plain_name(f.etag)) fail("{} has no usable ETag, so it cannot be cached", f.url);
  if (size.empty() || size.size() > 15 || size.find_first_not_of("0123456789") != std::string::npos)
    fail("{} does not say how large it is", f.url);
  f.size = std::stoull(size);
  f.blob = repo_directory(o, name) / "blobs" / f.etag;
  return f;
}

// ---- the download ----

// Bytes of all files together, shown by one thread at a time.
class Progress {
 public:
  Progress(const HubOptions& o, uint64_t total) : options_(o), total_(total) {}
  void add(int64_t bytes) {
    std::lock_guard lock(mutex_);
    done_ += static_cast<uint64_t>(bytes);
    if (options_.progress) options_.progress(std::min(done_, total_), total_);
  }

 private:
  const HubOptions& options_;
  std::mutex mutex_;
  uint64_t done_ = 0, total_;
};

// One GET into `out`, taking up where it ends. True where the file is then whole.
bool receive(HttpClient& http, const RemoteFile& file, const HubName& name, const HubOptions& o,
             Incomplete& out, Progress& progress, Answer& answer, std::string& error) {
  const auto drop = [&] {
    progress.add(-static_cast<int64_t>(out.size()));
    out.clear();
  };
  if (out.size() > file.size) drop();
  if (out.size() == file.size) return true;
  bool too_long = false;
  const HttpClient::Receiver receiver{
      [&](const Answer& a) {
        if (a.status == 206 &&
            a.header("content-range").starts_with(fmt::format("bytes {}-", out.size())))
          return true;
        if (a.status == 206 || a.status == 416) drop();  // not what was asked for: from the start
        if (a.status != 200) return false;
        if (out.size() > 0) drop();  // the server does not resume
        return true;
      },
      [&](std::string_view bytes) {
        too_long = out.size() + bytes.size() > file.size;
        if (too_long || interrupted()) return false;
        out.append(bytes);
        progress.add(static_cast<int64_t>(bytes.size()));
        return true;
      }};
  const bool whole = http.get_range(file.at, out.size(), receiver, answer, error);
  if (too_long) {
    drop();
    fail("{} is longer than the {} bytes that the hub announced", file.url, file.size);
  }
  // A signed address may have expired: the caller asks for a new one.
  const bool expired = answer.status == 403 && file.at != file.url;
  const bool refused =
      answer.status >= 400 && answer.status != 416 && !may_pass(answer.status) && !expired;
  if (refused) fail_for(answer, name, o, file.name);
  if (whole && out.size() < file.size) error = "the connection ended early";
  return out.size() == file.size;
}

void fetch_blob(HttpClient& http, RemoteFile file, const HubName& name, const HubOptions& o,
                Progress& progress) {
  const FileLock lock(o.cache / ".locks" / repo_directory(o, name).filename() /
                      (file.etag + ".lock"));
  std::error_code ec;
  if (fs::exists(file.blob, ec)) {  // meanwhile, by another process
    progress.add(static_cast<int64_t>(file.size));
    return;
  }
  fs::path part = file.blob;
  part += ".incomplete";
  for (int tries = 0; tries < 2; ++tries) {
    Incomplete out(part);
    progress.add(static_cast<int64_t>(out.size()));
    const bool resumed = out.size() > 0;
    Answer answer;
    std::string error;
    uint64_t most = out.size();
    for (int attempt = 0; !receive(http, file, name, o, out, progress, answer, error); ++attempt) {
      if (interrupted())
        fail("interrupted after {} of {} bytes of {}; the next try goes on from there", out.size(),
             file.size, file.name);
      if (out.size() > most) attempt = 0;  // it did bring something new
      most = std::max(most, out.size());
      if (attempt + 1 < o.attempts && http.wait_to_repeat(attempt, answer)) {
        if (file.at != file.url) file.at = http.head(file.url).url;
        continue;
      }
      if (may_pass(answer.status)) fail_for(answer, name, o, file.name);
      fail("{} broke off after {} of {} bytes ({}); the next try goes on from there", file.url,
           out.size(), file.size, error);
    }
    out.sync();
    if (matches(part, file.etag, file.size)) {
      fs::rename(part, file.blob);
      return;
    }
    // Old bytes may be to blame: once more from the start.
    progress.add(-static_cast<int64_t>(out.size()));
    fs::remove(part, ec);
    if (!resumed) break;
  }
  fail("{} does not have the contents that the hub announced (hash {})", file.url, file.etag);
}

// Runs work(client, i) for all i on a few connections; the first error stops the rest.
void on_connections(size_t count, const HubOptions& o,
                    const std::function<void(HttpClient&, size_t)>& work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr first;
  const auto run = [&] {
    sigset_t set;  // a broken connection is an error of the request, not the end of the process
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    try {
      HttpClient http(o);
      for (size_t i; (i = next.fetch_add(1)) < count;) work(http, i);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!first) first = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> threads;
  for (size_t t = 0; t < std::min<size_t>(count, static_cast<size_t>(std::max(1, o.connections)));
       ++t)
    threads.emplace_back(run);
  for (auto& t : threads) t.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace

Revision ask_revision(const HubName& name, const HubOptions& o) {
  // A revision may have slashes, and is one segment of the path.
  const std::string url =
      fmt::format("{}/api/{}/{}/revision/{}", o.endpoint, name.data_set ? "datasets" : "models",
                  name.repo, quoted(name.revision, false));
  Answer answer;
  on_connections(1, o, [&](HttpClient& http, size_t) { answer = http.get(url); });
  if (answer.status != 200) fail_for(answer, name, o);
  const auto json = nlohmann::json::parse(answer.body, nullptr, false);
  Revision r;
  if (json.is_object() && json.contains("sha") && json["sha"].is_string())
    r.commit = json["sha"].get<std::string>();
  if (!is_commit(r.commit)) fail("{} does not answer as a hub does: no commit", url);
  if (json.contains("siblings") && json["siblings"].is_array())
    for (const auto& file : json["siblings"])
      if (file.is_object() && file.contains("rfilename") && file["rfilename"].is_string())
        r.files.push_back(file["rfilename"].get<std::string>());
  return r;
}

fs::path download(const HubName& name, const HubOptions& o) {
  const Revision revision = ask_revision(name, o);
  const fs::path snapshot = download_files(
      name, revision.commit,
      name.file.empty() ? needed_files(revision.files, name.repo) : gguf_part_names(name.file), o);
  return name.file.empty() ? snapshot : snapshot / name.file;
}

fs::path download_files(const HubName& name, const std::string& commit,
                        const std::vector<std::string>& names, const HubOptions& o) {
  std::vector<RemoteFile> files(names.size());
  on_connections(names.size(), o, [&](HttpClient& http, size_t i) {
    files[i] = ask_file(http, name, commit, names[i], o);
  });

  const fs::path repo = repo_directory(o, name);
  const fs::path snapshot = repo / "snapshots" / commit;
  std::error_code ec;
  fs::create_directories(repo / "blobs", ec);
  fs::create_directories(snapshot, ec);
  if (ec) fail("cannot create {}: {}", snapshot.string(), ec.message());
  std::vector<RemoteFile> missing;
  uint64_t total = 0;
  for (const RemoteFile& f : files) {
    if (fs::exists(f.blob, ec)) continue;
    missing.push_back(f);
    total += f.size;
  }
  const auto space = fs::space(repo, ec);
  if (!ec && space.available < total)
    fail("{} needs {:.1f} GB, and {} has {:.1f} GB free", name.repo,
         static_cast<double>(total) / 1e9, o.cache.string(),
         static_cast<double>(space.available) / 1e9);
  if (!missing.empty())
    spdlog::info("downloading {}@{} ({:.1f} MB) to {}", name.repo, name.revision,
                 static_cast<double>(total) / 1e6, repo.string());
  Progress progress(o, total);
  on_connections(missing.size(), o, [&](HttpClient& http, size_t i) {
    fetch_blob(http, missing[i], name, o, progress);
  });
  for (const RemoteFile& f : files) link(snapshot, f);
  if (name.revision != commit) {
    const fs::path ref = repo / "refs" / name.revision;
    fs::create_directories(ref.parent_path(), ec);
    write_file_atomic(ref, commit);
  }
  return snapshot;
}

}  // namespace gavel::hub
