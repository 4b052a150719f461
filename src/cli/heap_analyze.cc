// `tide heap X analyze [SIZE]`: what is in the blocks of each size; with a size, in each block.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/heap_contents.h"
#include "cli/heap_json.h"
#include "cli/heap_questions.h"
#include "host/error.h"
#include "host/text_table.h"
#include "inspect/contents.h"
#include "inspect/hash_tables.h"
#include "inspect/survey.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;
using host::Align;
using inspect::Content;
using inspect::Contents;
using inspect::Kind;
using inspect::SizeContents;
using inspect::Survey;

constexpr size_t kUsualBlocks = 20;
constexpr size_t kExcerptBytes = 32;
constexpr size_t kShownKinds = 5;

struct Share {
  std::string title;
  uint64_t blocks;
};

// Largest first; objects by their classes.
std::vector<Share> shares_of(const SizeContents& row, const Contents& contents) {
  std::vector<Share> shares;
  for (size_t i = 0; i < inspect::kKinds; ++i) {
    const Kind kind = static_cast<Kind>(i);
    if (row.kinds[i] == 0 || kind == Kind::kObject || kind == Kind::kObjects) continue;
    shares.push_back({std::string(kind_title(kind)), row.kinds[i]});
  }
  for (const auto& [number, blocks] : row.classes) {
    shares.push_back({contents.vtables().name(number), blocks});
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.blocks > b.blocks; });
  return shares;
}

std::string shares_text(const SizeContents& row, const Contents& contents) {
  const std::vector<Share> shares = shares_of(row, contents);
  std::string text;
  uint64_t left = row.looked_at;
  for (size_t i = 0; i < std::min(shares.size(), kShownKinds); ++i) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", shares[i].title, percent_text(shares[i].blocks, row.looked_at));
    left -= shares[i].blocks;
  }
  if (left != 0) text += fmt::format(", others {}", percent_text(left, row.looked_at));
  return text;
}

std::string size_text(const SizeContents& row) {
  if (row.least == row.largest) return grouped_text(row.least);
  return fmt::format("{}-{}", grouped_text(row.least), grouped_text(row.largest));
}

Json size_json(const SizeContents& row, const Contents& contents) {
  Json json = {{"size", row.least},        {"blocks", row.blocks},
               {"bytes", row.total_bytes}, {"looked_at", row.looked_at},
               {"kinds", Json::object()},  {"classes", Json::object()}};
  if (row.largest != row.least) json["largest_size"] = row.largest;
  for (size_t i = 0; i < inspect::kKinds; ++i) {
    if (row.kinds[i] == 0) continue;
    json["kinds"][std::string(kind_word(static_cast<Kind>(i)))] = row.kinds[i];
  }
  for (const auto& [number, blocks] : row.classes) {
    json["classes"][contents.vtables().name(number)] = blocks;
  }
  return json;
}

struct Entry {
  walk::Block block;
  Content content;
};

std::vector<Entry> look_at_blocks(const HeapSession& session, Contents& contents, bool has_owners) {
  std::vector<Entry> entries;
  inspect::Owners owners;
  inspect::HashTables tables;
  bool has_chains = false;
  const size_t most = session.most == 0 ? kUsualBlocks : session.most;
  for (const walk::Block& block : first_blocks(session, most)) {
    entries.push_back({block, contents.classify(block)});
    if (!may_have_owner(entries.back().content.kind)) continue;
    owners.add(block.address, block.bytes);
    tables.add(block.address);
    if (entries.back().content.kind == Kind::kChainNode) has_chains = true;
  }
  if (has_owners) owners.scan(*session.target);
  if (has_owners && has_chains) tables.find(*session.target, contents.pointees());
  for (Entry& entry : entries) {
    Kind& kind = entry.content.kind;
    const bool is_node = tables.has(entry.block.address);
    kind = is_node ? Kind::kHashNode : kind_by_owner(kind, owners.of(entry.block.address));
  }
  return entries;
}

Json entry_json(const Entry& entry, const Contents& contents) {
  Json json = {{"address", hex_text(entry.block.address)},
               {"size", entry.block.bytes},
               {"kind", kind_word(entry.content.kind)}};
  if (entry.content.class_number != inspect::Vtables::kNone) {
    json["type"] = contents.title(entry.content);
  }
  json["first"] = contents.excerpt(entry.block, entry.content, kExcerptBytes);
  return json;
}

std::string entries_text(const std::vector<Entry>& entries, const Contents& contents,
                         const host::Terminal& terminal) {
  host::TextTable table({{"address"}, {"what"}, {"first bytes"}});
  for (const Entry& entry : entries) {
    table.add_row({{hex_text(entry.block.address)},
                   {contents.title(entry.content)},
                   {contents.excerpt(entry.block, entry.content, kExcerptBytes / 2)}});
  }
  return table.render(terminal);
}

std::string survey_text(const Survey& survey, const Contents& contents,
                        const inspect::SurveyOptions& options, const host::Terminal& terminal) {
  host::TextTable table({{"size", Align::kRight},
                         {"blocks", Align::kRight},
                         {"bytes", Align::kRight},
                         {"share", Align::kRight},
                         {"what"}});
  for (const SizeContents& row : survey.sizes) {
    table.add_row({{size_text(row)},
                   {grouped_text(row.blocks)},
                   {grouped_text(row.total_bytes)},
                   {percent_text(row.total_bytes, survey.bytes)},
                   {shares_text(row, contents)}});
  }
  std::string text = table.render(terminal);
  if (survey.is_sampled) {
    text += fmt::format(
        "\nOf {} blocks {} were looked at, about {} of each size: the rest are taken to be like "
        "them. --all looks at all.\n",
        grouped_text(survey.blocks), grouped_text(survey.looked_at),
        grouped_text(options.most_per_size));
  }
  if (!survey.is_scanned) {
    text +=
        "\nWho points to strings and vectors was not looked for in so much memory: they are "
        "text, pointers and numbers here. --all looks.\n";
  }
  return text;
}

int run(HeapSession& session, const Arguments& arguments) {
  VerbParser parser(kHeapCommand, {});
  std::string size;
  bool is_for_all = false;
  inspect::SurveyOptions options;
  parser.add_option("SIZE", size);
  parser.add_flag("--all", is_for_all);
  parser.add_option("--samples", options.most_per_size)->check(CLI::PositiveNumber);
  if (!parser.accept(arguments)) return host::kExitOk;
  take_size(session, kAnalyzeQuestion, size);
  limit_survey(session, is_for_all, options);

  Contents contents(*session.target, session.heaps);
  const Survey survey = inspect::survey(*session.target, session.heaps, contents, options);
  std::vector<Entry> entries;
  if (session.sizes.has_value()) entries = look_at_blocks(session, contents, survey.is_scanned);
  if (session.as_json) {
    Json json = {{"target", session.target->name()},
                 {"blocks", survey.blocks},
                 {"bytes", survey.bytes},
                 {"looked_at", survey.looked_at},
                 {"owners_looked_for", survey.is_scanned},
                 {"owners_estimated", survey.has_estimated_owners},
                 {"sizes", Json::array()}};
    for (const SizeContents& row : survey.sizes) json["sizes"].push_back(size_json(row, contents));
    if (session.sizes.has_value()) {
      json["entries"] = Json::array();
      for (const Entry& entry : entries) json["entries"].push_back(entry_json(entry, contents));
    }
    print(json_line(json));
  } else {
    const host::Terminal terminal(STDOUT_FILENO);
    std::string text = survey_text(survey, contents, options, terminal);
    if (!entries.empty()) text += "\n" + entries_text(entries, contents, terminal);
    print(text);
  }
  warn_of_unknown(session, survey.unknown);
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kAnalyzeQuestion = {
    "analyze", "[SIZE]",
    "What is in the blocks of each size: text, objects, containers, ...; with SIZE each block; "
    "--all: look at all blocks, not at 10,000 of each size (--samples N)",
    "core.4711 analyze 64", run};

}  // namespace tide::cli
