#include "model/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"
#include "model/mapped_array.h"

namespace gavel {
namespace mx = mlx::core;
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // the limit of the reference implementation

struct DtypeName {
  const char* name;
  mx::Dtype dtype;
};
const std::array<DtypeName, 13> kDtypes{{{"F32", mx::float32},
                                         {"F16", mx::float16},
                                         {"BF16", mx::bfloat16},
                                         {"U32", mx::uint32},
                                         {"I32", mx::int32},
                                         {"F64", mx::float64},
                                         {"U8", mx::uint8},
                                         {"I8", mx::int8},
                                         {"U16", mx::uint16},
                                         {"I16", mx::int16},
                                         {"U64", mx::uint64},
                                         {"I64", mx::int64},
                                         {"BOOL", mx::bool_}}};

const char* dtype_name(mx::Dtype dtype, const std::string& tensor) {
  for (const DtypeName& d : kDtypes)
    if (d.dtype == dtype) return d.name;
  fail("tensor {} has a type that safetensors files cannot hold", tensor);
}

SafetensorsFile::Entry parse_entry(const nlohmann::json& j, const std::string& file,
                                   const std::string& tensor, uint64_t data_bytes) {
  const auto bad = [&](const char* what) { fail("{}: tensor {} {}", file, tensor, what); };
  if (!j.is_object()) bad("is not described by an object");
  const auto dtype = j.find("dtype");
  const auto shape = j.find("shape");
  const auto offsets = j.find("data_offsets");
  if (dtype == j.end() || !dtype->is_string()) bad("has no dtype");
  if (shape == j.end() || !shape->is_array() || shape->size() > 8) bad("has no proper shape");
  if (offsets == j.end() || !offsets->is_array() || offsets->size() != 2 ||
      !(*offsets)[0].is_number_unsigned() || !(*offsets)[1].is_number_unsigned())
    bad("has no proper data_offsets");
  const auto type = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeName& d) {
    return dtype->get_ref<const std::string&>() == d.name;
  });
  if (type == kDtypes.end())
    fail("{}: tensor {} has the type {}, which is not supported", file, tensor,
         dtype->get<std::string>());
  SafetensorsFile::Entry e{type->dtype, {}, 0, 0};
  uint64_t bytes = mx::size_of(type->dtype);
  for (const auto& n : *shape) {
    if (!n.is_number_unsigned() || n.get<uint64_t>() > 0x7fffffff)
      bad("has a negative or absurd dimension");
    const auto value = n.get<uint64_t>();
    if (value != 0 && bytes > (uint64_t{1} << 50) / value) bad("has an absurd shape");
    bytes *= value;
    e.shape.push_back(static_cast<int>(value));
  }
  const uint64_t begin = (*offsets)[0].get<uint64_t>();
  const uint64_t end = (*offsets)[1].get<uint64_t>();
  if (begin > end || end > data_bytes)
    fail("{} is cut or corrupt: tensor {} lies at bytes {} to {} of {} bytes of data", file, tensor,
         begin, end, data_bytes);
  if (end - begin != bytes)
    fail("{}: tensor {} has {} bytes where its shape and type need {}", file, tensor, end - begin,
         bytes);
  e.offset = begin;
  e.bytes = bytes;
  return e;
}

void check_no_overlap(const std::map<std::string, SafetensorsFile::Entry>& entries,
                      const std::string& file) {
  std::vector<std::pair<std::string, SafetensorsFile::Entry>> sorted(entries.begin(),
                                                                     entries.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.offset < b.second.offset; });
  for (size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i - 1].second.offset + sorted[i - 1].second.bytes > sorted[i].second.offset)
      fail("{}: the data of tensors {} and {} overlap", file, sorted[i - 1].first, sorted[i].first);
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(std::make_shared<const MappedFile>(path)), name_(path.string()) {
  const auto bytes = file_->bytes();
  if (bytes.size() < 8) fail("{} is cut: a safetensors file has at least 8 bytes", name_);
  uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), 8);
  if (header_bytes > kMaxHeader || header_bytes > bytes.size() - 8)
    fail("{} is cut or no safetensors file: its header would take {} bytes of a file of {}", name_,
         header_bytes, bytes.size());
  const char* text = reinterpret_cast<const char*>(bytes.data()) + 8;
  nlohmann::json header;
  try {
    header = nlohmann::json::parse(text, text + header_bytes);
  } catch (const nlohmann::json::exception& e) {
    fail("{} has a header that is not JSON: {}", name_, e.what());
  }
  if (!header.is_object()) fail("{} has a header that is not a JSON object", name_);
  const uint64_t start = 8 + header_bytes;
  for (const auto& [tensor, description] : header.items()) {
    if (tensor == "__metadata__") {
      if (description.is_null()) continue;  // so MLX writes it where there is none
      if (!description.is_object()) fail("{}: __metadata__ is not an object", name_);
      for (const auto& [key, value] : description.items())
        if (value.is_string()) metadata_[key] = value.get<std::string>();
      continue;
    }
    entries_.emplace(tensor, parse_entry(description, name_, tensor, bytes.size() - start));
  }
  check_no_overlap(entries_, name_);
  for (auto& [tensor, entry] : entries_) entry.offset += start;
}

mx::array SafetensorsFile::read(const std::string& tensor) const {
  const auto it = entries_.find(tensor);
  if (it == entries_.end()) fail("{} has no tensor {}", name_, tensor);
  return mapped_array(file_, it->second.offset, it->second.shape, it->second.dtype);
}

std::map<std::string, mx::array> read_safetensors(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::map<std::string, mx::array> out;
  for (const auto& [tensor, entry] : file.entries()) out.emplace(tensor, file.read(tensor));
  return out;
}

void write_safetensors(const std::filesystem::path& path, const std::vector<NamedArray>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto& [name, array] : tensors) {
    if (header.contains(name)) fail("tensor {} is to be written twice", name);
    const uint64_t end = offset + array.nbytes();
    header[name] = {{"dtype", dtype_name(array.dtype(), name)},
                    {"shape", std::vector<int>(array.shape().begin(), array.shape().end())},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  write_file_atomic(path, [&](std::ostream& out) {
    const uint64_t length = text.size();
    out.write(reinterpret_cast<const char*>(&length), 8);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    for (const auto& [name, array] : tensors) {
      mx::array rows = mx::contiguous(array);
      rows.eval();
      out.write(rows.data<char>(), static_cast<std::streamsize>(rows.nbytes()));
    }
  });
}

}  // namespace gavel
