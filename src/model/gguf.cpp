#include "model/gguf.h"

#include <array>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace gavel {
namespace {

constexpr std::array<GgmlTypeInfo, 16> kTypes{{
    {GgmlType::f32, "F32", 1, 4},
    {GgmlType::f16, "F16", 1, 2},
    {GgmlType::bf16, "BF16", 1, 2},
    {GgmlType::q4_0, "Q4_0", 32, 18},
    {GgmlType::q4_1, "Q4_1", 32, 20},
    {GgmlType::q5_0, "Q5_0", 32, 22},
    {GgmlType::q5_1, "Q5_1", 32, 24},
    {GgmlType::q8_0, "Q8_0", 32, 34},
    {GgmlType::q2_k, "Q2_K", 256, 84},
    {GgmlType::q3_k, "Q3_K", 256, 110},
    {GgmlType::q4_k, "Q4_K", 256, 144},
    {GgmlType::q5_k, "Q5_K", 256, 176},
    {GgmlType::q6_k, "Q6_K", 256, 210},
    {GgmlType::q8_k, "Q8_K", 256, 292},
    {GgmlType::iq4_nl, "IQ4_NL", 32, 18},
    {GgmlType::iq4_xs, "IQ4_XS", 256, 136},
}};

// Reads little-endian values one after another and never past the end.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  size_t position() const { return position_; }
  size_t left() const { return bytes_.size() - position_; }

  template <typename T>
  T take(const char* what) {
    need(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof value);
    position_ += sizeof value;
    return value;
  }

  std::string string(const char* what) {
    const uint64_t length = take<uint64_t>(what);
    need(length, what);
    std::string out(reinterpret_cast<const char*>(bytes_.data()) + position_, length);
    position_ += length;
    return out;
  }

  void need(uint64_t count, const char* what) const {
    if (count > left())
      fail("{} is cut or corrupt: {} at byte {} would take {} bytes, and {} are left", name_, what,
           position_, count, left());
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& name_;
  size_t position_ = 0;
};

int value_bytes(GgufValueType type) {
  switch (type) {
    case GgufValueType::u8:
    case GgufValueType::i8:
    case GgufValueType::boolean:
      return 1;
    case GgufValueType::u16:
    case GgufValueType::i16:
      return 2;
    case GgufValueType::u32:
    case GgufValueType::i32:
    case GgufValueType::f32:
      return 4;
    case GgufValueType::u64:
    case GgufValueType::i64:
    case GgufValueType::f64:
    case GgufValueType::string:  // at least its length
    case GgufValueType::array:
      return 8;
  }
  return 0;
}

bool is_float(GgufValueType t) { return t == GgufValueType::f32 || t == GgufValueType::f64; }

double take_float(Cursor& in, GgufValueType type, const char* what) {
  return type == GgufValueType::f32 ? double{in.take<float>(what)} : in.take<double>(what);
}

int64_t take_signed(Cursor& in, GgufValueType type, const char* what) {
  switch (type) {
    case GgufValueType::i8:
      return in.take<int8_t>(what);
    case GgufValueType::i16:
      return in.take<int16_t>(what);
    case GgufValueType::i32:
      return in.take<int32_t>(what);
    default:
      return in.take<int64_t>(what);
  }
}

uint64_t take_unsigned(Cursor& in, GgufValueType type, const char* what) {
  switch (type) {
    case GgufValueType::u8:
    case GgufValueType::boolean:
      return in.take<uint8_t>(what);
    case GgufValueType::u16:
      return in.take<uint16_t>(what);
    case GgufValueType::u32:
      return in.take<uint32_t>(what);
    default:
      return in.take<uint64_t>(what);
  }
}

bool is_signed(GgufValueType t) {
  return t == GgufValueType::i8 || t == GgufValueType::i16 || t == GgufValueType::i32 ||
         t == GgufValueType::i64;
}

GgufValueType take_type(Cursor& in, const std::string& name, const std::string& key) {
  const uint32_t type = in.take<uint32_t>("a metadata type");
  if (type > static_cast<uint32_t>(GgufValueType::f64))
    fail("{}: metadata {} has the unknown type {}", name, key, type);
  return static_cast<GgufValueType>(type);
}

void take_array(Cursor& in, const std::string& name, const std::string& key, GgufValue& out) {
  out.element = take_type(in, name, key);
  const uint64_t count = in.take<uint64_t>("an array's length");
  if (out.element == GgufValueType::array)
    fail("{}: metadata {} is an array of arrays, which is not supported", name, key);
  // Bounds the allocation below by the file's own size.
  if (count > in.left() / static_cast<uint64_t>(value_bytes(out.element)))
    fail("{} is cut or corrupt: metadata {} claims {} elements, and {} bytes are left", name, key,
         count, in.left());
  if (out.element == GgufValueType::string) {
    std::vector<std::string> list;
    list.reserve(count);
    for (uint64_t i = 0; i < count; ++i) list.push_back(in.string("a string"));
    out.value = std::move(list);
  } else if (is_float(out.element)) {
    std::vector<double> list(count);
    for (double& v : list) v = take_float(in, out.element, "a number");
    out.value = std::move(list);
  } else {
    std::vector<int64_t> list(count);
    for (int64_t& v : list) {
      if (is_signed(out.element)) {
        v = take_signed(in, out.element, "a number");
        continue;
      }
      const uint64_t u = take_unsigned(in, out.element, "a number");
      if (u > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        fail("{}: metadata {} has an element too large: {}", name, key, u);
      v = static_cast<int64_t>(u);
    }
    out.value = std::move(list);
  }
}

GgufValue take_value(Cursor& in, const std::string& name, const std::string& key) {
  GgufValue out;
  out.type = take_type(in, name, key);
  if (out.type == GgufValueType::array) {
    take_array(in, name, key, out);
  } else if (out.type == GgufValueType::string) {
    out.value = in.string("a string");
  } else if (is_float(out.type)) {
    out.value = take_float(in, out.type, "a number");
  } else if (out.type == GgufValueType::boolean) {
    out.value = in.take<uint8_t>("a boolean") != 0;
  } else if (is_signed(out.type)) {
    out.value = take_signed(in, out.type, "a number");
  } else {
    out.value = take_unsigned(in, out.type, "a number");
  }
  return out;
}

// A tensor's name, dimensions, type and offset; the data's size follows from them. Offsets are
// still relative to the data section.
GgufTensor take_tensor(Cursor& in, const std::string& name) {
  GgufTensor t;
  t.name = in.string("a tensor's name");
  const uint32_t rank = in.take<uint32_t>("a tensor's rank");
  if (rank < 1 || rank > 4)
    fail("{}: tensor {} has {} dimensions; 1 to 4 are possible", name, t.name, rank);
  uint64_t count = 1;
  for (uint32_t d = 0; d < rank; ++d) {
    const uint64_t n = in.take<uint64_t>("a tensor's dimension");
    if (n < 1 || n > uint64_t{std::numeric_limits<int32_t>::max()} ||
        count > (uint64_t{1} << 48) / n)
      fail("{}: tensor {} has an absurd dimension: {}", name, t.name, n);
    count *= n;
    t.shape.insert(t.shape.begin(), static_cast<int64_t>(n));
  }
  const uint32_t type = in.take<uint32_t>("a tensor's type");
  const GgmlTypeInfo* info = ggml_type_info(type);
  if (info == nullptr)
    fail(
        "{}: tensor {} has the type number {}, which is not supported; supported are F32, F16, "
        "BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, the K-quants, IQ4_NL and IQ4_XS",
        name, t.name, type);
  t.type = info->type;
  if (t.shape.back() % info->block_values != 0)
    fail("{}: tensor {} is {} with rows of {} values, which do not divide into blocks of {}", name,
         t.name, info->name, t.shape.back(), info->block_values);
  t.bytes =
      count / static_cast<uint64_t>(info->block_values) * static_cast<uint64_t>(info->block_bytes);
  t.offset = in.take<uint64_t>("a tensor's offset");
  return t;
}

}  // namespace

const GgmlTypeInfo* ggml_type_info(uint32_t type) {
  for (const GgmlTypeInfo& info : kTypes)
    if (static_cast<uint32_t>(info.type) == type) return &info;
  return nullptr;
}

const GgmlTypeInfo& ggml_type_info(GgmlType type) {
  return *ggml_type_info(static_cast<uint32_t>(type));
}

GgufFile::GgufFile(const std::filesystem::path& path) : file_(path), name_(path.string()) {
  Cursor in(file_.bytes(), name_);
  if (in.left() < 4 || std::memcmp(file_.bytes().data(), "GGUF", 4) != 0)
    fail("{} is not a GGUF file: it does not begin with \"GGUF\"", name_);
  in.take<uint32_t>("the magic");
  const uint32_t version = in.take<uint32_t>("the version");
  if ((version & 0xffffu) == 0 && version != 0)
    fail("{} is a big-endian GGUF file, which is not supported", name_);
  if (version < 2 || version > 3)
    fail("{} is a GGUF file of version {}; versions 2 and 3 are supported", name_, version);
  const uint64_t tensor_count = in.take<uint64_t>("the number of tensors");
  const uint64_t value_count = in.take<uint64_t>("the number of metadata values");
  // The smallest entries take 8 + 4 + 1 and 8 + 4 + 8 + 4 + 8 bytes.
  if (value_count > in.left() / 13)
    fail("{} is cut or corrupt: it claims {} metadata values in {} bytes", name_, value_count,
         in.left());
  for (uint64_t i = 0; i < value_count; ++i) {
    std::string key = in.string("a metadata key");
    GgufValue value = take_value(in, name_, key);
    if (!metadata_.emplace(key, std::move(value)).second)
      fail("{}: metadata {} appears twice", name_, key);
  }
  if (tensor_count > in.left() / 32)
    fail("{} is cut or corrupt: it claims {} tensors in {} bytes", name_, tensor_count, in.left());
  const int64_t alignment = integer("general.alignment").value_or(32);
  if (alignment < 8 || alignment > (1 << 20) || (alignment & (alignment - 1)) != 0)
    fail("{}: general.alignment is {}; it must be a power of two from 8 up", name_, alignment);
  tensors_.reserve(tensor_count);
  for (uint64_t i = 0; i < tensor_count; ++i) {
    tensors_.push_back(take_tensor(in, name_));
    if (!tensor_index_.emplace(tensors_.back().name, i).second)
      fail("{}: tensor {} appears twice", name_, tensors_.back().name);
  }
  const size_t step = static_cast<size_t>(alignment);
  const size_t start = (in.position() + step - 1) / step * step;
  const size_t size = file_.bytes().size();
  for (GgufTensor& t : tensors_) {
    if (t.offset % step != 0)
      fail("{}: tensor {} begins at offset {}, which is not a multiple of {}", name_, t.name,
           t.offset, alignment);
    if (start > size || t.offset > size - start || t.bytes > size - start - t.offset)
      fail(
          "{} is cut or corrupt: tensor {} would take {} bytes from offset {} of the data, past "
          "the end of the file",
          name_, t.name, t.bytes, t.offset);
    t.offset += start;
  }
}

const GgufTensor* GgufFile::find_tensor(const std::string& name) const {
  const auto it = tensor_index_.find(name);
  return it == tensor_index_.end() ? nullptr : &tensors_[it->second];
}

const GgufValue* GgufFile::find(const std::string& key) const {
  const auto it = metadata_.find(key);
  return it == metadata_.end() ? nullptr : &it->second;
}

std::optional<int64_t> GgufFile::integer(const std::string& key) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return std::nullopt;
  if (const auto* i = std::get_if<int64_t>(&v->value)) return *i;
  if (const auto* u = std::get_if<uint64_t>(&v->value))
    if (*u <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return static_cast<int64_t>(*u);
  fail("{}: metadata {} must be a whole number", name_, key);
}

std::optional<double> GgufFile::number(const std::string& key) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return std::nullopt;
  if (const auto* d = std::get_if<double>(&v->value)) return *d;
  return static_cast<double>(*integer(key));
}

std::optional<bool> GgufFile::boolean(const std::string& key) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return std::nullopt;
  if (const auto* b = std::get_if<bool>(&v->value)) return *b;
  fail("{}: metadata {} must be a boolean", name_, key);
}

const std::string* GgufFile::text(const std::string& key) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return nullptr;
  if (const auto* s = std::get_if<std::string>(&v->value)) return s;
  fail("{}: metadata {} must be a string", name_, key);
}

const std::vector<std::string>* GgufFile::strings(const std::string& key) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return nullptr;
  if (const auto* s = std::get_if<std::vector<std::string>>(&v->value)) return s;
  fail("{}: metadata {} must be an array of strings", name_, key);
}

const std::vector<int64_t>* GgufFile::integers(const std::string& key) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return nullptr;
  if (const auto* s = std::get_if<std::vector<int64_t>>(&v->value)) return s;
  fail("{}: metadata {} must be an array of whole numbers", name_, key);
}

const std::vector<double>* GgufFile::numbers(const std::string& key) const {
  const GgufValue* v = find(key);
  if (v == nullptr) return nullptr;
  if (const auto* s = std::get_if<std::vector<double>>(&v->value)) return s;
  fail("{}: metadata {} must be an array of numbers", name_, key);
}

}  // namespace gavel
