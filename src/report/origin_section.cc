#include "report/origin_section.h"

#include <fmt/format.h>

#include "host/byte_text.h"

namespace tide::report {
namespace {

std::string text_of(const Json& json, const char* key) {
  const auto at = json.find(key);
  if (at == json.end()) return "";
  if (at->is_string()) return at->get<std::string>();
  return at->is_number() ? at->dump() : "";
}

std::string machine_of(const Json& file) {
  const auto machine = file.find("machine");
  if (machine == file.end() || !machine->is_object()) return "";
  std::string text = text_of(*machine, "cpu");
  if (const std::string cores = text_of(*machine, "cores"); !cores.empty()) {
    text += fmt::format(", {} cores", cores);
  }
  const auto memory = machine->find("memory_bytes");
  if (memory != machine->end() && memory->is_number_unsigned()) {
    text += ", " + host::byte_text(memory->get<uint64_t>());
  }
  if (const std::string kernel = text_of(*machine, "kernel"); !kernel.empty()) {
    text += ", Linux " + kernel;
  }
  return text;
}

}  // namespace

Origin origin_of(const std::string& path, const ReplayFile& file) {
  const std::string version = text_of(file.json, "version");
  return {"replay",
          path,
          text_of(file.json, "command"),
          machine_of(file.json),
          version.empty() ? "" : "tide " + version,
          text_of(file.json, "date")};
}

Section origin_section(const std::vector<Origin>& origins, const std::string& command) {
  Section section;
  section.id = "origin";
  section.kind = "Origin";
  section.title = "Where the figures come from";
  Json rows = Json::array();
  std::vector<std::string> commands;
  for (const Origin& origin : origins) {
    rows.push_back({origin.kind, origin.path, origin.machine, origin.version, origin.date});
    if (!origin.command.empty()) commands.push_back(origin.command);
  }
  commands.push_back(command);
  section.items.push_back(table({"origin-inputs", "Inputs", "What was read."},
                                {{"kind", "text"},
                                 {"file", "text", "", true},
                                 {"machine", "text", "", true},
                                 {"version", "text"},
                                 {"date", "text"}},
                                rows));
  section.items.push_back({{"type", "code"},
                           {"id", "origin-commands"},
                           {"title", "Command lines"},
                           {"how", "To do it again; the last one made this page."},
                           {"lines", commands}});
  return section;
}

}  // namespace tide::report
