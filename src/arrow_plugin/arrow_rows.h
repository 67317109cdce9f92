// What gavel asks of libgavel_arrow.so, which reads Parquet and Arrow files with Apache Arrow's C++
// library: the rows as lines of JSON. The library is some 60 MB, so it is loaded when a file needs
// it and no build needs it. A plain C interface, since nothing of Arrow's may be in gavel itself.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct GavelArrowRows;

// Null where the file cannot be read; why is written to `error`, as it is by the next one.
GavelArrowRows* gavel_arrow_open(const char* path, char* error, size_t error_size);

// The next rows, each a line of JSON, in `text`, which is valid until the next call; no bytes at
// the end. `done` and `total` are rows, or bytes where rows are not known. Returns 0, or 1 for an
// error.
int gavel_arrow_next(GavelArrowRows* rows, const char** text, size_t* size, int64_t* done,
                     int64_t* total, char* error, size_t error_size);

void gavel_arrow_close(GavelArrowRows* rows);
}
