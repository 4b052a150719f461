// The fleet's database on ClickHouse, over HTTP; one server or the shards of a cluster.
//
// There are no transactions there. So a batch is sent under a number of the attempt that each of
// its rows has, and when all of its tables have arrived, a row in `batches` says that this attempt
// is the batch. Readers see no other rows; of two attempts that both came to their end, which
// happens when an answer was lost, they see the one with the smaller number. What an attempt left
// that was broken off is never seen. Rows of facts are in NAME_rows; NAME is a view of what counts.
//
// Of a cluster each batch, with its row in `batches`, is on the shard that its id says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fleet/store.h"
#include "host/http_client.h"

namespace tide::fleet {

class ClickHouseStore : public Store {
 public:
  explicit ClickHouseStore(const DatabaseAddress& address);
  ~ClickHouseStore() override;

  void prepare() override;
  bool is_prepared() override;
  bool apply(const Batch& batch) override;
  bool has(std::string_view batch_id) override;
  Result query(const std::string& sql) override;
  Result ask_freely(const std::string& sql) override;
  void remove_before(int64_t time_ns) override;
  const Dialect& dialect() const override { return *dialect_; }

 private:
  // On the server with that number.
  std::string ask(size_t server, const std::string& sql, std::string_view data = {},
                  bool only_reads = false);
  Result query_on(size_t server, const std::string& sql);
  bool is_prepared_on(size_t server);
  void prepare_on(size_t server);
  [[noreturn]] void fail(size_t server, const std::string& answer) const;
  size_t shard_of(std::string_view batch_id) const;
  bool is_cluster() const { return !address_.cluster.empty(); }

  const DatabaseAddress address_;
  const std::unique_ptr<Dialect> dialect_;
  std::vector<std::pair<std::string, std::string>> headers_;
  host::HttpClient client_;
};

}  // namespace tide::fleet
