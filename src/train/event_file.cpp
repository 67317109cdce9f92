#include "train/event_file.h"

#include <array>
#include <bit>
#include <chrono>

#include "base/error.h"

namespace gavel {
namespace {

// ---- protobuf's wire format --------------------------------------------------------------------

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}

template <typename T>
std::string little_endian(T value) {
  std::string out;
  for (size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string number_field(int field, int64_t value) {
  return varint(static_cast<uint64_t>(field) << 3) + varint(static_cast<uint64_t>(value));
}
std::string float_field(int field, float value) {
  return varint(static_cast<uint64_t>(field) << 3 | 5) +
         little_endian(std::bit_cast<uint32_t>(value));
}
std::string double_field(int field, double value) {
  return varint(static_cast<uint64_t>(field) << 3 | 1) +
         little_endian(std::bit_cast<uint64_t>(value));
}
std::string bytes_field(int field, std::string_view bytes) {
  std::string out = varint(static_cast<uint64_t>(field) << 3 | 2) + varint(bytes.size());
  return out.append(bytes);
}

// ---- TFRecord ----------------------------------------------------------------------------------

std::string masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return little_endian<uint32_t>(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
}

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = crc_table();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ crc >> 8;
  return ~crc;
}

EventFile::EventFile(const std::filesystem::path& path)
    : out_(path, std::ios::binary | std::ios::trunc) {
  if (!out_) fail("cannot write {}", path.string());
  event(0, bytes_field(3, "brain.Event:2"));  // file_version
}

void EventFile::event(int64_t step, const std::string& fields) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::string data =
      double_field(1, std::chrono::duration<double>(now).count()) + number_field(2, step) + fields;
  const std::string length = little_endian<uint64_t>(data.size());
  out_ << length << masked_crc(length) << data << masked_crc(data);
  out_.flush();
}

void EventFile::numbers(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  std::string summary;
  for (const auto& [name, value] : values)
    summary += bytes_field(1, bytes_field(1, name) + float_field(2, static_cast<float>(value)));
  event(step, bytes_field(5, summary));
}

void EventFile::text(int64_t step, const std::string& name, const std::string& markdown) {
  constexpr int kString = 7;                                   // of DataType
  const std::string one = bytes_field(2, number_field(1, 1));  // the shape [1]
  const std::string tensor =
      number_field(1, kString) + bytes_field(2, one) + bytes_field(8, markdown);
  const std::string metadata = bytes_field(1, bytes_field(1, "text"));  // of the plugin so called
  event(step, bytes_field(5, bytes_field(1, bytes_field(1, name) + bytes_field(8, tensor) +
                                                bytes_field(9, metadata))));
}

void EventFile::restart(int64_t step) { event(step, bytes_field(7, number_field(1, 1))); }

}  // namespace gavel
