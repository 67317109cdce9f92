#include "export/gguf_writer.h"

#include <algorithm>
#include <cstring>
#include <ostream>

#include "base/error.h"
#include "base/file.h"
#include "base/gguf_part_name.h"
#include "base/threads.h"

namespace gavel {
namespace {

constexpr size_t kAlignment = 32;
constexpr size_t kChunk = size_t{4} << 20;

template <typename T>
void put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void put_text(std::string& out, const std::string& text) {
  put<uint64_t>(out, text.size());
  out += text;
}

void put_key(std::string& out, const std::string& key, GgufValueType type) {
  put_text(out, key);
  put(out, static_cast<uint32_t>(type));
}

size_t row_bytes(const GgufOutTensor& t) {
  const GgmlTypeInfo& info = ggml_type_info(t.type);
  if (t.shape.back() % info.block_values != 0)
    fail("tensor {} has rows of {} values, which do not divide into {}'s blocks of {}", t.name,
         t.shape.back(), info.name, info.block_values);
  return static_cast<size_t>(t.shape.back() / info.block_values * info.block_bytes);
}

int64_t row_count(const GgufOutTensor& t) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < t.shape.size(); ++i) rows *= t.shape[i];
  return rows;
}

size_t data_bytes(const GgufOutTensor& t) {
  return static_cast<size_t>(row_count(t)) * row_bytes(t);
}

size_t aligned(size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

void write_tensor(std::ostream& out, const GgufOutTensor& t) {
  const size_t bytes = row_bytes(t);
  const int64_t rows = row_count(t);
  const auto step = static_cast<int64_t>(std::max<size_t>(1, kChunk / bytes));
  std::vector<std::byte> buffer;
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t end = std::min(rows, begin + step);
    buffer.resize(static_cast<size_t>(end - begin) * bytes);
    parallel_for_dynamic(end - begin, 16, [&](int64_t from, int64_t to) {
      for (int64_t r = from; r < to; ++r)
        t.write_row(begin + r, buffer.data() + static_cast<size_t>(r) * bytes);
    });
    out.write(reinterpret_cast<const char*>(buffer.data()),
              static_cast<std::streamsize>(buffer.size()));
  }
  const size_t total = data_bytes(t);
  const std::string padding(aligned(total) - total, '\0');
  out.write(padding.data(), static_cast<std::streamsize>(padding.size()));
}

}  // namespace

void GgufWriter::set(const std::string& key, const std::string& value) {
  put_key(metadata_, key, GgufValueType::string);
  put_text(metadata_, value);
  ++metadata_count_;
}

void GgufWriter::set_u32(const std::string& key, uint32_t value) {
  put_key(metadata_, key, GgufValueType::u32);
  put(metadata_, value);
  ++metadata_count_;
}

void GgufWriter::set_f32(const std::string& key, float value) {
  put_key(metadata_, key, GgufValueType::f32);
  put(metadata_, value);
  ++metadata_count_;
}

void GgufWriter::set_bool(const std::string& key, bool value) {
  put_key(metadata_, key, GgufValueType::boolean);
  put<uint8_t>(metadata_, value ? 1 : 0);
  ++metadata_count_;
}

void GgufWriter::set_strings(const std::string& key, const std::vector<std::string>& values) {
  put_key(metadata_, key, GgufValueType::array);
  put(metadata_, static_cast<uint32_t>(GgufValueType::string));
  put<uint64_t>(metadata_, values.size());
  for (const std::string& v : values) put_text(metadata_, v);
  ++metadata_count_;
}

void GgufWriter::set_i32s(const std::string& key, const std::vector<int>& values) {
  put_key(metadata_, key, GgufValueType::array);
  put(metadata_, static_cast<uint32_t>(GgufValueType::i32));
  put<uint64_t>(metadata_, values.size());
  for (const int v : values) put(metadata_, static_cast<int32_t>(v));
  ++metadata_count_;
}

void GgufWriter::set_f32s(const std::string& key, const std::vector<float>& values) {
  put_key(metadata_, key, GgufValueType::array);
  put(metadata_, static_cast<uint32_t>(GgufValueType::f32));
  put<uint64_t>(metadata_, values.size());
  for (const float v : values) put(metadata_, v);
  ++metadata_count_;
}

void GgufWriter::write_part(const std::filesystem::path& path, const std::string& metadata,
                            uint64_t count, Tensors tensors) const {
  std::string head = "GGUF";
  put<uint32_t>(head, 3);
  put<uint64_t>(head, tensors.size());
  put<uint64_t>(head, count);
  head += metadata;
  uint64_t offset = 0;
  for (const GgufOutTensor& t : tensors) {
    put_text(head, t.name);
    put(head, static_cast<uint32_t>(t.shape.size()));
    for (auto it = t.shape.rbegin(); it != t.shape.rend(); ++it)
      put(head, static_cast<uint64_t>(*it));
    put(head, static_cast<uint32_t>(t.type));
    put(head, offset);
    offset += aligned(data_bytes(t));
  }
  head.resize(aligned(head.size()));
  write_file_atomic(path, [&](std::ostream& out) {
    out.write(head.data(), static_cast<std::streamsize>(head.size()));
    for (const GgufOutTensor& t : tensors) write_tensor(out, t);
  });
}

std::vector<std::filesystem::path> GgufWriter::write(const std::filesystem::path& path,
                                                     uint64_t part_bytes) const {
  std::vector<Tensors> parts;
  size_t begin = 0;
  uint64_t bytes = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const uint64_t next = aligned(data_bytes(tensors_[i]));
    if (part_bytes > 0 && i > begin && bytes + next > part_bytes) {
      parts.push_back(Tensors(tensors_).subspan(begin, i - begin));
      begin = i;
      bytes = 0;
    }
    bytes += next;
  }
  parts.push_back(Tensors(tensors_).subspan(begin));
  if (parts.size() == 1) {
    write_part(path, metadata_, metadata_count_, parts[0]);
    return {path};
  }
  if (parts.size() > 65535) fail("{} parts are too many: choose larger ones", parts.size());
  const std::string prefix = gguf_part_prefix(path);
  std::vector<std::filesystem::path> out(parts.size());
  for (size_t i = parts.size(); i-- > 0;) {
    std::string metadata = i == 0 ? metadata_ : "";
    put_key(metadata, "split.no", GgufValueType::u16);
    put(metadata, static_cast<uint16_t>(i));
    put_key(metadata, "split.count", GgufValueType::u16);
    put(metadata, static_cast<uint16_t>(parts.size()));
    put_key(metadata, "split.tensors.count", GgufValueType::i32);
    put(metadata, static_cast<int32_t>(tensors_.size()));
    out[i] = path.parent_path() /
             gguf_part_name({prefix, static_cast<int>(i) + 1, static_cast<int>(parts.size())});
    write_part(out[i], metadata, (i == 0 ? metadata_count_ : 0) + 3, parts[i]);
  }
  return out;
}

}  // namespace gavel
