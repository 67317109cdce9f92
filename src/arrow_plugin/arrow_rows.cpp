// Parquet files, Arrow IPC files and Arrow IPC streams as lines of JSON, a batch of rows at a time.
#include "arrow_rows.h"

#include <arrow/api.h>
#include <arrow/io/api.h>
#include <arrow/ipc/api.h>
#include <parquet/arrow/reader.h>
#include <parquet/properties.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "arrow_json.h"
#include "base/json_text.h"

namespace {

// Files that need more memory than this were made to fill it. Arrow's threads may give a buffer
// back after the reader that asked for it is gone, so the pool stays.
arrow::MemoryPool* pool() {
  constexpr int64_t kMaxMemory = int64_t{1} << 30;
  static auto* const capped = new arrow::CappedMemoryPool(arrow::default_memory_pool(), kMaxMemory);
  return capped;
}

}  // namespace

struct GavelArrowRows {
  static constexpr int64_t kBatch = 64;  // rows of Parquet that are decoded together

  std::shared_ptr<arrow::io::ReadableFile> file;
  std::shared_ptr<arrow::io::BufferedInputStream> stream;  // of an IPC stream
  std::unique_ptr<parquet::arrow::FileReader> parquet;
  std::shared_ptr<arrow::RecordBatchReader> batches;  // of Parquet and of an IPC stream
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> ipc;
  int ipc_at = 0;
  int64_t done = 0, total = 0;
  std::string text;
};

namespace {

void check(const arrow::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}

template <typename T>
T value_of(arrow::Result<T> result) {
  check(result.status());
  return std::move(result).ValueUnsafe();
}

void open_parquet(GavelArrowRows& rows) {
  parquet::ReaderProperties file(pool());
  file.enable_buffered_stream();
  parquet::ArrowReaderProperties arrow(/*use_threads=*/false);
  arrow.set_batch_size(GavelArrowRows::kBatch);
  arrow.set_pre_buffer(false);  // it would hold whole row groups
  parquet::arrow::FileReaderBuilder builder;
  check(builder.Open(rows.file, file));
  check(builder.memory_pool(pool())->properties(arrow)->Build(&rows.parquet));
  rows.total = rows.parquet->parquet_reader()->metadata()->num_rows();
  rows.batches = value_of(rows.parquet->GetRecordBatchReader());
}

void open_ipc(GavelArrowRows& rows, bool stream) {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.memory_pool = pool();
  options.use_threads = false;
  rows.total = value_of(rows.file->GetSize());
  if (stream) {
    check(rows.file->Seek(0));
    rows.stream =
        value_of(arrow::io::BufferedInputStream::Create(int64_t{1} << 20, pool(), rows.file));
    rows.batches = value_of(arrow::ipc::RecordBatchStreamReader::Open(rows.stream, options));
    return;
  }
  rows.ipc = value_of(arrow::ipc::RecordBatchFileReader::Open(rows.file, options));
  rows.total = rows.ipc->num_record_batches();
}

std::shared_ptr<arrow::RecordBatch> next_batch(GavelArrowRows& rows) {
  std::shared_ptr<arrow::RecordBatch> batch;
  if (rows.ipc == nullptr) {
    check(rows.batches->ReadNext(&batch));
  } else if (rows.ipc_at < rows.ipc->num_record_batches()) {
    batch = value_of(rows.ipc->ReadRecordBatch(rows.ipc_at++));
  }
  // Offsets of an IPC file are those that its writer claims.
  if (batch != nullptr) check(rows.parquet != nullptr ? batch->Validate() : batch->ValidateFull());
  return batch;
}

void append_rows(const arrow::RecordBatch& batch, std::string& text) {
  for (int64_t i = 0; i < batch.num_rows(); ++i) {
    text += '{';
    for (int c = 0; c < batch.num_columns(); ++c) {
      if (c > 0) text += ',';
      const std::string& name = batch.schema()->field(c)->name();
      gavel::append_json_text(name, text);
      text += ':';
      try {
        gavel::arrow_rows::append_value(*batch.column(c), i, text);
      } catch (const std::runtime_error& e) {
        throw std::runtime_error("column \"" + name + "\": " + e.what());
      }
    }
    text += "}\n";
  }
}

// Runs `body`; what it throws is written to `error`.
template <typename Body>
bool guarded(char* error, size_t size, Body body) {
  std::string what;
  try {
    body();
    return true;
  } catch (const std::exception& e) {
    what = e.what();
  }
  std::replace(what.begin(), what.end(), '\n', ' ');
  what.resize(std::min({what.size(), size - 1, size_t{400}}));
  std::memcpy(error, what.c_str(), what.size() + 1);
  return false;
}

}  // namespace

GavelArrowRows* gavel_arrow_open(const char* path, char* error, size_t error_size) {
  GavelArrowRows* rows = nullptr;
  const bool ok = guarded(error, error_size, [&] {
    rows = new GavelArrowRows;
    rows->file = value_of(arrow::io::ReadableFile::Open(path, pool()));
    const auto head = value_of(rows->file->ReadAt(0, 8))->ToString();
    if (head.starts_with("PAR1"))
      open_parquet(*rows);
    else
      open_ipc(*rows, !head.starts_with("ARROW1"));
  });
  if (ok) return rows;
  delete rows;
  return nullptr;
}

int gavel_arrow_next(GavelArrowRows* rows, const char** text, size_t* size, int64_t* done,
                     int64_t* total, char* error, size_t error_size) {
  const bool ok = guarded(error, error_size, [&] {
    rows->text.clear();
    while (rows->text.empty()) {
      const auto batch = next_batch(*rows);
      if (batch == nullptr) break;
      append_rows(*batch, rows->text);
      rows->done = rows->ipc != nullptr      ? rows->ipc_at
                   : rows->stream != nullptr ? value_of(rows->stream->Tell())
                                             : rows->done + batch->num_rows();
    }
    *text = rows->text.data();
    *size = rows->text.size();
    *done = rows->done;
    *total = rows->total;
  });
  return ok ? 0 : 1;
}

void gavel_arrow_close(GavelArrowRows* rows) { delete rows; }
