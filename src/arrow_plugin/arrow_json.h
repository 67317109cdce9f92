// Values of Arrow's arrays as JSON.
#pragma once

#include <arrow/api.h>

#include <string>

namespace gavel::arrow_rows {

// Appends value `i` of the array. Numbers, booleans, text, lists and structs are those of JSON;
// NaN is null; dates, times and decimals are text as Arrow prints them; bytes are text where they
// are UTF-8, else {"bytes": how many}. Throws std::runtime_error for a type that has no JSON.
void append_value(const arrow::Array& array, int64_t i, std::string& out);

}  // namespace gavel::arrow_rows
