#include "arrow_json.h"

#include <arrow/util/utf8.h>

#include <charconv>
#include <cmath>
#include <stdexcept>

#include "base/json_text.h"

namespace gavel::arrow_rows {
namespace {

template <typename Number>
void append_number(Number value, std::string& out) {
  if constexpr (std::is_floating_point_v<Number>) {
    if (std::isnan(value)) {
      out += "null";
      return;
    }
    if (std::isinf(value)) {
      out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
      return;
    }
  }
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  const std::string_view text(digits, static_cast<size_t>(end - digits));
  out += text;
  // 1.0 stays a number with a point, as other writers of JSON have it.
  if (std::is_floating_point_v<Number> && text.find_first_not_of("-0123456789") == text.npos)
    out += ".0";
}

void append_bytes(std::string_view bytes, std::string& out) {
  arrow::util::InitializeUTF8();
  if (arrow::util::ValidateUTF8(bytes)) return append_json_text(bytes, out);
  out += "{\"bytes\":";
  append_number(bytes.size(), out);
  out += '}';
}

template <typename List>
void append_list(const List& list, int64_t i, std::string& out) {
  const auto begin = list.value_offset(i);
  const auto end = begin + list.value_length(i);
  out += '[';
  for (auto k = begin; k < end; ++k) {
    if (k > begin) out += ',';
    append_value(*list.values(), k, out);
  }
  out += ']';
}

// A map from text is an object, another one a list of objects with key and value.
void append_map(const arrow::MapArray& map, int64_t i, std::string& out) {
  if (map.keys()->type_id() != arrow::Type::STRING) return append_list(map, i, out);
  const auto begin = map.value_offset(i);
  out += '{';
  for (auto k = begin; k < begin + map.value_length(i); ++k) {
    if (k > begin) out += ',';
    append_value(*map.keys(), k, out);
    out += ':';
    append_value(*map.items(), k, out);
  }
  out += '}';
}

void append_struct(const arrow::StructArray& fields, int64_t i, std::string& out) {
  out += '{';
  for (int f = 0; f < fields.num_fields(); ++f) {
    if (f > 0) out += ',';
    append_json_text(fields.struct_type()->field(f)->name(), out);
    out += ':';
    append_value(*fields.field(f), i, out);
  }
  out += '}';
}

// Dates, times, decimals and the like.
void append_printed(const arrow::Array& array, int64_t i, std::string& out) {
  const auto scalar = array.GetScalar(i);
  if (!scalar.ok()) throw std::runtime_error(scalar.status().message());
  append_json_text((*scalar)->ToString(), out);
}

template <typename Array>
const Array& as(const arrow::Array& array) {
  return static_cast<const Array&>(array);
}

}  // namespace

void append_value(const arrow::Array& array, int64_t i, std::string& out) {
  using arrow::Type;
  if (array.IsNull(i)) {
    out += "null";
    return;
  }
  switch (array.type_id()) {
    case Type::BOOL:
      out += as<arrow::BooleanArray>(array).Value(i) ? "true" : "false";
      return;
    case Type::INT8:
      return append_number(as<arrow::Int8Array>(array).Value(i), out);
    case Type::INT16:
      return append_number(as<arrow::Int16Array>(array).Value(i), out);
    case Type::INT32:
      return append_number(as<arrow::Int32Array>(array).Value(i), out);
    case Type::INT64:
      return append_number(as<arrow::Int64Array>(array).Value(i), out);
    case Type::UINT8:
      return append_number(as<arrow::UInt8Array>(array).Value(i), out);
    case Type::UINT16:
      return append_number(as<arrow::UInt16Array>(array).Value(i), out);
    case Type::UINT32:
      return append_number(as<arrow::UInt32Array>(array).Value(i), out);
    case Type::UINT64:
      return append_number(as<arrow::UInt64Array>(array).Value(i), out);
    case Type::FLOAT:
      return append_number(as<arrow::FloatArray>(array).Value(i), out);
    case Type::DOUBLE:
      return append_number(as<arrow::DoubleArray>(array).Value(i), out);
    case Type::STRING:
      return append_json_text(as<arrow::StringArray>(array).GetView(i), out);
    case Type::LARGE_STRING:
      return append_json_text(as<arrow::LargeStringArray>(array).GetView(i), out);
    case Type::STRING_VIEW:
      return append_json_text(as<arrow::StringViewArray>(array).GetView(i), out);
    case Type::BINARY:
      return append_bytes(as<arrow::BinaryArray>(array).GetView(i), out);
    case Type::LARGE_BINARY:
      return append_bytes(as<arrow::LargeBinaryArray>(array).GetView(i), out);
    case Type::BINARY_VIEW:
      return append_bytes(as<arrow::BinaryViewArray>(array).GetView(i), out);
    case Type::FIXED_SIZE_BINARY:
      return append_bytes(as<arrow::FixedSizeBinaryArray>(array).GetView(i), out);
    case Type::LIST:
      return append_list(as<arrow::ListArray>(array), i, out);
    case Type::LARGE_LIST:
      return append_list(as<arrow::LargeListArray>(array), i, out);
    case Type::LIST_VIEW:
      return append_list(as<arrow::ListViewArray>(array), i, out);
    case Type::LARGE_LIST_VIEW:
      return append_list(as<arrow::LargeListViewArray>(array), i, out);
    case Type::FIXED_SIZE_LIST:
      return append_list(as<arrow::FixedSizeListArray>(array), i, out);
    case Type::MAP:
      return append_map(as<arrow::MapArray>(array), i, out);
    case Type::STRUCT:
      return append_struct(as<arrow::StructArray>(array), i, out);
    case Type::DICTIONARY: {
      const auto& words = as<arrow::DictionaryArray>(array);
      return append_value(*words.dictionary(), words.GetValueIndex(i), out);
    }
    case Type::EXTENSION:
      return append_value(*as<arrow::ExtensionArray>(array).storage(), i, out);
    case Type::HALF_FLOAT:
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIME32:
    case Type::TIME64:
    case Type::TIMESTAMP:
    case Type::DURATION:
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      return append_printed(array, i, out);
    default:
      throw std::runtime_error("values of the type " + array.type()->ToString() + " are not read");
  }
}

}  // namespace gavel::arrow_rows
